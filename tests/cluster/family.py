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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cluster.commands import clean_environment
from cluster.running import Checkout
from underlay.cluster.providers.uml.sandbox import start_time
from underlay.proof.bench.descendants import Process, descendants
from underlay.proof.bench.soak_lab import waited

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
class Family:
    """A command that was started, with an ancestor of the test's own above it."""

    ancestor: subprocess.Popen[str]
    pid: int
    folder: Path

    @property
    def running(self) -> bool:
        """Whether the command itself runs."""
        return start_time(self.pid) is not None

    @property
    def code(self) -> int | None:
        """The command's exit code, negative for a signal; None while it runs."""
        with suppress(OSError, ValueError):
            return os.waitstatus_to_exitcode(int((self.folder / "end").read_text()))
        return None

    def words(self) -> str:
        """Return what the command has said so far, on both streams."""
        return (self.folder / "said").read_text(errors="replace")

    def members(self) -> list[Process]:
        """Return the command and all its descendants that live, without the ancestor."""
        return descendants(self.ancestor.pid)

    def kill(self) -> None:
        """Kill the command, and it alone."""
        os.kill(self.pid, signal.SIGKILL)

    def gone(self, noted: list[Process], patience: float) -> float | None:
        """Return after how many seconds neither ``noted`` nor anybody else lives; None if never."""

        def nobody() -> bool:
            return not self.members() and not any(member.alive for member in noted)

        return waited(nobody, patience)


@contextmanager
def family(
    checkout: Checkout, folder: Path, *words: str, environment: Mapping[str, str] | None = None
) -> Iterator[Family]:
    """Start the checkout's ``underlay`` with ``words``; what is left of it is killed after it.

    What it says goes to a file in ``folder``, which is made. ``environment`` is added to ours.
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
            env=clean_environment() | dict(environment or {}),
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
