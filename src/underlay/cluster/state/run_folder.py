"""What is kept of a run that failed, after its lab is gone: one folder a run, in the cache.

Their number and size are bounded, the oldest go first. A folder holds the plan, the
timeline, the consoles, the nodes' own logs, and what the caller has to add. Never a key, a
seed or a disk: a folder is meant to be handed to somebody else.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from underlay.cluster import ssh
from underlay.cluster.process import run
from underlay.errors import UnderlayError
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from underlay.cluster.state.lab import LabState
    from underlay.errors import Infrastructure

MARKER = ".underlay-run"
KEPT = 20
# Bytes of one file, from its end: a console that repeats itself has its reason there.
LONGEST = 1 << 20
ALL = 64 << 20
FILES = ("plan.json", "lab.json", "spans.jsonl", "sandbox.log")
JOURNAL = "journalctl -b -o short-monotonic --no-pager -n 2000 2>/dev/null || dmesg"
JOURNAL_DEADLINE = 10.0


def runs() -> Path:
    """Return the folder of all kept runs; it need not exist."""
    return paths.cache() / "runs"


def keep_run(
    lab: str, what: str, documents: Mapping[str, object], *, alive: LabState | None = None
) -> Path | None:
    """Keep what is known of the lab called ``lab``, whose run of the verb ``what`` failed.

    ``documents`` are written as JSON files of their names. Nodes of a lab that is ``alive``
    are asked for their logs. Returns the folder; None where nothing could be kept, for a
    disk that is full must not hide why the run failed.
    """
    state = paths.state(lab)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    folder = runs() / f"{lab}-{what}-{stamp}-{os.getpid()}"
    try:
        folder.mkdir(parents=True)
        (folder / MARKER).touch()
        for source in (*(state / name for name in FILES), *state.glob("nodes/*/console.log")):
            if source.is_file():
                name = "-".join(source.relative_to(state).parts[-2:])
                (folder / name).write_bytes(_end(source))
        for name, document in documents.items():
            text = json.dumps(document, indent=2, ensure_ascii=False)
            (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        if alive is not None:
            _journals(alive, folder)
    except OSError:
        return None
    finally:
        forget_oldest()
    return folder


def keep_failure(
    lab: str, what: str, error: Infrastructure, *, alive: LabState | None = None
) -> None:
    """Do as ``keep_run`` with ``error`` for a document, to which it adds where that is."""
    failure = {"message": error.message, "detail": error.detail, "hint": error.hint}
    folder = keep_run(lab, what, {"failure": failure}, alive=alive)
    if folder is not None:
        error.detail = "\n".join(filter(None, (error.detail, f"kept: {folder}")))


def forget_oldest() -> None:
    """Remove the oldest runs beyond ``KEPT``, or beyond ``ALL`` bytes; only folders of runs."""
    folders = [path.parent for path in runs().glob(f"*/{MARKER}")]
    folders.sort(key=lambda folder: (folder / MARKER).stat().st_mtime_ns, reverse=True)
    total = 0
    for number, folder in enumerate(folders):
        with suppress(OSError):
            total += sum(path.stat().st_size for path in folder.iterdir())
        # The newest is what the user has just been told of.
        if number and (number >= KEPT or total > ALL):
            shutil.rmtree(folder, ignore_errors=True)


def _end(file: Path) -> bytes:
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - LONGEST))
        return stream.read()


def _journals(state: LabState, folder: Path) -> None:
    """Ask all nodes at once; one that doesn't answer has no log."""

    def ask(node: str) -> None:
        command = ssh.command(
            state.folder / "ssh_config", node, ["sudo", "-n", "sh", "-c", JOURNAL]
        )
        with suppress(UnderlayError):
            said = run(command, deadline=JOURNAL_DEADLINE, check=False).stdout
            (folder / f"{node}-journal.log").write_text(said[-LONGEST:], encoding="utf-8")

    with ThreadPoolExecutor() as threads:
        list(threads.map(ask, [node.name for node in state.plan().nodes]))
