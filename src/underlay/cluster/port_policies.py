"""What a segment's switch does at each node's port beyond forwarding, as commands of iproute2."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from underlay.plan import Plan, PlannedNode, PlannedSegment

Command = tuple[list[str], str]
# A querier's address, which MLD demands of it (RFC 3810, 5.1.14).
QUERIER = "fe80::75:ff:fe00:1"


def batch(lines: Iterable[str], program: str = "ip") -> Command:
    """Return one command for many lines of iproute2, as (arguments, text for standard input)."""
    return [program, "-batch", "-"], "".join(f"{line}\n" for line in lines)


def policies(plan: Plan, nodes: Sequence[PlannedNode]) -> list[Command]:
    """Return what sets the ports of ``nodes``; a locked one knows its node's own MAC address.

    And no other: it may have learned some between the port's joining the bridge and its being
    locked, as a lab that is switched has containers until then, and would let those in.
    """
    lines, entries = [], []
    for segment in plan.segments:
        words = (
            f"hairpin {_word(segment.hairpin)} isolated {_word(segment.isolated)}"
            f" locked {_word(segment.locked)} learning {_word(not segment.locked)}"
        )
        for node in nodes:
            for port in _ports(segment, node):
                lines.append(f"link set {port} type bridge_slave {words}")
                if segment.locked:
                    lines.append(f"link set {port} type bridge_slave fdb_flush")
            if segment.locked:
                own = next(nic.mac for nic in node.nics if nic.segment == segment.name)
                entries.append(f"fdb replace {own} dev {segment.ports[node.name]} master static")
    return [batch(lines), *([batch(entries, "bridge")] if entries else [])]


def multicast(plan: Plan) -> list[Command]:
    """Return what says where multicast goes, once all ports are there; MLD demands an address.

    For as long as it waits for the first answers, the bridge takes itself for one without a
    querier, so that is short (br_multicast.c, br_multicast_set_querier).
    """
    lines = []
    for segment in plan.segments:
        if segment.unknown_multicast == "drop":
            for _, port in stations(plan, segment):
                lines.append(f"link set {port} type bridge_slave mcast_flood off")
        if segment.querier:
            lines.append(f"address add {QUERIER}/64 dev {segment.bridge} nodad")
            for words in ("mcast_query_response_interval 100", "mcast_querier 1"):
                lines.append(f"link set {segment.bridge} type bridge {words}")
    return [batch(lines)] if lines else []


def stations(plan: Plan, segment: PlannedSegment) -> Iterator[tuple[str, str]]:
    """Yield every port of a segment's switch with the node or external host that is at it."""
    for node in plan.nodes:
        for port in _ports(segment, node):
            yield node.name, port
    for host in plan.hosts:
        for own in host.ports:
            if own.segment == segment.name:
                yield host.name, own.port


def _ports(segment: PlannedSegment, node: PlannedNode) -> list[str]:
    """Every port of a node in a segment: a bond has two."""
    more = [m.port for n in node.nics if n.segment == segment.name for m in n.members[1:]]
    return [segment.ports[node.name], *more]


def _word(on: bool) -> str:
    return "on" if on else "off"
