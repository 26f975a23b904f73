"""The switch as a machine: for segments whose ports have VLANs, which not every kernel can filter.

It is one more node, a lean one, with a NIC for each port: those of the nodes segment by
segment, then those of the external hosts. All bridges of such a lab are in it. Where an
external host speaks VLANs, all of them are in it, too: a sub-interface needs such a kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.plan.addresses import NO_ADDRESS
from underlay.plan.naming import mac
from underlay.plan.nodes import management_link
from underlay.plan.values import Nic, PlannedNode, PortVlans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from underlay.lab import Lab, Segment, SwitchPort
    from underlay.plan.values import PlannedHost, PlannedSegment

SWITCH = "switch"
MEMORY = 256
# As switches come out of their box, and as the kernel's bridge has it (vlan_default_pvid).
DEFAULT_VLAN = 1


def has_vlans(segment: Segment) -> bool:
    """Whether the ports of ``segment``'s switch ask for VLANs."""
    return bool(segment.ports) or segment.trunk is not None


def port_vlans(segment: Segment, stations: Iterable[str]) -> dict[str, PortVlans]:
    """Return the VLANs of the ports of ``stations``; nothing where the segment has none."""
    if not has_vlans(segment):
        return {}
    unnamed = PortVlans(untagged=DEFAULT_VLAN)
    if segment.trunk is not None:
        unnamed = _trunk(segment)
    return {
        name: _vlans(segment.ports[name]) if name in segment.ports else unnamed for name in stations
    }


def _vlans(port: SwitchPort) -> PortVlans:
    return PortVlans(untagged=port.access) if port.access else _trunk(port)


def _trunk(trunk: SwitchPort | Segment) -> PortVlans:
    tagged = tuple(vlan for vlan in dict.fromkeys(trunk.trunk or ()) if vlan != trunk.native)
    return PortVlans(tagged, trunk.native)


def plan_switch(
    lab: Lab,
    segments: tuple[PlannedSegment, ...],
    nodes: tuple[PlannedNode, ...],
    hosts: tuple[PlannedHost, ...],
) -> PlannedNode | None:
    """Return the machine that is the switch of ``lab``, None where none is needed."""
    tagged = any(port.vlan is not None for host in hosts for port in host.ports)
    if not tagged and not any(segment.vlans for segment in segments):
        return None
    index = lab.nodes.count + 1
    management, peer = management_link(index)
    return PlannedNode(
        name=SWITCH,
        index=index,
        memory=MEMORY,
        management=management,
        management_peer=peer,
        nics=tuple(
            Nic(segment, port, mac(0, index, position), NO_ADDRESS, mtu)
            for position, (segment, port, mtu) in enumerate(
                _ports(segments, nodes, () if tagged else hosts), 1
            )
        ),
        vlans=(),
        routes=(),
        profile="lean",
    )


def _ports(
    segments: tuple[PlannedSegment, ...],
    nodes: tuple[PlannedNode, ...],
    hosts: tuple[PlannedHost, ...],
) -> Iterator[tuple[str, str, int]]:
    for segment in segments:
        for port in segment.ports.values():
            yield segment.name, port, segment.mtu
    for node in nodes:
        for nic in node.nics:
            for member in nic.members[1:]:
                yield nic.segment, member.port, nic.mtu
    for host in hosts:
        for own in host.ports:
            yield own.segment, own.port, own.mtu
