"""What a segment's switch does at each node's port beyond forwarding, as commands of iproute2."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.plan import Plan, PlannedNode

Command = tuple[list[str], str]


def batch(lines: Sequence[str]) -> Command:
    """Return one command for many lines of iproute2, as (arguments, text for standard input)."""
    return ["ip", "-batch", "-"], "".join(f"{line}\n" for line in lines)


def policies(plan: Plan, nodes: Sequence[PlannedNode]) -> list[Command]:
    """Return what sets the ports of ``nodes``; a locked one knows its node's own MAC address."""
    lines, entries = [], []
    for segment in plan.segments:
        words = (
            f"hairpin {_word(segment.hairpin)} isolated {_word(segment.isolated)}"
            f" locked {_word(segment.locked)} learning {_word(not segment.locked)}"
        )
        for node in nodes:
            port = segment.ports[node.name]
            lines.append(f"link set {port} type bridge_slave {words}")
            if segment.locked:
                own = next(nic.mac for nic in node.nics if nic.segment == segment.name)
                entries.append(f"fdb replace {own} dev {port} master static")
    known = [(["bridge", "-batch", "-"], "".join(f"{entry}\n" for entry in entries))]
    return [batch(lines), *(known if entries else [])]


def _word(on: bool) -> str:
    return "on" if on else "off"
