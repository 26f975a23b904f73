"""Faults of what carries an overlay: its tunnels' other settings and their forwarding entries."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from underlay.faults.catalogue.overlay import EVERYBODY, Tunnel, remade, tunnel_at, tunnels
from underlay.faults.evidence.lines import details_proof
from underlay.faults.evidence.spaces import info
from underlay.faults.fault import Effect, Fault, Finding, Place
from underlay.faults.places import second_first
from underlay.faults.step import Proof, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.faults.scene import Scene
    from underlay.observe.evidence import Evidence, Space
    from underlay.plan import NodeLink

SUBJECT = "overlays"
NOBODY = "192.0.2.99"  # of a net for examples, RFC 5737
# How ip calls what a plan says of a tunnel, where a difference is no fault of its own.
PLANNED = {"local": "local", "remote": "remote", "group": "group"}
# Switches of a VXLAN that must be off, as they are by default: with them it answers or drops ARP
# and IPv6's questions itself, or leaves addresses to whoever controls it.
OFF = ("proxy", "rsc", "external")


class TunnelSettings(Tunnel):
    """A tunnel with another end than planned, or one that keeps back what finds neighbours."""

    id = "tunnel-settings"
    title = "a tunnel has other settings than planned"
    symptom = "the overlay's containers on that node lose all or some other nodes; siblings go on"
    evidence = (
        "`ip -details link show` on the node: local, remote, group or the device below differ from"
        " the plan; or learning is off, or proxy, rsc or external on"
    )
    cause = (
        "The tunnel sends to another machine, from an address that the others don't take it by, or"
        " leaves it to a table that nobody fills to know who is where."
    )
    cure = "delete the tunnel and make it as planned, then put it into its bridge"
    reference = "ip-link(8), vxlan and gretap; Linux drivers/net/vxlan/vxlan_core.c, arp_reduce"

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        link = tunnel_at(scene, place)
        if link.kind == "gretap":
            return [remade(place, replace(link, options={**link.options, "remote": NOBODY}))]
        if link.options.get("group"):
            return [remade(place, replace(link, options={**link.options, "group": "239.1.1.99"}))]
        return [
            Step(place.target, 'ip link set "$1" type vxlan local "$2"', (place.device, NOBODY))
        ]

    def differing(self, space: Space, link: NodeLink) -> Iterator[Proof]:
        """Yield the settings where one of them isn't the plan's."""
        data = info(space, link.interface)
        wanted = {
            ours: link.options[word] for word, ours in PLANNED.items() if word in link.options
        }
        wanted |= {"link": link.parent} if link.parent and "link" in data else {}
        other = {key for key, value in wanted.items() if data.get(key) not in (value, None)}
        other |= {key for key in wanted if key not in data and key != "link"}
        if link.kind == "vxlan":
            other |= {key for key in OFF if data.get(key)}
            other |= {"learning"} if data.get("learning") is False else set()
        if other:
            yield details_proof(space, link.interface)


class EntryWrong(Tunnel):
    """A VXLAN's table sends a container's frames to another node."""

    id = "vxlan-entry-wrong"
    device_kind = "vxlan"
    no_place = "this lab has no vxlan network with containers on two nodes"
    title = "a VXLAN's table names the wrong node for a MAC address"
    symptom = "the node's containers lose one container of another node; its neighbours go on"
    evidence = (
        "`bridge fdb show dev VXLAN` on the node: the MAC address with another dst, permanent"
    )
    cause = "What goes to that MAC address is wrapped for a machine where its owner isn't."
    cure = "bridge fdb delete MAC dev VXLAN dst ADDRESS on the node"
    reference = "bridge(8), fdb, dst; Linux drivers/net/vxlan/vxlan_core.c, vxlan_find_mac"
    break_script = 'bridge fdb replace "$2" dev "$1" dst "$3" self permanent'
    mend_script = 'bridge fdb delete "$2" dev "$1" dst "$3" self 2>/dev/null || :'

    def places(self, scene: Scene) -> Iterator[Place]:
        for place, link in tunnels(scene, "vxlan"):
            for child in scene.children:
                if child.network.parent == link.master and child.node != place.node:
                    yield replace(place, detail=(child.mac, NOBODY))
                    break

    def effect(self, scene: Scene, place: Place) -> Effect:
        """All is lost that goes to that MAC address by this tunnel, answers included."""
        mac = place.detail[0]
        return Effect(
            scene.cells(
                "parent",
                place.node,
                place.device,
                lambda p: p.direction == "out" and p.packet.destination_mac == mac,
            )
        )

    def arguments(self, scene: Scene, place: Place) -> tuple[str, ...]:
        return (place.device, *place.detail)

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        return [Step(place.target, self.mend_script, self.arguments(scene, place))]

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """Delete the entry as it is, so that the next frame of its owner teaches the right one."""
        return [
            Step(
                place.target,
                'bridge fdb delete "$2" dev "$1" dst "$3" self',
                self.arguments(scene, place),
            )
        ]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find entries that nobody has learned, for nodes that the addresses aren't on."""
        for place, link in tunnels(scene, "vxlan"):
            space = evidence.space(place.node)
            owners = {
                child.mac: _locals(scene, child.node)
                for child in scene.children
                if child.network.parent == link.master
            }
            for row in space.rows("fdb") if space else ():
                mac, to = row.get("mac", ""), row.get("dst", "")
                if row.get("ifname") != link.interface or mac not in owners or not to:
                    continue
                # One that is learned has no state, and the next frame puts it right.
                if row.get("state") and to not in owners[mac]:
                    line = f"{mac} dst {to} self {row['state']}"
                    proof = Proof(place.node, f"bridge fdb show dev {link.interface}", (line,))
                    yield self.found(scene, replace(place, detail=(mac, to)), proof)


