"""Whether anything grows or lies in the long run: many starts, and many measurements under load."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay.errors import EXIT_DIFFERS, UnderlayError
from underlay.proof.bench import command_line, labs
from underlay.proof.bench.memory import used_mib
from underlay.proof.bench.soak import DEADLINE, SoakLab
from underlay.storage import paths, temporary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The first starts fill caches.
WARM = 2
# MiB of memory by which a cycle may grow. 15 cycles of a quiet machine had 0.17, most of it the
# kernel's own, in slabs that it doesn't give back.
GROWTH = 0.5
BUSY = "while True: pass"
PER_CORE = 2


def cycles(count: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Start, measure and end a lab ``count`` times; return what has grown.

    ``files`` are those that the last cycles have left and the first haven't, ``disk_mib``
    what the caches have grown by, ``memory_mib_per_cycle`` the median of all slopes between
    two cycles of the memory that is in use (Theil and Sen's estimate, which outliers don't move).
    """
    before: set[str] = set()
    disk, used = 0.0, []
    failed = []
    with temporary.folder("soak") as folder:
        lab = SoakLab(folder, os.getpid())
        try:
            for number in range(1, count + 1):
                say(f"cycle {number} of {count}")
                for words in (("up", str(lab.one)), ("check", "--lab", lab.names[0])):
                    done = lab.run(*words)
                    if done.code:
                        failed.append(f"cycle {number}: {done}")
                lab.end()
                if number == min(WARM, count):
                    before, disk = _files(), _disk_mib()
                if number >= WARM:
                    used.append(used_mib())
        finally:
            with suppress(UnderlayError):
                lab.end()
    return {
        "cycles": count,
        "failed": failed,
        "files": sorted(_files() - before) if count else [],
        "disk_mib": round(_disk_mib() - disk, 1) if count else 0.0,
        "memory_mib_per_cycle": round(slope(used), 3),
    }


def checks(count: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure the default lab ``count`` times while every core has two more programs to run.

    The lab is healthy: a cell that differs is a false verdict. One that couldn't be measured
    isn't a verdict, and is counted apart.
    """
    false, failed = [], []
    with temporary.folder("soak") as folder:
        file = labs.copy("coreos", folder)
        try:
            if count:
                command_line.run("up", str(file), deadline=DEADLINE).prove()
            with _busy(PER_CORE * len(os.sched_getaffinity(0)) if count else 0):
                for number in range(1, count + 1):
                    say(f"check {number} of {count} under load")
                    done = command_line.run("check", "--lab", file.stem, deadline=DEADLINE)
                    if done.code == EXIT_DIFFERS:
                        false.append(f"check {number}: {done.out[-2000:]}")
                    elif done.code:
                        failed.append(f"check {number}: {done}: {done.err[-500:]}")
        finally:
            with suppress(UnderlayError):
                if paths.state(file.stem).exists():
                    command_line.run("down", "--lab", file.stem, deadline=DEADLINE)
    return {"checks": count, "false_verdicts": false, "failed": failed}


def grown(found: dict[str, Any]) -> bool:
    """Whether the document of ``cycles`` tells of growth or of a failure."""
    return bool(
        found["failed"]
        or found["files"]
        or found["disk_mib"] > 1
        or found["memory_mib_per_cycle"] > GROWTH
    )


def slope(values: list[float]) -> float:
    """Return the median slope between any two of ``values``, by their positions; 0 for one."""
    slopes = sorted(
        (values[j] - values[i]) / (j - i)
        for i in range(len(values))
        for j in range(i + 1, len(values))
    )
    return slopes[len(slopes) // 2] if slopes else 0.0


def _files() -> set[str]:
    """What Underlay keeps between labs: its state, its caches, and temporary folders of its own."""
    found = {str(path) for folder in (paths.home(), paths.cache()) for path in folder.rglob("*")}
    others = Path(tempfile.gettempdir()).glob("underlay-*")
    return found | {str(path) for path in others if not path.name.startswith("underlay-soak-")}


def _disk_mib() -> float:
    total = 0
    for path in paths.cache().rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_blocks * 512
    return total / (1 << 20)


@contextmanager
def _busy(count: int) -> Iterator[None]:
    programs = [subprocess.Popen([sys.executable, "-S", "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait(timeout=10)
