"""Faults of the switch: port settings, its address table, policies and filters."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from underlay.expect.value_cells import NOBODY
from underlay.faults.evidence.lines import fdb_line, link_proof, port_proof
from underlay.faults.evidence.spaces import is_up, switch_ports
from underlay.faults.fault import Effect, Fault, Finding, Place
from underlay.faults.places import ports
from underlay.faults.scene import Cell, Scene, cell_of, involving
from underlay.faults.step import Proof, Step
from underlay.plan import SWITCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.expect import Expectation
    from underlay.faults.scene import Passage
    from underlay.observe.evidence import Evidence, Space

SUBJECT = "switch"


class PortIsolated(Fault):
    """Two nodes' ports are isolated from each other."""

    id = "port-isolated"
    layer = "switch"
    title = "two switch ports are isolated from each other"
    symptom = "everything between the two nodes in that segment is lost; both reach all others"
    evidence = "`bridge -d link show` at the switch: isolated on, at two or more ports"
    cause = "Isolated ports (a private VLAN) never forward to each other."
    cure = "bridge link set dev PORT isolated off at the switch"
    reference = "bridge(8), isolated; cni.dev, plugins/current/main/bridge, portIsolation"
    no_place = "this lab has a single node"
    break_script = 'for port; do bridge link set dev "$port" isolated on; done'
    mend_script = 'for port; do bridge link set dev "$port" isolated off; done'

    def places(self, scene: Scene) -> Iterator[Place]:
        for segment in scene.plan.segments:
            names = list(segment.ports.values())
            for one, other in pairwise(names):
                yield Place(SWITCH, one, "", (segment.name, one, other))

    def effect(self, scene: Scene, place: Place) -> Effect:
        """All that comes in by one of the ports and leaves by another of them is lost."""
        segment, *isolated = place.detail
        ways = [scene.cells("port", segment, port) for port in isolated]
        both = [one & other for index, one in enumerate(ways) for other in ways[index + 1 :]]
        return Effect(frozenset().union(*both))

    def arguments(self, scene: Scene, place: Place) -> tuple[str, ...]:
        return place.detail[1:]

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        script = 'bridge link set dev "$1" isolated off'
        return [Step(SWITCH, script, (port,)) for port in place.detail[1:]]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        seen = switch_ports(evidence.space(SWITCH))
        for segment in scene.plan.segments:
            if segment.isolated:
                continue
            isolated = [p for p in segment.ports.values() if seen.get(p, {}).get("isolated")]
            if len(isolated) > 1:
                place = Place(SWITCH, " and ".join(isolated), "", (segment.name, *isolated))
                yield self.found(scene, place, *(port_proof(seen[port]) for port in isolated))


class FdbWrongPort(Fault):
    """The switch is told that a MAC address is behind another port."""

    id = "fdb-wrong-port"
    layer = "switch"
    title = "the switch sends a MAC address's frames to the wrong port"
    symptom = "one container loses all other nodes: its requests arrive, answers go elsewhere"
    evidence = "`bridge fdb show` at the switch: the MAC address is at another node's port"
    cause = "A static entry of the switch's table names a port where that machine isn't."
    cure = "bridge fdb delete MAC dev PORT master at the switch"
    reference = "bridge(8), fdb static sticky; Linux net/bridge/br_fdb.c, br_fdb_update"
    no_place = "this lab has no macvlan network over several nodes and ports without VLANs"
    # Without `sticky` the next frame of the container would correct it.
    break_script = 'bridge fdb replace "$2" dev "$1" master static sticky'
    mend_script = 'bridge fdb delete "$2" dev "$1" master 2>/dev/null || :'

    def places(self, scene: Scene) -> Iterator[Place]:
        for child in scene.children:
            if not child.network.traits.by_mac:
                continue
            for node, segment, port in ports(scene):
                if segment.vlans:
                    continue  # its table has an entry for each VLAN of the port
                if segment.name == child.network.segment and node.name != child.node:
                    yield Place(SWITCH, port, child.node, (segment.name, child.mac, child.end))
                    break

    def effect(self, scene: Scene, place: Place) -> Effect:
        segment, mac = place.detail[:2]
        return Effect(scene.cells("port", segment, "", lambda p: p.packet.destination_mac == mac))

    def arguments(self, scene: Scene, place: Place) -> tuple[str, ...]:
        return (place.device, place.detail[1])

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        switch = evidence.space(SWITCH)
        for child in scene.children if switch else ():
            own = scene.port(child.node, child.network.segment)
            for row in switch.rows("fdb") if switch else ():
                if row.get("mac") != child.mac or row.get("ifname") == own or "master" not in row:
                    continue
                if row.get("state") in ("static", "permanent") or "sticky" in row.get("flags", ()):
                    detail = (child.network.segment, child.mac, child.end)
                    place = Place(SWITCH, row["ifname"], child.node, detail)
                    proof = Proof(SWITCH, f"bridge fdb show | grep {child.mac}", (fdb_line(row),))
                    yield self.found(scene, place, proof)


