"""Faults of overlays: tunnels with another id, port, key or list of nodes than planned."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from underlay.drivers import DRIVERS
from underlay.faults.evidence.lines import details_proof, link_proof
from underlay.faults.evidence.spaces import info, is_up
from underlay.faults.fault import Effect, Fault, Finding, Place
from underlay.faults.places import second_first
from underlay.faults.step import Proof, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.faults.scene import Scene
    from underlay.observe.evidence import Evidence, Space
    from underlay.plan import NodeLink

SUBJECT = "overlays"

EVERYBODY = "00:00:00:00:00:00"
VXLAN = """
name=$1 bridge=$2 mtu=$3 id=$4 port=$5 local=$6 device=$7 group=$8; shift 8
ip link delete "$name" 2>/dev/null || :
ip link add "$name" type vxlan id "$id" dstport "$port" local "$local" dev "$device" \\
    ${group:+group "$group"}
ip link set "$name" mtu "$mtu" master "$bridge"
ip link set "$name" up
for peer; do bridge fdb append 00:00:00:00:00:00 dev "$name" dst "$peer"; done
"""
GRETAP = """
name=$1 bridge=$2 mtu=$3 local=$4 remote=$5 key=$6
ip link delete "$name" 2>/dev/null || :
ip link add "$name" type gretap local "$local" remote "$remote" ${key:+key "$key"}
ip link set "$name" mtu "$mtu" master "$bridge"
ip link set "$name" up
bridge link set dev "$name" isolated on
"""


def tunnels(scene: Scene, kind: str = "") -> Iterator[tuple[Place, NodeLink]]:
    """Yield every tunnel of every node as a place, the second node's first."""
    kinds = (kind,) if kind else tuple(one.name for one in DRIVERS.values() if one.overlay)
    for node in second_first(scene):
        for link in node.links:
            if link.kind in kinds:
                yield Place(node.name, link.interface, node.name), link


def tunnel_at(scene: Scene, place: Place) -> NodeLink:
    """Return the tunnel that a place is about."""
    return next(link for here, link in tunnels(scene) if here == place)


def remade(place: Place, link: NodeLink) -> Step:
    """Return the step that makes a tunnel anew as ``link`` says."""
    options = link.options
    common = (link.interface, link.master, str(link.mtu))
    if link.kind == "vxlan":
        words = (
            *common, str(options["id"]), str(options["dstport"]), options["local"], link.parent,
            options.get("group", ""), *options.get("fdb", ()),
        )  # fmt: skip
        return Step(place.target, VXLAN, words)
    key = options.get("key")
    words = (*common, options["local"], options["remote"], str(key if key is not None else ""))
    return Step(place.target, GRETAP, words)


class Tunnel(Fault):
    """A tunnel of a node that isn't as planned: what it carries is lost."""

    layer = "overlay"
    device_kind: ClassVar[str] = ""
    kind = "parent"
    no_place = "this lab has no overlay network"

    def places(self, scene: Scene) -> Iterator[Place]:
        return (place for place, _ in tunnels(scene, self.device_kind))

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        return [remade(place, tunnel_at(scene, place))]

    def _numbered(self, scene: Scene, place: Place, option: str) -> list[Step]:
        """Return the step that makes the tunnel anew with the next number for an option."""
        link = tunnel_at(scene, place)
        other = {**link.options, option: (link.options.get(option) or 0) + 1}
        return [remade(place, replace(link, options=other))]

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        if place.device in space.links:
            yield from self.differing(space, tunnel_at(scene, place))

    def differing(self, space: Space, link: NodeLink) -> Iterator[Proof]:
        """Yield the proof that a tunnel that is there has this fault."""
        yield from ()


