"""The descendants of a process, including those whose own parent has ended.

A leaked process can't be recognised by its command line, environment or session: it may have
changed each of them. Its descent it can't change. A process that is a subreaper becomes the
parent of every descendant that is orphaned, also of one in another session (prctl(2),
PR_SET_CHILD_SUBREAPER).
"""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from underlay.cluster.providers.uml.sandbox import start_time
from underlay.errors import Infrastructure

# linux/prctl.h.
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process as it was when it was found; ``started`` tells it from a later one of its id."""

    pid: int
    parent: int
    started: int
    words: str

    @property
    def alive(self) -> bool:
        """Whether that very process still runs."""
        return start_time(self.pid) == self.started

    def __str__(self) -> str:
        """Return it as a report names it."""
        return f"{self.pid}: {self.words[:120]}"


def continue_in_child() -> int:
    """Fork, go on in the child only, and return the process id of the parent.

    The parent becomes the subreaper of all descendants. It does nothing but reap them, and ends
    with the child's exit code. The child can't do both: it waits for processes of its own, and
    would reap them by mistake. Call this before any thread is started. Raises Infrastructure
    where the kernel refuses.
    """
    set_attribute(PR_SET_CHILD_SUBREAPER, 1)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        set_attribute(PR_SET_PDEATHSIG, signal.SIGTERM)
        return parent
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(child, number))
    # A terminal sends it to both.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            # As a shell says it of a signal.
            os._exit(code if code >= 0 else 128 - code)


def descendants(ancestor: int, *, unreaped: bool = False) -> list[Process]:
    """Return the living descendants of ``ancestor``, without this process, sorted by id.

    With ``unreaped`` those are among them that have ended and that nobody has waited for yet.
    """
    known = _processes("X" if unreaped else "ZX")
    found: dict[int, Process] = {}
    fresh = {ancestor}
    while fresh:
        grown = {p.pid: p for p in known if p.parent in fresh and p.pid not in found}
        found |= grown
        fresh = set(grown)
    return [found[pid] for pid in sorted(found) if pid != os.getpid()]


def _processes(without: str) -> list[Process]:
    """Return all processes but those in a state of ``without``, as in /proc/PID/stat."""
    found = []
    for entry in PROC.iterdir():
        # Whatever ends while one looks is gone.
        with suppress(OSError):
            if entry.name.isdigit():
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").strip()
                if fields[0] not in without:
                    numbers = int(entry.name), int(fields[1]), int(fields[19])
                    found.append(Process(*numbers, words.decode(errors="replace")))
    return found


def set_attribute(option: int, value: int) -> None:
    """Set an attribute of this process, see prctl(2); raise Infrastructure where that fails."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise Infrastructure(f"prctl {option}: {os.strerror(ctypes.get_errno())}")