class Hairpin(Fault):
    """A switch port sends frames back where they came from."""

    id = "hairpin"
    shows_otherwise = ("macs", "broadcast", "multicast")
    layer = "switch"
    title = "a switch port reflects frames (hairpin)"
    symptom = "macvlan containers of the node reach their own node, which should be impossible"
    evidence = "`bridge -d link show` at the switch: hairpin on"
    cause = (
        "The port returns frames to the node that sent them, so that the way between a node"
        " and its own macvlan children, which the driver doesn't have, exists by the wire."
    )
    cure = "bridge link set dev PORT hairpin off at the switch, or `hairpin: true` in the lab file"
    reference = "IEEE 802.1Qbg, reflective relay; bridge(8), hairpin; measured"
    no_place = "this lab has no macvlan network in bridge mode"
    break_script = 'bridge link set dev "$1" hairpin on'
    mend_script = 'bridge link set dev "$1" hairpin off'

    def places(self, scene: Scene) -> Iterator[Place]:
        for node, segment, port in ports(scene):
            if self._cells(scene, node.name, segment.name):
                yield Place(SWITCH, port, node.name, (segment.name,))

    def effect(self, scene: Scene, place: Place) -> Effect:
        return Effect(self._cells(scene, place.node, place.detail[0]))

    def _cells(self, scene: Scene, node: str, segment: str) -> frozenset[Cell]:
        ends = [
            c.end
            for c in scene.children
            if (c.node, c.network.segment) == (node, segment)
            and c.network.traits.by_mac
            and c.network.mode in ("bridge", "vepa")
        ]
        return involving(involving(scene.closed, node), *ends)

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        seen = switch_ports(evidence.space(SWITCH))
        for node, segment, port in ports(scene):
            if seen.get(port, {}).get("hairpin") and not segment.hairpin:
                place = Place(SWITCH, port, node.name, (segment.name,))
                yield self.found(scene, place, port_proof(seen[port]))


def _is_request(passage: Passage) -> bool:
    """Whether it goes out by a port to an end that has to be found by ARP first."""
    return passage.direction == "out" and passage.packet.request and passage.packet.family == 4


class BroadcastOff(Fault):
    """A port gets no broadcasts, and so no ARP requests."""

    id = "broadcast-off"
    layer = "switch"
    title = "a switch port gets no broadcasts"
    symptom = (
        "nobody of another node finds that one or its containers over IPv4; they find all others,"
        " and then these reach them, too"
    )
    evidence = "`bridge -d link show` at the switch: bcast_flood off"
    cause = (
        "ARP requests for that node's addresses don't reach it; only whoever it has asked"
        " itself knows its MAC addresses."
    )
    cure = "bridge link set dev PORT bcast_flood on at the switch"
    reference = "bridge(8), bcast_flood; RFC 826; measured"
    break_script = 'bridge link set dev "$1" bcast_flood off'
    mend_script = 'bridge link set dev "$1" bcast_flood on'

    def places(self, scene: Scene) -> Iterator[Place]:
        for node, segment, port in ports(scene):
            yield Place(SWITCH, port, node.name, (segment.name,))

    def effect(self, scene: Scene, place: Place) -> Effect:
        """Requests over IPv4 are lost there, as nobody is found, and so are values that ask so.

        Answers aren't: whoever is asked learns from that (RFC 826). What carries an overlay may
        be, until the port's node has asked for the other one.
        """
        beyond = {cell_of(value) for value in scene.values if self._beyond(scene, place, value)}

        def lost(*, carried: bool) -> frozenset[Cell]:
            return scene.cells(
                "port",
                place.detail[0],
                place.device,
                lambda p: _is_request(p) and bool(p.packet.outer) is carried,
            )

        return Effect(lost(carried=False) | beyond, lost(carried=True))

    def _beyond(self, scene: Scene, place: Place, value: Expectation) -> bool:
        """Whether a broadcast of another node, or its request, is to reach the port's node."""
        there = value.destination
        if value.protocol == "broadcast":
            network, takers = scene.plan.network(there), tuple(value.value)
        elif value.protocol == "arp" and value.value != NOBODY:
            child = scene.child(there) or scene.child(value.source)
            if child is None:
                return False
            network, takers = child.network, (there,)
        else:
            return False
        if network.traits.overlay or network.segment != place.detail[0]:
            return False
        if scene.ends[value.source].node == place.node:
            return False
        return any(scene.ends[taker].node == place.node for taker in takers)

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        row = switch_ports(space).get(place.device, {})
        if row.get("bcast_flood") is False:
            yield port_proof(row)


