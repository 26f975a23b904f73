"""The fault of a switch that passes no multicast on, which IPv6 lives by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.faults.catalogue.overlay import tunnels
from underlay.faults.evidence.spaces import switch_ports
from underlay.faults.fault import Effect, Fault, Finding, Place
from underlay.faults.step import Proof, Step
from underlay.plan import SWITCH, NodeLink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.faults.scene import Scene
    from underlay.observe.evidence import Evidence

SUBJECT = "multicast"


class MulticastOff(Fault):
    """A segment's switch passes no multicast on."""

    id = "multicast-off"
    layer = "switch"
    title = "a segment's switch drops multicast"
    symptom = (
        "IPv6 across nodes is lost while IPv4 goes on; a VXLAN with a group loses its nodes, IPv4"
        " included"
    )
    evidence = "`bridge -d link show` at the switch: mcast_flood off at the segment's ports"
    cause = (
        "Neighbour discovery asks by multicast, and a VXLAN with a group sends ARP by it: a"
        " snooping switch without a querier passes neither on."
    )
    cure = "bridge link set dev PORT mcast_flood on, or an MLD and IGMP querier in the segment"
    reference = "RFC 4861, 7.2; RFC 4541; moby/moby#48365; measured"
    no_place = "no segment of this lab floods multicast"
    break_script = 'for port; do bridge link set dev "$port" mcast_flood off; done'
    mend_script = 'for port; do bridge link set dev "$port" mcast_flood on; done'

    def places(self, scene: Scene) -> Iterator[Place]:
        for segment in scene.plan.segments:
            if segment.querier or segment.swallows_multicast:
                continue
            yield Place(SWITCH, segment.bridge, "", (segment.name, *segment.ports.values()))

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        script = 'bridge link set dev "$1" mcast_flood on'
        return [Step(SWITCH, script, (port,)) for port in place.detail[1:]]

    def effect(self, scene: Scene, place: Place) -> Effect:
        """IPv6 in that segment is lost, and what a group's VXLANs carry through it."""
        groups = {
            link.interface
            for _, link in tunnels(scene, "vxlan")
            if link.options.get("group") and self._over(scene, link, place.detail[0])
        }
        cells = scene.cells(
            "port", place.detail[0], "", lambda p: p.packet.family == 6 and not p.packet.outer
        )
        for node in scene.plan.nodes:
            for device in groups:
                cells |= scene.cells("parent", node.name, device)
        return Effect(cells)

    def _over(self, scene: Scene, link: NodeLink, segment: str) -> bool:
        return any(
            (nic.interface, nic.segment) == (node.below(link.parent)[-1], segment)
            for node in scene.plan.nodes
            for nic in node.nics
        )

    def arguments(self, scene: Scene, place: Place) -> tuple[str, ...]:
        return place.detail[1:]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        seen = switch_ports(evidence.space(SWITCH))
        for place in self.places(scene):
            off = [p for p in place.detail[1:] if seen.get(p, {}).get("mcast_flood") is False]
            if len(off) > 1:
                line = ", ".join(f"{port}: mcast_flood off" for port in off)
                yield self.found(scene, place, Proof(SWITCH, "bridge -d link show", (line,)))