def _locals(scene: Scene, node: str) -> set[Any]:
    return {link.options.get("local") for link in scene.plan.node(node).links}


class ListedOneWay(Tunnel):
    """A node that doesn't list another one in its VXLAN, by which it is listed."""

    id = "vxlan-listed-one-way"
    device_kind = "vxlan"
    no_place = "this lab has no VXLAN with a static list"
    title = "a node lacks another one in its VXLAN's list"
    symptom = (
        "the node's containers don't find those of the other one, which find them: it works once"
        " the other side has asked"
    )
    evidence = "`bridge fdb show dev VXLAN` on the node: no 00:00:00:00:00:00 for the other one"
    cause = "ARP goes to the nodes listed for 00:00:00:00:00:00 only, so it doesn't get there."
    cure = "bridge fdb append 00:00:00:00:00:00 dev VXLAN dst NODE on the node"
    reference = "ip-link(8), vxlan; Linux drivers/net/vxlan (VXLAN_NO_REMOTE); RFC 826"
    break_script = f'bridge fdb delete {EVERYBODY} dev "$1" dst "$2"'

    def places(self, scene: Scene) -> Iterator[Place]:
        for place, link in tunnels(scene, "vxlan"):
            for peer in link.options.get("fdb", ())[:1]:
                yield replace(place, detail=(peer,))

    def effect(self, scene: Scene, place: Place) -> Effect:
        """Whoever asks from that node loses those of the other one; who is asked has learned."""
        others = {n.name for n in scene.plan.nodes if place.detail[0] in _locals(scene, n.name)}
        return Effect(
            scene.cells(
                "parent",
                place.node,
                place.device,
                lambda p: (
                    p.direction == "out"
                    and p.packet.request
                    and scene.ends[p.packet.receiver].node in others
                ),
            )
        )

    def arguments(self, scene: Scene, place: Place) -> tuple[str, ...]:
        return (place.device, place.detail[0])

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        script = f"""
bridge fdb show dev "$1" | grep -q "^{EVERYBODY} dst $2 " ||
    bridge fdb append {EVERYBODY} dev "$1" dst "$2"
"""
        return [Step(place.target, script, self.arguments(scene, place))]

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        script = f'bridge fdb append {EVERYBODY} dev "$1" dst "$2"'
        return [Step(place.target, script, self.arguments(scene, place))]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find nodes that lack another one which has them: else it is vxlan-not-listed."""
        lacking: dict[tuple[str, str, str], tuple[Place, Proof]] = {}
        for place, link in tunnels(scene, "vxlan"):
            space = evidence.space(place.node)
            if space is None or link.interface not in space.links:
                continue
            there = [
                row["dst"]
                for row in space.rows("fdb")
                if (row.get("ifname"), row.get("mac")) == (link.interface, EVERYBODY)
                and "dst" in row
            ]
            for peer in link.options.get("fdb", ()):
                if peer not in there:
                    command = f"bridge fdb show dev {link.interface} | grep {EVERYBODY}"
                    lines = tuple(f"dst {one}" for one in there) or ("no entry",)
                    proof = Proof(place.node, command, lines)
                    own = str(link.options["local"])
                    lacking[own, peer, str(link.options["id"])] = (
                        replace(place, detail=(peer,)),
                        proof,
                    )
        for (own, peer, number), (place, proof) in lacking.items():
            if (peer, own, number) not in lacking:
                yield self.found(scene, place, proof)


class OuterNeighbour(Fault):
    """A node's permanent neighbour entry for the far end of its tunnel is wrong."""

    id = "outer-neighbour"
    layer = "overlay"
    title = "a node has a wrong neighbour entry for the far end of its tunnel"
    symptom = "everything between the two nodes is lost in that segment, the overlay's cells too"
    evidence = (
        "`ip neighbour show` on the node: PERMANENT, with another MAC address than the node's"
    )
    cause = "The packets that carry the overlay go to a MAC address that isn't the other node's."
    cure = "ip neighbour delete ADDRESS dev DEVICE on the node"
    reference = "ip-neighbour(8), nud permanent; Linux net/core/neighbour.c, neigh_update"
    no_place = "this lab has no overlay network"
    break_script = 'ip neighbour replace "$2" lladdr 02:00:00:00:00:98 dev "$1" nud permanent'
    mend_script = 'ip neighbour delete "$2" dev "$1" 2>/dev/null || :'

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name each node with an address that its tunnels send to, once."""
        seen = set()
        for node in second_first(scene):
            for peer, (device, mac) in self._far_ends(scene, node.name).items():
                if (node.name, peer) not in seen:
                    seen.add((node.name, peer))
                    yield Place(node.name, device, node.name, (peer, mac))

    def _far_ends(self, scene: Scene, node: str) -> dict[str, tuple[str, str]]:
        """Return by address the device and MAC address that the node's outer packets go to."""
        found: dict[str, tuple[str, str]] = {}
        for passages in scene.healthy.values():
            for p in passages:
                if p.packet.outer and (p.kind, p.where, p.direction) == ("space", node, "out"):
                    found[p.packet.destination] = (p.interface, p.packet.destination_mac)
        return found

    def effect(self, scene: Scene, place: Place) -> Effect:
        peer = place.detail[0]
        return Effect(
            scene.cells(
                "space",
                place.node,
                place.device,
                lambda p: p.direction == "out" and p.packet.destination == peer,
            )
        )

    def arguments(self, scene: Scene, place: Place) -> tuple[str, ...]:
        return (place.device, place.detail[0])

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        peer, mac = place.detail
        for row in space.rows("neighbours"):
            wrong = row.get("lladdr", mac).lower() != mac
            if row.get("dst") == peer and "PERMANENT" in row.get("state", ()) and wrong:
                line = f"{peer} dev {place.device} lladdr {row['lladdr']} PERMANENT"
                yield Proof(space.name, "ip neighbour show", (line,))
