"""Commands whose terminal is closed: they clean up, whatever they have to say about it."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from underlay.proof.bench.command_line import PseudoTerminal

SOURCE = Path(__file__).resolve().parents[3] / "src"
PATIENCE = 60.0
VERB = """\
import signal, sys, time
from pathlib import Path
from underlay import cli
from underlay.cli.verbs import status
from underlay.cli.console import out, progress

def command() -> None:
    folder = Path(sys.argv[2])
    if sys.argv[1] == "disowned":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with progress("working") as running:
        try:
            while not (folder / "closed").exists():
                time.sleep(0.05)
        finally:
            running.step("cleaning up")
            running.note("a line")
            out.print("and one more")
            (folder / "cleaning").touch()
            while not (folder / "done").exists():
                time.sleep(0.05)
            running.step("done")
            (folder / "cleaned").touch()

status.command = command
sys.exit(cli.main(["status"]))
"""


def started(tmp_path: Path, how: str) -> PseudoTerminal:
    words = [sys.executable, "-c", VERB, how, str(tmp_path)]
    terminal = PseudoTerminal(words, {**os.environ, "PYTHONPATH": str(SOURCE), "TERM": "xterm"})
    end = time.monotonic() + PATIENCE
    while b"working" not in terminal.text and time.monotonic() < end:
        terminal.watch(0.1)
    assert b"working" in terminal.text
    return terminal


def cleans_up(terminal: PseudoTerminal, tmp_path: Path) -> None:
    """Return once the command has come to its cleaning up, which lasts until ``done`` is there."""
    end = time.monotonic() + PATIENCE
    while not (tmp_path / "cleaning").exists():
        assert terminal.process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("twice", [False, True], ids=("once", "twice"))
def test_a_command_cleans_up_when_its_terminal_is_closed(tmp_path: Path, twice: bool) -> None:
    terminal = started(tmp_path, "owned")
    terminal.close()
    cleans_up(terminal, tmp_path)
    if twice:
        # By the kernel, when the shell that has passed on the first one has ended.
        terminal.process.send_signal(signal.SIGHUP)
    (tmp_path / "done").touch()
    assert terminal.process.wait(timeout=PATIENCE) == 130
    assert (tmp_path / "cleaned").exists()


def test_a_command_that_was_let_go_of_works_on(tmp_path: Path) -> None:
    terminal = started(tmp_path, "disowned")
    terminal.close()
    (tmp_path / "closed").touch()
    (tmp_path / "done").touch()
    assert terminal.process.wait(timeout=PATIENCE) == 0
    assert (tmp_path / "cleaned").exists()


def test_a_caller_whom_no_terminal_ends_has_commands_that_one_ends(tmp_path: Path) -> None:
    """Such as whoever was called by nohup, and has a shell of its own in a terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        terminal = started(tmp_path, "owned")
    finally:
        signal.signal(signal.SIGHUP, before)
    terminal.close()
    cleans_up(terminal, tmp_path)
    (tmp_path / "done").touch()
    assert terminal.process.wait(timeout=PATIENCE) == 130
