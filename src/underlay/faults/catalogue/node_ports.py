"""Faults of ports of a node's own bridge: of a container's cable, a tunnel, or an uplink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from underlay.faults.evidence.spaces import switch_ports
from underlay.faults.fault import Effect, Fault, Finding, Place
from underlay.faults.places import second_first
from underlay.faults.step import Proof, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.faults.scene import Cell, Passage, Scene
    from underlay.observe.evidence import Evidence, Space
    from underlay.plan import PlannedNode

SUBJECT = "bridges"

# The family whose questions for neighbours each setting lets out.
FLOODED = {"bcast_flood": 4, "mcast_flood": 6}


class NodePort(Fault):
    """A setting of a port of a node's bridge: what passes the port, or asks through it, is lost."""

    layer = "driver"
    no_place = "no node of this lab has a bridge with an uplink or a tunnel"

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name the ports by which something leaves the nodes' bridges: uplinks and tunnels."""
        return (place for node in second_first(scene) for place in _leading_away(node))

    def effect(self, scene: Scene, place: Place) -> Effect:
        return Effect(self._passing(scene, place, lambda p: self.takes(scene, place, p)))

    def _passing(self, scene: Scene, place: Place, wanted: Any) -> frozenset[Cell]:
        """Return the cells with a packet that passes the port; a container's is its own link."""
        if len(place.detail) > 1:
            container, device = place.detail[1:]
            return scene.cells("space", container, device, lambda p: wanted(_turned(p)))
        return scene.cells("parent", place.node, place.device, wanted)

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        for node in scene.plan.nodes:
            space = evidence.space(node.name)
            rows = switch_ports(space)
            for place in _ports(scene, evidence, node.name) if space else ():
                row = rows.get(place.device)
                if space and row and row.get("master") == place.detail[0]:
                    words = self.wrong(row)
                    if words:
                        effect = self.seen_effect(scene, place, row)
                        yield self.found(scene, place, _proof(space, row, words), effect=effect)

    def seen_effect(self, scene: Scene, place: Place, row: dict[str, Any]) -> Effect:
        """Return the effect of a port's settings as they are seen."""
        return self.effect(scene, place)

    def wrong(self, row: dict[str, Any]) -> str:
        """Return the setting of a port that is this fault, or nothing."""
        return ""


def _leading_away(node: PlannedNode) -> Iterator[Place]:
    """Yield the ports by which something leaves a node's bridges: uplinks and tunnels."""
    for link in node.links:
        if link.kind == "bridge" and link.parent:
            yield Place(node.name, link.parent, node.name, (link.interface,))
        elif link.master:
            yield Place(node.name, link.interface, node.name, (link.master,))


def _turned(passage: Passage) -> Passage:
    """What leaves a container comes in by its port of the bridge."""
    return passage._replace(direction="in" if passage.direction == "out" else "out")


def _ports(scene: Scene, evidence: Evidence, node: str) -> Iterator[Place]:
    """Yield all ports of a node's bridges, a container's by what its cable's end says."""
    yield from _leading_away(scene.plan.node(node))
    space = evidence.space(node)
    ends = {row["ifindex"]: row["ifname"] for row in space.links.values()} if space else {}
    for child in scene.children:
        if child.node != node or child.network.traits.attach != "port":
            continue
        own = evidence.space(child.container)
        number = own.links.get(child.interface, {}).get("link_index") if own else None
        if number in ends:
            detail = (child.network.parent, child.container, child.interface)
            yield Place(node, ends[number], node, detail)


def _proof(space: Space, row: dict[str, Any], words: str) -> Proof:
    line = f"{row['ifname']}: master {row.get('master', '')} {words}"
    return Proof(space.name, f"bridge -d link show dev {row['ifname']}", (line,))