class WrongSegment(Fault):
    """A node's cable is plugged into another segment's switch."""

    id = "wrong-segment"
    shows_otherwise = ("broadcast", "multicast")
    layer = "switch"
    title = "a node's cable is in another segment's switch"
    symptom = "the node and its containers lose that segment, and may meet strangers in the other"
    evidence = "`bridge link show` at the switch: the port has another master"
    cause = "The port belongs to another segment's bridge than planned."
    cure = "ip link set PORT master BRIDGE at the switch"
    reference = "bridge(8)"
    no_place = "this lab has no two segments whose ports are without VLANs"

    def places(self, scene: Scene) -> Iterator[Place]:
        bridges = [segment.bridge for segment in scene.plan.segments if not segment.vlans]
        for node, segment, port in ports(scene):
            others = [bridge for bridge in bridges if bridge != segment.bridge]
            # A port loses its VLANs with its bridge: that is another fault.
            if others and not segment.vlans:
                yield Place(SWITCH, port, node.name, (segment.name, segment.bridge, others[0]))

    def effect(self, scene: Scene, place: Place) -> Effect:
        """All that passes the port is lost; who was unreachable may become reachable."""
        ends = [c.end for c in scene.children if c.node == place.node]
        strangers = involving(scene.closed, place.node, *ends)
        return Effect(scene.cells("port", place.detail[0], place.device), strangers)

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        return self._plugged(place, place.detail[2])

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        return self._plugged(place, place.detail[1])

    def _plugged(self, place: Place, bridge: str) -> list[Step]:
        return [Step(SWITCH, 'ip link set "$1" master "$2"', (place.device, bridge))]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        switch = evidence.space(SWITCH)
        seen = switch_ports(switch)
        for node, segment, port in ports(scene):
            if switch is None or port not in switch.links:
                continue
            master = switch.links[port].get("master", "")
            if master not in ("", segment.bridge):
                detail = (segment.name, segment.bridge, master)
                place = Place(SWITCH, port, node.name, detail)
                proof = port_proof(seen[port]) if port in seen else link_proof(switch, port)
                yield self.found(scene, place, proof)


class SegmentDown(Fault):
    """A segment's whole bridge is down."""

    id = "segment-down"
    layer = "switch"
    title = "a segment's switch is down"
    symptom = "everything across nodes in that segment is lost; siblings go on"
    evidence = "`ip link show` at the switch: the bridge lacks UP"
    cause = "The segment's bridge is down: it forwards nothing between its ports."
    cure = "ip link set BRIDGE up at the switch"
    reference = "Linux net/bridge/br_device.c, br_dev_stop"
    break_script = 'ip link set "$1" down'
    mend_script = 'ip link set "$1" up'

    def places(self, scene: Scene) -> Iterator[Place]:
        for segment in scene.plan.segments:
            yield Place(SWITCH, segment.bridge, "", (segment.name,))

    def effect(self, scene: Scene, place: Place) -> Effect:
        return Effect(scene.cells("port", place.detail[0]))

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        if not is_up(space, place.device):
            yield link_proof(space, place.device)
