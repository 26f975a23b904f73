"""Where the time of a start goes: spans that every process of it writes to one file.

The launcher, the engine under Vagrant and the sandbox all run on this host and share
its monotonic clock, so that their spans make one timeline (``report/timeline.py``).
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = "spans.jsonl"
# The span that begins when a node's kernel does; the node's own clock counts from there.
KERNEL_TO_SSH = "kernel to ssh"


@dataclass(frozen=True)
class Span:
    """``what`` happened to ``who``, from ``begin`` to ``end`` in seconds of the monotonic clock."""

    who: str
    what: str
    begin: float
    end: float


@contextmanager
def span(state: Path, who: str, what: str) -> Iterator[None]:
    """Record how long the block takes, also where it fails; ``state`` is the lab's folder."""
    began = time.monotonic()
    try:
        yield
    finally:
        record(state, Span(who, what, began, time.monotonic()))


def record(state: Path, found: Span) -> None:
    """Append one span; a lab whose folder is gone, or a full disk, has no timeline."""
    line = json.dumps([found.who, found.what, round(found.begin, 4), round(found.end, 4)])
    with suppress(OSError), (state / FILE).open("a") as file:
        file.write(line + "\n")


def process_began() -> float:
    """Return when this process was started, by the monotonic clock."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.monotonic() - age


def recorded(state: Path, since: float) -> list[Span]:
    """Return the spans that began at ``since`` or later, in order of their beginnings."""
    found = []
    with suppress(OSError):
        for line in (state / FILE).read_text().splitlines():
            with suppress(ValueError, TypeError):
                found.append(Span(*json.loads(line)))
    return sorted((s for s in found if s.begin >= since), key=lambda s: (s.begin, -s.end))