class PortClosed(NodePort):
    """A port of a node's bridge forwards nothing, or only for addresses that it knows."""

    id = "node-port-closed"
    title = "a port of a node's bridge forwards nothing"
    symptom = "what leaves the node's bridge by that port is lost; the bridge's other ports go on"
    evidence = "`bridge -d link show` on the node: the port's state isn't forwarding, or locked on"
    cause = "A bridge neither sends by such a port nor takes what comes in by it."
    cure = "bridge link set dev PORT state 3 locked off learning on, on the node"
    reference = "bridge(8), state and locked; Linux net/bridge/br_input.c, br_handle_frame"
    break_script = 'bridge link set dev "$1" state 0'
    mend_script = 'bridge link set dev "$1" state 3 locked off learning on'

    def wrong(self, row: dict[str, Any]) -> str:
        """Return its state where that isn't forwarding, or that it is locked."""
        # Without a carrier a port is disabled of itself: that is another fault.
        if row.get("state") != "forwarding" and "LOWER_UP" in row.get("flags", ()):
            return f"state {row.get('state')}"
        return "locked on" if row.get("locked") else ""


class PortsIsolated(NodePort):
    """Two ports of a node's bridge are isolated from each other."""

    id = "node-ports-isolated"
    title = "ports of a node's bridge are isolated from each other"
    symptom = "a container on the bridge loses its siblings, or all other nodes"
    evidence = "`bridge -d link show` on the node: isolated on, at two or more ports of a bridge"
    cause = "Isolated ports never forward to each other."
    cure = "bridge link set dev PORT isolated off on the node"
    reference = "bridge(8), isolated; cni.dev, plugins/current/main/bridge, portIsolation"
    no_place = "no container of this lab is on a bridge with a tunnel or an uplink"

    def places(self, scene: Scene) -> Iterator[Place]:
        """It can be found only: which port is whose is seen on the running node."""
        yield from ()

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find isolated ports where the plan has none, together with others of their bridge."""
        for node in scene.plan.nodes:
            space, rows = evidence.space(node.name), switch_ports(evidence.space(node.name))
            planned = {link.interface for link in node.links if link.kind == "gretap"}
            masters: dict[str, list[Place]] = {}
            for place in _ports(scene, evidence, node.name) if space else ():
                if rows.get(place.device, {}).get("isolated"):
                    masters.setdefault(place.detail[0], []).append(place)
            for master, places in masters.items():
                new = [place for place in places if place.device not in planned]
                if space is None or not new or len(places) < 2:
                    continue
                ways = [self._passing(scene, place, lambda _: True) for place in places]
                both = [a & b for number, a in enumerate(ways) for b in ways[number + 1 :]]
                names = " and ".join(place.device for place in new)
                proofs = [_proof(space, rows[place.device], "isolated on") for place in places]
                steps = [
                    Step(node.name, 'bridge link set dev "$1" isolated off', (place.device,))
                    for place in new
                ]
                effect = Effect(frozenset().union(*both))
                place = Place(node.name, names, node.name, (master,))
                yield self.found(scene, place, *proofs, effect=effect, steps=steps)


class PortQuiet(NodePort):
    """A port of a node's bridge doesn't pass on what finds neighbours."""

    id = "node-port-quiet"
    title = "a port of a node's bridge passes no broadcasts or multicasts on"
    symptom = (
        "containers that ask through that port find nobody, so that they reach nothing that"
        " hasn't asked itself; the node's own questions go out, and whoever is known goes on"
    )
    evidence = "`bridge -d link show` on the node: bcast_flood off, or mcast_flood off for IPv6"
    cause = "ARP asks by broadcast and IPv6 by multicast, and the port lets neither out."
    cure = "bridge link set dev PORT bcast_flood on mcast_flood on on the node"
    reference = (
        "bridge(8), bcast_flood and mcast_flood; Linux net/bridge/br_forward.c, br_flood: they"
        " don't hold for what the bridge's own node sends; RFC 826; RFC 4861, 7.2; measured"
    )
    break_script = 'bridge link set dev "$1" bcast_flood off mcast_flood off'
    mend_script = 'bridge link set dev "$1" bcast_flood on mcast_flood on'

    def takes(self, scene: Scene, place: Place, passage: Passage) -> bool:
        """Who is asked learns from that: only requests of others than the node depend on it."""
        own = scene.ends[passage.packet.sender].space == place.node
        return passage.direction == "out" and passage.packet.request and not own

    def seen_effect(self, scene: Scene, place: Place, row: dict[str, Any]) -> Effect:
        """Of IPv4 without broadcasts, of IPv6 without multicasts."""
        lost = {family for key, family in FLOODED.items() if row.get(key) is False}

        def asked(passage: Passage) -> bool:
            return passage.packet.family in lost and self.takes(scene, place, passage)

        return Effect(self._passing(scene, place, asked))

    def wrong(self, row: dict[str, Any]) -> str:
        """Return what it doesn't flood."""
        off = [key for key in FLOODED if row.get(key) is False]
        return " ".join(f"{key} off" for key in off)