class VxlanId(Tunnel):
    """A VXLAN with another network identifier."""

    id = "vxlan-vni"
    device_kind = "vxlan"
    no_place = "this lab has no vxlan network"
    title = "a VXLAN has another VNI than planned"
    symptom = "the overlay's containers on that node lose all other nodes; siblings go on"
    evidence = "`ip -details link show` on the node: vxlan id differs; no counter rises anywhere"
    cause = "The receiver drops packets of a VNI that it has no device for, without a word."
    cure = "delete the VXLAN and make it with the right id, then put it into its bridge"
    reference = "Linux drivers/net/vxlan (VXLAN_VNI_NOT_FOUND); RFC 7348, 4"
    option: ClassVar[str] = "id"

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        return self._numbered(scene, place, self.option)

    def differing(self, space: Space, link: NodeLink) -> Iterator[Proof]:
        """Yield the settings where the number isn't the plan's."""
        seen = info(space, link.interface).get({"id": "id", "dstport": "port"}[self.option])
        if seen is not None and int(seen) != link.options[self.option]:
            yield details_proof(space, link.interface)


class VxlanPort(VxlanId):
    """A VXLAN on another UDP port."""

    id = "vxlan-port"
    option = "dstport"
    title = "a VXLAN uses another UDP port"
    evidence = "`ip -details link show` on the node: dstport differs from the other nodes'"
    cause = "It sends to a port that nobody listens at, and doesn't hear what the others send."
    cure = "delete the VXLAN and make it with `dstport 4789`; ip link's own default is 8472"
    reference = "ip-link(8), vxlan dstport; RFC 7348, 5"


class VxlanList(Tunnel):
    """Two nodes that aren't in each other's list of a VXLAN."""

    id = "vxlan-not-listed"
    device_kind = "vxlan"
    title = "two nodes don't list each other in a VXLAN"
    symptom = "the overlay's containers on the two nodes lose each other; the rest goes on"
    evidence = "`bridge fdb show dev VXLAN` on both nodes: no 00:00:00:00:00:00 for the other one"
    cause = "ARP goes to the nodes listed for 00:00:00:00:00:00 only, and nobody relays it."
    cure = "bridge fdb append 00:00:00:00:00:00 dev VXLAN dst NODE on both nodes"
    reference = "ip-link(8), vxlan; Linux drivers/net/vxlan (VXLAN_NO_REMOTE); measured"
    no_place = "this lab has no VXLAN with a static list"

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name every tunnel with a list, and one other node of that list."""
        for place, link in tunnels(scene, "vxlan"):
            for peer in link.options.get("fdb", ())[:1]:
                other = self._owner(scene, peer, link)
                yield Place(place.target, place.device, place.node, (peer, *other))

    def effect(self, scene: Scene, place: Place) -> Effect:
        own = {link.options["local"] for here, link in tunnels(scene) if here.node == place.node}
        peer = place.detail[0]
        every = scene.cells("parent", place.node, place.device)
        between = [
            scene.cells(
                "space",
                node,
                "",
                lambda p: (
                    p.packet.outer == "udp"
                    and (
                        (p.packet.source in own and p.packet.destination == peer)
                        or (p.packet.destination in own and p.packet.source == peer)
                    )
                ),
            )
            for node in (place.node, place.detail[1])
        ]
        return Effect(every & frozenset().union(*between))

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        script = f'bridge fdb delete {EVERYBODY} dev "$1" dst "$2"'
        return self._both(scene, place, script)

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        script = f"""
bridge fdb show dev "$1" | grep -q "^{EVERYBODY} dst $2 " ||
    bridge fdb append {EVERYBODY} dev "$1" dst "$2"
