"""Faults of nodes that switch or route for their containers: bridges, NAT and forwarding."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from underlay.drivers import driver
from underlay.faults.catalogue.filters import (
    CALLS,
    asked_by_bridges,
    effect_of,
    has_bridged,
    proofs_of,
    sureness_of,
)
from underlay.faults.evidence.acting import drops
from underlay.faults.evidence.lines import link_proof, sysctl_proof
from underlay.faults.evidence.spaces import links
from underlay.faults.fault import ChildFault, Effect, Fault, Finding, Place
from underlay.faults.healing import removed
from underlay.faults.places import second_first
from underlay.faults.step import Proof, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from underlay.expect.passages import Packet
    from underlay.faults.scene import Cell, Passage, Scene
    from underlay.observe.evidence import Evidence, Space
    from underlay.plan import PlannedNode

SUBJECT = "bridges"

# A container's end of its cable says the number of the other end, which is on the node.
NODE_END = """
number=$(cat "/sys/class/net/$1/iflink")
on_node="nsenter --target 1 --net --"
port=$($on_node ip -o link show | sed -n "s/^$number: \\([^:@]*\\).*/\\1/p")
test "$port"
"""
FORWARDING = "net.ipv4.ip_forward"


class BridgeUplink(Fault):
    """A bridge that has lost the NIC by which it leaves the node."""

    id = "bridge-uplink-missing"
    layer = "driver"
    title = "a bridge lacks its uplink"
    symptom = "the node and its containers on that bridge lose all other nodes; siblings go on"
    evidence = "`ip link show` on the node: the NIC has no master"
    cause = "The NIC isn't a port of the bridge: frames leave the node by no other way."
    cure = "ip link set NIC master BRIDGE on the node"
    reference = "bridge(8); ip-link(8), master"
    no_place = "no network of this lab has a bridge that holds an uplink"
    kind = "parent"
    break_script = 'ip link set "$1" nomaster'

    def places(self, scene: Scene) -> Iterator[Place]:
        for node in second_first(scene):
            for link in node.links:
                if link.kind == "bridge" and link.parent:
                    yield Place(node.name, link.parent, node.name, (link.interface,))

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        script = 'ip link set "$1" master "$2"'
        return [Step(place.target, script, (place.device, place.detail[0]))]

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        link = space.links.get(place.device)
        if link and link.get("master") != place.detail[0]:
            yield link_proof(space, place.device)


class BridgePort(ChildFault):
    """A container whose cable isn't in its node's bridge."""

    id = "bridge-port-missing"
    layer = "driver"
    title = "a container isn't in its bridge"
    symptom = "every cell of the container is lost; its interface looks fine from inside"
    evidence = "`ip link show` on the node: the container's port has no master, or lacks UP"
    cause = "The node's end of the container's cable is no port of the bridge, or is down."
    cure = "ip link set PORT master BRIDGE up on the node, or start the container anew"
    reference = "bridge(8); veth(4)"
    no_place = "no container of this lab is on a bridge"
    break_script = f'{NODE_END}\n$on_node ip link set "$port" nomaster'

    def places(self, scene: Scene) -> Iterator[Place]:
        for child in scene.children:
            if child.network.traits.attach == "port":
                yield Place.of(child, child.end, child.network.parent)

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        script = f'{NODE_END}\n$on_node ip link set "$port" master "$2" up'
        return [Step(place.target, script, (place.device, place.detail[1]))]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find containers whose other end has another master than planned, or is down."""
        for place, _, link in links(evidence, self.places(scene)):
            node = evidence.space(place.node)
            if node is None or "UP" not in link["flags"]:
                continue
            ends = {row["ifindex"]: row for row in node.links.values()}
            port = ends.get(link.get("link_index", 0))
            if port and (port.get("master") != place.detail[1] or "UP" not in port["flags"]):
                yield self.found(scene, place, link_proof(node, port["ifname"]))


