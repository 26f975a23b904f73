"""What the processes among which xdist divides the tests have to do with each other.

Each has a lab of its own. The one that hands out the tests learns from files in a folder of its own
whose lab is up, and which stay up: a process that was interrupted has no other way to say so.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from underlay.pytest_plugin.naming import named_lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Seconds that interrupted processes get to end their labs, and those after which one that does
# nothing of the kind can't have been told: who interrupts pytest alone, doesn't interrupt them.
PATIENCE, UNTOLD = 50.0, 5.0
INTERVAL = 0.1
NOTES = pytest.StashKey[Path]()
# The endings of the notes' names.
UP, ENDING, KEPT = ".up", ".ending", ".kept"


def prepare_worker(node: Any) -> None:
    """Name to the process of ``node`` the folder of its notes; no lab is named, no folder made."""
    config: pytest.Config = node.config
    if named_lab(config) is None:
        return
    if NOTES not in config.stash:
        folder = tempfile.TemporaryDirectory(prefix="underlay-pytest-")
        config.add_cleanup(folder.cleanup)
        config.stash[NOTES] = Path(folder.name)
    node.workerinput["underlay_notes"] = str(config.stash[NOTES])


@contextmanager
def noted_as_up(config: pytest.Config) -> Iterator[Callable[[], object]]:
    """Note within the block that this process has a lab; yield what notes that it is ended now."""
    note = _own_note(config)
    if note is None:
        yield lambda: None
        return
    up, ending = note.with_suffix(UP), note.with_suffix(ENDING)
    up.write_text(str(os.getpid()))
    try:
        yield lambda: up.replace(ending)
    finally:
        up.unlink(missing_ok=True)
        ending.unlink(missing_ok=True)


def note_kept(config: pytest.Config, lines: list[str]) -> None:
    """Note in ``lines`` how the lab that this process leaves up is reached."""
    note = _own_note(config)
    if note is not None:
        text = "".join(f"[{note.name}] {line}\n" for line in lines)
        note.with_suffix(KEPT).write_text(text)


def kept_by_workers(config: pytest.Config) -> list[str]:
    """Return what the processes have noted about labs that stay up."""
    notes = config.stash.get(NOTES, None)
    files = sorted(notes.glob(f"*{KEPT}")) if notes is not None else []
    return [line for file in files for line in file.read_text().splitlines()]


def wait_for_workers(config: pytest.Config) -> None:
    """Return when all processes have ended their labs, or have had their time for it.

    xdist gives them ten seconds, and interrupts their cleaning up after five: a lab that is on
    its way up may need more.
    """
    notes = config.stash.get(NOTES, None)
    began, told = time.monotonic(), False
    while notes is not None and (took := time.monotonic() - began) < PATIENCE:
        up = list(notes.glob(f"*{UP}"))
        if not up and not list(notes.glob(f"*{ENDING}")):
            return
        if took > UNTOLD and not told:
            told = True
            for note in up:
                with suppress(OSError, ValueError):
                    os.kill(int(note.read_text()), signal.SIGINT)
        time.sleep(INTERVAL)


def _own_note(config: pytest.Config) -> Path | None:
    """Return the name of this process's notes; None where it isn't one of several."""
    said = getattr(config, "workerinput", {})
    folder = said.get("underlay_notes")
    return Path(folder) / str(said["workerid"]) if folder else None
