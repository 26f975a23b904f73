"""What descends from this process, those too whose parents are gone.

A command line, an environment or a session tells of a process what it was told itself; a
process that leaks has forgotten just these. Its descent it can't shake off: orphans of a
subreaper come back to it (prctl(2), PR_SET_CHILD_SUBREAPER), also from another session.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from underlay.errors import Infrastructure

# linux/prctl.h.
PR_SET_CHILD_SUBREAPER = 36
PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A living process: its id, its parent's, and its command line."""

    pid: int
    parent: int
    words: str

    def __str__(self) -> str:
        """Return it as a report names it."""
        return f"{self.pid}: {self.words[:120]}"


def adopt() -> None:
    """Have orphaned descendants become children of this process; raise Infrastructure if not."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise Infrastructure(f"orphans can't be adopted: {os.strerror(ctypes.get_errno())}")


def offspring(ancestor: int | None = None) -> list[Process]:
    """Return the living descendants of ``ancestor``, by default of this process, by their ids.

    Those of its children that have ended are reaped: nobody else waits for adopted ones.
    """
    root = os.getpid() if ancestor is None else ancestor
    known = _processes(root)
    found: dict[int, Process] = {}
    fresh = {root}
    while fresh:
        grown = {p.pid: p for p in known if p.parent in fresh and p.pid not in found}
        found |= grown
        fresh = set(grown)
    return [found[pid] for pid in sorted(found)]


def _processes(root: int) -> list[Process]:
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        # Whatever ends while one looks is gone.
        with suppress(OSError):
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state in "ZX":
                if int(parent) == root == os.getpid():
                    os.waitpid(int(entry.name), os.WNOHANG)
                continue
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").strip()
            found.append(Process(int(entry.name), int(parent), words.decode(errors="replace")))
    return found
