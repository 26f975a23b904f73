"""A command and all that descends from it, whatever of that becomes a daemon.

Orphans go to the nearest ancestor that has asked for them: a small process of the test's
own, which collects them and ends when none is left.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.commands import clean_environment
from cluster.running import Checkout

# PR_SET_CHILD_SUBREAPER, see prctl(2). Its first argument is where the command's end is noted,
# as os.waitpid has it; its only line of output is the command's pid.
ANCESTOR = """
import ctypes, os, subprocess, sys
if ctypes.CDLL(None).prctl(36, 1, 0, 0, 0):
    sys.exit("no subreaper")
pid = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=2).pid
print(pid, flush=True)
while True:
    try:
        ended, status = os.wait()
    except ChildProcessError:
        break
    if ended == pid:
        open(sys.argv[1], "w").write(str(status))
"""


@dataclass(frozen=True)
class Member:
    """A process as it was when it was noted; ``started`` tells it from a later one of its pid."""

    pid: int
    started: int
    line: str

    @property
    def alive(self) -> bool:
        """Whether that very process still runs."""
        found = _stat(self.pid)
        return found is not None and found[1] == self.started

    def __str__(self) -> str:
        """Return it as a line of a failure's text."""
        return f"{self.pid}: {self.line[:200]}"


@dataclass(frozen=True)
class Family:
    """A command that was started, with an ancestor of the test's own above it."""

    ancestor: subprocess.Popen[str]
    pid: int
    folder: Path

    @property
    def running(self) -> bool:
        """Whether the command itself runs."""
        return _stat(self.pid) is not None

    @property
    def code(self) -> int | None:
        """The command's exit code, negative for a signal; None while it runs."""
        with suppress(OSError, ValueError):
            return os.waitstatus_to_exitcode(int((self.folder / "end").read_text()))
        return None

    def words(self) -> str:
        """Return what the command has said so far, on both streams."""
        return (self.folder / "said").read_text(errors="replace")

    def members(self) -> list[Member]:
        """Return the command and all its descendants that live, without the ancestor."""
        parents = {int(e.name): _stat(int(e.name)) for e in _processes()}
        found, fresh = [], {self.ancestor.pid}
        while fresh:
            fresh = {pid for pid, stat in parents.items() if stat and stat[0] in fresh}
            found += [Member(pid, stat[1], _line(pid)) for pid in fresh if (stat := parents[pid])]
        return found

    def kill(self) -> None:
        """Kill the command, and it alone."""
        os.kill(self.pid, signal.SIGKILL)

    def gone(self, noted: list[Member], patience: float) -> float | None:
        """Return after how many seconds neither ``noted`` nor anybody else lives; None if never."""

        def nobody() -> bool:
            return not self.members() and not any(member.alive for member in noted)

        return waited(nobody, patience)


@contextmanager
def family(checkout: Checkout, folder: Path, *words: str) -> Iterator[Family]:
    """Start the checkout's ``underlay`` with ``words``; what is left of it is killed after it.

    What it says goes to a file in ``folder``, which is made.
    """
    folder.mkdir()
    command = [str(checkout.root / "underlay"), *words]
    with (folder / "said").open("w") as said:
        ancestor = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", ANCESTOR, str(folder / "end"), *command],
            cwd=checkout.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,
            env=clean_environment(),
            text=True,
        )
    assert ancestor.stdout is not None
    started = Family(ancestor, int(ancestor.stdout.readline()), folder)
    try:
        yield started
    finally:
        while ancestor.poll() is None:
            for member in started.members():
                with suppress(ProcessLookupError):
                    os.kill(member.pid, signal.SIGKILL)
            time.sleep(0.05)
        ancestor.stdout.close()


def waited(condition: Callable[[], Any], patience: float) -> float | None:
    """Return after how many seconds ``condition`` holds; None where it doesn't in ``patience``."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > patience:
            return None
        time.sleep(0.05)
    return time.monotonic() - began


def overload() -> float:
    """Return how many times longer things may take than on a machine that isn't overloaded."""
    return max(1.0, os.getloadavg()[0] / len(os.sched_getaffinity(0)))


def _processes() -> list[Path]:
    return [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> tuple[int, int] | None:
    """Return a process's parent and start time; None where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (int(fields[1]), int(fields[19]))


def _line(pid: int) -> str:
    with suppress(OSError):
        return (
            Path(f"/proc/{pid}/cmdline")
            .read_bytes()
            .replace(b"\0", b" ")
            .decode("utf-8", "replace")
        )
    return ""
