"""Limits of a seat by control groups: where this user may make some, and what holds without them.

cgroups(7): of version 1 each controller has a tree of its own, of version 2 all share one. A
group is made below the one that this process is in, so that whatever limits that holds, too.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MEMORY, PIDS, CPU = "memory", "pids", "cpu"
CONTROLLERS = (MEMORY, PIDS, CPU)
# A lean node is some 20 processes of this host, a full one with 60 containers some 600.
MOST_PROCESSES = 4096
# Of a version's controller: the file of its limit.
FILES = {
    1: {MEMORY: "memory.limit_in_bytes", PIDS: "pids.max", CPU: "cpu.shares"},
    2: {MEMORY: "memory.max", PIDS: "pids.max", CPU: "cpu.weight"},
}
# A seat's part of the processors, the same for each, in the words of both versions.
EVEN = {1: "1024", 2: "100"}
REMOVAL = 10.0
HERE = Path("/")
# What nobody limits by a group, said of each controller.
WITHOUT = {
    MEMORY: "memory: its nodes' is fixed, and what they write to their disks is bounded, but a"
    " node's process that was broken out of could take more",
    PIDS: "processes: a node's are bounded by its memory alone",
    CPU: "processor time: a seat whose nodes compute takes it from the others",
}


@dataclass(frozen=True)
class Tree:
    """Where groups can be made: a folder, the version, and the controllers that work there."""

    folder: Path
    version: int
    controllers: tuple[str, ...]


def trees(root: Path = HERE) -> list[Tree]:
    """Return the places where this process can make groups that limit something."""
    found = []
    for version, controllers, folder in _own(root):
        if not os.access(folder / "cgroup.procs", os.W_OK) or not os.access(folder, os.W_OK):
            continue
        if version == 1 and (known := [c for c in CONTROLLERS if c in controllers]):
            found.append(Tree(folder, 1, tuple(known)))
        elif version == 2 and (handed := _handed_on(folder)):
            found.append(Tree(folder, 2, handed))
    return found


def lacking(places: Iterable[Tree]) -> list[str]:
    """Return a sentence's rest for each limit that can't be set in ``places``."""
    held = {controller for place in places for controller in place.controllers}
    return [WITHOUT[controller] for controller in CONTROLLERS if controller not in held]


def make(places: Iterable[Tree], room: str, seat: str, mib: int) -> list[Path]:
    """Make the groups of a ``seat``, limited to ``mib`` of memory; return their folders.

    Raises OSError.
    """
    made = []
    for place in places:
        above = place.folder / room
        above.mkdir(exist_ok=True)
        if place.version == 2:
            _hand_on(above, place.controllers)
        group = above / seat
        group.mkdir(exist_ok=True)
        values = {MEMORY: str(mib << 20), PIDS: str(MOST_PROCESSES), CPU: EVEN[place.version]}
        for controller in place.controllers:
            (group / FILES[place.version][controller]).write_text(values[controller])
        made.append(group)
    return made


def enter(groups: Iterable[Path]) -> None:
    """Put this process into ``groups``, with all that it starts from now on; raise OSError."""
    for group in groups:
        (group / "cgroup.procs").write_text(str(os.getpid()))


def remove(groups: Iterable[Path]) -> None:
    """End all that is in ``groups``, and remove them and, when they were the last, those above."""
    limit = time.monotonic() + REMOVAL
    for group in groups:
        while group.is_dir() and time.monotonic() < limit:
            with suppress(OSError, ValueError):
                for pid in (group / "cgroup.procs").read_text().split():
                    with suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
            with suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.02)
        with suppress(OSError):
            group.parent.rmdir()


def _own(root: Path) -> list[tuple[int, list[str], Path]]:
    """Return of each tree that is mounted: its version, its controllers, this process's folder."""
    paths = {}
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        for controller in names.split(","):
            paths[controller] = path
    found: list[tuple[int, list[str], Path]] = []
    for line in (root / "proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split()[:3]
        mounted = root / before.split()[4].lstrip("/")
        if kind == "cgroup":
            controllers = [word for word in options.split(",") if word in paths]
            path = paths.get(controllers[0] if controllers else "", "/")
            found.append((1, controllers, _beneath(mounted, path)))
        elif kind == "cgroup2" and "" in paths:
            found.append((2, [], _beneath(mounted, paths[""])))
    return found


def _beneath(mounted: Path, path: str) -> Path:
    """A container may see its own group as the tree's root: then its path leads nowhere."""
    folder = mounted / path.lstrip("/")
    return folder if folder.is_dir() else mounted


def _handed_on(folder: Path) -> tuple[str, ...]:
    """Return the controllers that groups in ``folder`` can have, by version 2's rules.

    A group that has processes can't hand any on, but for the first (cgroups(7), the "no internal
    processes" rule): systemd-run --user --scope -p Delegate=yes makes one that is this process's.
    """
    try:
        there = (folder / "cgroup.controllers").read_text().split()
        wanted = tuple(c for c in CONTROLLERS if c in there)
        inside = (folder / "cgroup.procs").read_text().split()
        if inside == [str(os.getpid())] and (folder / "cgroup.type").exists():
            own = folder / "underlay-up"
            own.mkdir(exist_ok=True)
            (own / "cgroup.procs").write_text(str(os.getpid()))
        _hand_on(folder, wanted)
    except OSError:
        return ()
    return wanted


def _hand_on(folder: Path, controllers: Iterable[str]) -> None:
    words = " ".join(f"+{controller}" for controller in controllers)
    if words:
        (folder / "cgroup.subtree_control").write_text(words)
