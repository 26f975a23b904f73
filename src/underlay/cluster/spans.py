"""Where the time of a start goes: spans of this host, and of each node's boot by its own clock.

The launcher, the engine under Vagrant and the sandbox all run on this host, share its
monotonic clock and write to one file. What a node's kernel, init and units did while it
booted, it is asked for. All of them make one timeline (``report/timeline.py``).
"""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster import ssh
from underlay.cluster.process import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.cluster.state.lab import LabState

FILE = "spans.jsonl"
# The span that begins when a node's kernel does; the node's own clock counts from there.
KERNEL_TO_SSH = "kernel to ssh"
# The one after it, which ends when its set-up does.
SSH_TO_READY = "ssh to ready"
DEADLINE = 30.0
# systemd keeps all its times in microseconds of the monotonic clock, which begins with the
# kernel. A lean node's init notes its own in the same form, one `NAME BEGIN END` a line.
ASK = """
if [ -e /run/underlay/boot-times ]; then
    cat /run/underlay/boot-times
else
    systemctl show --property=UserspaceTimestampMonotonic
    systemctl show --all '*.service' '*.mount' '*.socket' '*.path' \
        --property=Id,InactiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic
fi
"""


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


def start_spans(state: LabState) -> list[Span]:
    """Return all that is known of the lab's start by this process: this host's part and the nodes'.

    In order of their beginnings, this process's own launch first. Each node that was booted is
    asked once. Empty where nothing was recorded since.
    """
    began = process_began()
    found = recorded(state.folder, began)
    if not found:
        return []
    booted = {span.who: span.begin for span in found if span.what == KERNEL_TO_SSH}
    config = state.folder / "ssh_config"
    # systemd takes seconds on a node to say when each unit was started.
    with ThreadPoolExecutor(max_workers=len(booted) or 1) as pool:
        for spans in pool.map(lambda node: boot_spans(config, node, booted[node]), booted):
            found += spans
    found.sort(key=lambda span: (span.begin, -span.end))
    return [Span("host", "launch", began, found[0].begin), *found]


def boot_spans(config: Path, node: str, kernel_began: float) -> list[Span]:
    """Return the spans of ``node``'s boot, in seconds of this host's monotonic clock.

    ``kernel_began`` is when the node's kernel was started, by that clock. A node
    that doesn't answer has none.
    """
    asked = ssh.command(config, node, ["sh", "-c", ASK])
    said = run(asked, deadline=DEADLINE, check=False).stdout
    times = parse_times(said)
    return [
        Span(node, what, kernel_began + begin / 1e6, kernel_began + end / 1e6)
        for what, begin, end in times
        if end > begin
    ]


def parse_times(text: str) -> list[tuple[str, int, int]]:
    """Return (what, begin, end) in microseconds from what ``ASK`` printed."""
    if "=" not in text:
        rows = [line.split() for line in text.splitlines()]
        return [(row[0], int(row[1]), int(row[2])) for row in rows if len(row) == 3]
    found: list[tuple[str, int, int]] = []
    for block in text.split("\n\n"):
        facts = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "UserspaceTimestampMonotonic" in facts:
            found.append(("kernel", 0, int(facts["UserspaceTimestampMonotonic"])))
        elif facts.get("Id"):
            begin = int(facts.get("InactiveExitTimestampMonotonic") or 0)
            end = int(facts.get("ActiveEnterTimestampMonotonic") or 0)
            found.append((facts["Id"].removesuffix(".service"), begin, end))
    return found