class BridgeFiltered(Fault):
    """A node's FORWARD chain is asked about what its bridges pass on, and drops it."""

    id = "bridge-netfilter"
    layer = "filters"
    title = "a node's IP filter drops what its bridge passes on"
    symptom = (
        "containers on the bridge lose each other and all other nodes; their own node still"
        " reaches them"
    )
    evidence = f"{CALLS} = 1, and a rule or policy of FORWARD that drops"
    cause = (
        "With br_netfilter loaded, bridged frames pass iptables' FORWARD as if they were routed;"
        " Docker sets that chain's policy to DROP."
    )
    cure = f"sysctl -w {CALLS}=0 on the node, or accept the bridge's frames in FORWARD"
    reference = "Docker docs, engine/network/packet-filtering-firewalls; moby/moby#39439; measured"
    no_place = "no container of this lab is on a bridge"
    break_script = f"""
modprobe br_netfilter
sysctl -qw {CALLS}=1
iptables-legacy -w 5 -I FORWARD -j DROP
"""
    mend_script = f"""
iptables-legacy -w 5 -D FORWARD -j DROP 2>/dev/null || :
sysctl -qw {CALLS}=0 2>/dev/null || :
"""

    def places(self, scene: Scene) -> Iterator[Place]:
        for node in second_first(scene):
            if has_bridged(scene, node.name):
                yield Place(node.name, "", node.name)

    def effect(self, scene: Scene, place: Place) -> Effect:
        """It takes what the node's bridges pass from port to port, and what the node forwards."""
        return Effect(self._passed(scene, place.node, lambda _: True))

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """Ask the chain no more, and remove the rule: what is routed meets it as well."""
        return [Step(place.target, f"sysctl -w {CALLS}=0"), *removed(place.target, proofs)]

    def _passed(self, scene: Scene, node: str, wanted: Callable[[Packet], bool]) -> frozenset[Cell]:
        def bridged(passage: Passage) -> bool:
            by_port = driver(passage.driver).attach == "port"
            return by_port and passage.packet.family == 4 and wanted(passage.packet)

        def routed(passage: Passage) -> bool:
            return passage.forwarded and passage.packet.family == 4 and wanted(passage.packet)

        return scene.cells("parent", node, "", bridged) | scene.cells("space", node, "", routed)

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find a dropping rule of FORWARD that has counted, where bridges ask that chain."""
        for place in self.places(scene):
            space = evidence.space(place.node)
            if space is None or not asked_by_bridges(scene, space):
                continue
            for drop in drops(space):
                if drop.hook != "FORWARD" or drop.frames != "ip":
                    continue
                # Bridged frames show the bridge itself as both interfaces, as -i and -o do.
                cells = self._passed(scene, place.node, replace(drop, device="").takes)
                known = drop.understood and not drop.device
                effect = effect_of(replace(drop, understood=known), cells)
                proofs = (sysctl_proof(space, CALLS), *proofs_of(space, drop))
                yield self.found(
                    scene,
                    place,
                    *proofs,
                    sureness=sureness_of(drop),
                    effect=effect,
                    counted=drop.hits,
                )


class NatMissing(Fault):
    """A node doesn't masquerade for its containers any more."""

    id = "masquerade-missing"
    shows_otherwise = ("source",)
    layer = "routing"
    title = "a node doesn't masquerade for its containers"
    symptom = "the network's containers reach their own node only; requests arrive, answers don't"
    evidence = "`iptables-save` on the node: no MASQUERADE or SNAT for the subnet"
    cause = "Requests leave with an address that nobody outside knows a way back to."
    cure = "iptables -t nat -A POSTROUTING -s SUBNET ! -o BRIDGE -j MASQUERADE on the node"
    reference = "Linux net/netfilter/nf_nat_masquerade.c; cni.dev, plugins/current/main/bridge"
    no_place = "no network of this lab is behind NAT"

    def places(self, scene: Scene) -> Iterator[Place]:
        for node in second_first(scene):
            for link in node.links:
                if link.options.get("masquerade"):
                    subnet = link.options["masquerade"]
                    yield Place(node.name, link.interface, node.name, (subnet,))

    def takes(self, scene: Scene, place: Place, passage: Passage) -> bool:
        return passage.forwarded and passage.direction == "in" and passage.packet.request

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        return [Step(place.target, DELETE_NAT, place.detail)]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        """Put the plan's own rule in again, which need not be the one that was deleted."""
        script = """
iptables-legacy-save -t nat | grep -q -e "-s $1 .*MASQUERADE" ||
    iptables-legacy -w 5 -t nat -A POSTROUTING -s "$1" ! -o "$2" -j MASQUERADE
"""
        return [Step(place.target, script, (*place.detail, place.device))]

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        rule = f"-s {place.detail[0]} ! -o {place.device} -j MASQUERADE"
        return [Step(place.target, f"iptables-legacy -w 5 -t nat -A POSTROUTING {rule}")]

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        rules = [line for line in space.lines("iptables") if "POSTROUTING" in line]
        asked = [x for x in rules if "MASQUERADE" in x or "SNAT" in x or "-j CNI-" in x]
        if not any(place.detail[0] in x or "-s " not in x for x in asked):
            lines = tuple(rules) or ("no rule of POSTROUTING",)
            yield Proof(space.name, "iptables-save -c -t nat", lines)


