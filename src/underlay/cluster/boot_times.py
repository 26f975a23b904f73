"""What a node did while it booted, by its own clock: its kernel's, its init's, its units' times."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from underlay.cluster import ssh
from underlay.cluster.process import run
from underlay.cluster.spans import KERNEL_TO_SSH, Span, recorded

if TYPE_CHECKING:
    from pathlib import Path

    from underlay.cluster.state.lab import LabState

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


def start_spans(state: LabState, since: float) -> list[Span]:
    """Return all that is known of the lab's start since ``since``, this host's part and the nodes'.

    In order of their beginnings. Each node that was booted is asked once.
    """
    found = recorded(state.folder, since)
    booted = {span.who: span.begin for span in found if span.what == KERNEL_TO_SSH}
    config = state.folder / "ssh_config"
    # systemd takes seconds on a node to say when each unit was started.
    with ThreadPoolExecutor(max_workers=len(booted) or 1) as pool:
        for spans in pool.map(lambda node: boot_spans(config, node, booted[node]), booted):
            found += spans
    return sorted(found, key=lambda span: (span.begin, -span.end))


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