"""
        return self._both(scene, place, script)

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        return self._both(scene, place, f'bridge fdb append {EVERYBODY} dev "$1" dst "$2"')

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find pairs of nodes of which neither lists the other."""
        missing: dict[tuple[str, str, str], Proof] = {}
        for place, link in tunnels(scene, "vxlan"):
            space = evidence.space(place.node)
            for peer in link.options.get("fdb", ()) if space else ():
                owner = self._owner(scene, peer, link)
                if space and owner and peer not in _listed(space, link.interface):
                    words = f"bridge fdb show dev {link.interface} | grep {EVERYBODY}"
                    lines = [f"dst {p}" for p in _listed(space, link.interface)]
                    proof = Proof(place.node, words, tuple(lines) or ("no entry",))
                    missing[place.node, owner[0], link.interface] = proof
        for (node, other, device), proof in missing.items():
            if node < other and (other, node, device) in missing:
                both = (proof, missing[other, node, device])
                for place in self._between(scene, node, other, device):
                    yield self.found(scene, place, *both)

    def _between(self, scene: Scene, node: str, other: str, device: str) -> Iterator[Place]:
        for place, link in tunnels(scene, "vxlan"):
            if (place.node, link.interface) == (node, device):
                for peer in link.options["fdb"]:
                    if self._owner(scene, peer, link)[:1] == (other,):
                        yield Place(node, device, node, (peer, other, device))

    def _owner(self, scene: Scene, address: str, link: NodeLink) -> tuple[str, ...]:
        for place, other in tunnels(scene, "vxlan"):
            if other.options["local"] == address and other.options["id"] == link.options["id"]:
                return place.node, other.interface
        return ()

    def _both(self, scene: Scene, place: Place, script: str) -> list[Step]:
        own = tunnel_at(scene, Place(place.target, place.device, place.node)).options["local"]
        peer, node, device = place.detail
        return [
            Step(place.target, script, (place.device, peer)),
            Step(node, script, (device, own)),
        ]


class GreKey(Tunnel):
    """A GRE tunnel with another key."""

    id = "gre-key"
    device_kind = "gretap"
    no_place = "this lab has no gretap network"
    title = "a GRE tunnel has another key"
    symptom = "the overlay's containers lose those behind that tunnel; others go on"
    evidence = "`ip -details link show` on the node: ikey or okey differs from the plan"
    cause = "The receiver looks a tunnel up by addresses and key, and finds none."
    cure = "delete the tunnel and make it with the same key at both ends"
    reference = "Linux net/ipv4/ip_tunnel.c, ip_tunnel_lookup; RFC 2890"

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        return self._numbered(scene, place, "key")

    def differing(self, space: Space, link: NodeLink) -> Iterator[Proof]:
        """Yield the settings where a key of either direction isn't the plan's."""
        data, wanted = info(space, link.interface), link.options.get("key")
        keys = {_number(data.get(name)) for name in ("ikey", "okey")}
        if keys != {wanted or 0}:
            yield details_proof(space, link.interface)


class TunnelDown(Tunnel):
    """A tunnel's device is down, or it isn't there."""

    id = "tunnel-down"
    title = "a tunnel is down"
    symptom = "the overlay's containers on that node lose all other nodes; siblings go on"
    evidence = "`ip link show` on the node: the tunnel lacks UP, or isn't there"
    cause = "A device that is down neither wraps nor unwraps frames."
    cure = "ip link set DEVICE up on the node, or make it anew"
    reference = "ip-link(8)"
    break_script = 'ip link set "$1" down'

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """Set it up where it is, else make it anew."""
        there = any("<" in line for line in proofs[0].lines)
        up = Step(place.target, 'ip link set "$1" up', (place.device,))
        return [up] if there else self.undo(scene, place)

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        if not is_up(space, place.device):
            yield link_proof(space, place.device)


class TunnelUnplugged(Tunnel):
    """A tunnel that is no port of its bridge."""

    id = "tunnel-unplugged"
    title = "a tunnel isn't in its bridge"
    symptom = "the overlay's containers on that node lose all other nodes; siblings go on"
    evidence = "`ip link show` on the node: the tunnel has no master, or another one"
    cause = "Frames leave the bridge by its ports, and the tunnel isn't one of them."
    cure = "ip link set DEVICE master BRIDGE on the node"
    reference = "bridge(8); ip-link(8), master"
    break_script = 'ip link set "$1" nomaster'

    def differing(self, space: Space, link: NodeLink) -> Iterator[Proof]:
        """Yield the interface where its master isn't the plan's."""
        if space.links[link.interface].get("master") != link.master:
            yield link_proof(space, link.interface)


def _number(key: Any) -> int:
    """Return the key as a number: 0.0.0.7 is 7, and one that isn't there is 0."""
    if key is None:
        return 0
    number = 0
    for part in str(key).split("."):
        number = number * 256 + int(part)
    return number


def _listed(space: Space, device: str) -> list[str]:
    return [
        row["dst"]
        for row in space.rows("fdb")
        if (row.get("ifname"), row.get("mac")) == (device, EVERYBODY) and "dst" in row
    ]
