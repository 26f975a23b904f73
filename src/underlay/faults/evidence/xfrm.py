"""What ``ip xfrm policy show`` shows to take packets: policies that block, or want a tunnel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from underlay.faults.evidence.drops import Drop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.observe.evidence import Space

COMMAND = "ip xfrm policy show"
SELECTOR = re.compile(r"^src (\S+) dst (\S+)(?: proto (\S+))?(?: sport (\d+))?(?: dport (\d+))?")
WAY = re.compile(r"^\s+dir (in|out|fwd)\b(.*)$")
DIRECTIONS = {"in": "in", "out": "out", "fwd": "forward"}
# What counts what policies have lost, by direction (Linux net/xfrm/xfrm_proc.c).
COUNTERS = {
    "in": ("XfrmInPolBlock", "XfrmInNoPols", "XfrmInTmplMismatch"),
    "out": ("XfrmOutPolBlock", "XfrmOutNoStates", "XfrmAcquireError", "XfrmOutPolError"),
    "fwd": ("XfrmFwdHdrError", "XfrmInPolBlock", "XfrmInTmplMismatch"),
}
EVERYBODY = ("0.0.0.0/0", "::/0")


def of_policies(space: Space) -> Iterator[Drop]:
    """Yield the policies of a namespace that lose packets, if the kernel has counted any.

    One that blocks is understood. One with a template needs somebody's keys: without them its
    packets are lost as well, and whether there are any isn't looked at.
    """
    for block in _blocks(space.lines("xfrm")):
        selector, way = SELECTOR.match(block[0]), WAY.match(block[1]) if block[1:] else None
        if not selector or not way:
            continue
        source, destination, protocol, sport, dport = selector.groups()
        direction, rest = way.groups()
        blocks, wants = "action block" in rest, any(line.strip()[:5] == "tmpl " for line in block)
        hits = sum(space.counters.get(name, 0) for name in COUNTERS[direction])
        before = space.before.counters if space.before else {}
        hits -= sum(before.get(name, 0) for name in COUNTERS[direction])
        if not (blocks or wants) or hits <= 0:
            continue
        yield Drop(
            COMMAND,
            tuple(line.strip() for line in block[:2]),
            DIRECTIONS[direction],
            protocol=(True, protocol) if protocol else None,
            source=None if source in EVERYBODY else (True, source),
            destination=None if destination in EVERYBODY else (True, destination),
            source_port=(True, sport) if sport else None,
            destination_port=(True, dport) if dport else None,
            frames="ipv6" if ":" in source else "ip",
            hits=hits,
            understood=blocks,
        )


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    block: list[str] = []
    for line in lines:
        if line.startswith("src ") and block:
            yield block
            block = []
        block.append(line)
    if block:
        yield block