class BridgeEntry(NodePort):
    """A node's bridge is told that a MAC address is behind another port."""

    id = "node-fdb-wrong-port"
    title = "a node's bridge sends a MAC address's frames to the wrong port"
    symptom = "the bridge's containers lose one machine, whose frames go elsewhere"
    evidence = "`bridge fdb show` on the node: a static entry for it, at a port where it isn't"
    cause = "A static entry of the bridge's table names a port where that machine isn't."
    cure = "bridge fdb delete MAC dev PORT master on the node"
    reference = "bridge(8), fdb static sticky; Linux net/bridge/br_fdb.c, br_fdb_update"
    no_place = "no container of this lab is on a bridge with a tunnel or an uplink"
    break_script = 'bridge fdb replace "$2" dev "$1" master static sticky'
    mend_script = 'bridge fdb delete "$2" dev "$1" master 2>/dev/null || :'

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name each bridge with a container of the node itself, and the port that leads away."""
        for place in super().places(scene):
            for child in scene.children:
                if (child.node, child.network.parent) == (place.node, place.detail[0]):
                    yield Place(
                        place.target, place.device, place.node, (child.network.parent, child.mac)
                    )
                    break

    def effect(self, scene: Scene, place: Place) -> Effect:
        mac = place.detail[1]
        return Effect(
            frozenset(
                cell
                for cell in scene.healthy
                if any(
                    p.packet.destination_mac == mac and not p.packet.outer and self._here(p, place)
                    for p in scene.passages(cell)
                )
            )
        )

    def _here(self, passage: Passage, place: Place) -> bool:
        """Whether a packet passes the place's bridge, from another node or from one beside it."""
        master = place.detail[0]
        if passage.kind == "parent":
            return (passage.where, passage.interface) == (place.node, master)
        return False

    def arguments(self, scene: Scene, place: Place) -> tuple[str, ...]:
        return (place.device, place.detail[1])

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        for node in scene.plan.nodes:
            space = evidence.space(node.name)
            ports = {place.device: place for place in _ports(scene, evidence, node.name)}
            for row in space.rows("fdb") if space else ():
                port = ports.get(row.get("ifname", ""))
                mac = row.get("mac", "")
                static = row.get("state") == "static" or "sticky" in row.get("flags", ())
                if not space or not port or "master" not in row or not static:
                    continue
                child = next((c for c in scene.children if c.mac == mac), None)
                if child is None or child.network.parent != port.detail[0]:
                    continue
                right = port.detail[1:2] == (child.container,) or (
                    len(port.detail) == 1 and child.node != node.name
                )
                if not right:
                    place = Place(node.name, port.device, node.name, (port.detail[0], mac))
                    line = f"{mac} dev {port.device} master {row['master']} {row.get('state', '')}"
                    proof = Proof(node.name, f"bridge fdb show | grep {mac}", (line,))
                    yield self.found(scene, place, proof)