DELETE_NAT = """
iptables-legacy-save -t nat | grep -e "^-A POSTROUTING .*-s $1 .*-j MASQUERADE" |
while read -r _ rule; do
    iptables-legacy -w 5 -t nat -D $rule
done
"""


class ForwardingOff(Fault):
    """A node or external host that should forward doesn't."""

    id = "forwarding-off"
    layer = "routing"
    title = "a router doesn't forward"
    symptom = "everything that is routed by that machine is lost; its own cells go on"
    evidence = f"{FORWARDING} = 0 there, or net.ipv4.conf.DEVICE.forwarding = 0 where they come in"
    cause = "The kernel drops packets that aren't for itself."
    cure = f"sysctl -w {FORWARDING}=1 there"
    reference = "Linux Documentation/networking/ip-sysctl.rst, ip_forward"
    no_place = "no machine of this lab routes for others"
    break_script = f"sysctl -qw {FORWARDING}=0"
    mend_script = f"sysctl -qw {FORWARDING}=1"

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name every machine that forwards, external hosts first."""
        for host in scene.plan.hosts:
            if host.forwards:
                yield Place(host.name, "", host.name)
        for node in scene.plan.nodes:
            if node.forwards and self._nodes(scene, node):
                yield Place(node.name, "", node.name)

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """Switch on what is off: the machine's own switch, or that of an interface."""
        switch = f"net/ipv4/conf/{place.device}/forwarding" if place.device else FORWARDING
        return [Step(place.target, f"sysctl -w {switch}=1")]

    def takes(self, scene: Scene, place: Place, passage: Passage) -> bool:
        """What is forwarded there is lost; of an interface alone, what comes in by it."""
        way = "in" if place.device else passage.direction
        return passage.forwarded and passage.packet.family == 4 and passage.direction == way

    def _nodes(self, scene: Scene, node: PlannedNode) -> bool:
        return bool(scene.cells("space", node.name, "", lambda p: p.forwarded))

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find machines, else interfaces that forwarded packets come in by, with forwarding off."""
        for place in self.places(scene):
            space = evidence.space(place.target)
            if space is None:
                continue
            switches = {"": FORWARDING}
            if space.sysctl.get(FORWARDING) != "0":
                switches = {name: f"net.ipv4.conf.{name}.forwarding" for name in space.links}
            for device, switch in switches.items():
                there = replace(place, device=device)
                if space.sysctl.get(switch) == "0" and self.effect(scene, there).certain:
                    yield self.found(scene, there, sysctl_proof(space, switch))
