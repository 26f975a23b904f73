"""Faults of links: parents, children and cables that are down, gone, or carry too little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from underlay.faults.evidence.lines import link_proof, port_proof
from underlay.faults.evidence.spaces import is_down, links, switch_ports
from underlay.faults.fault import ChildFault, Effect, Fault, Finding, Place
from underlay.faults.healing import given_back
from underlay.faults.places import parents, ports, second_first
from underlay.faults.remake import remake
from underlay.faults.scene import Cell, Scene, stack
from underlay.faults.step import Proof, Step
from underlay.plan import SWITCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.expect.passages import Kind, Passage
    from underlay.observe.evidence import Evidence, Space
    from underlay.plan import NodeLink

SUBJECT = "links"

UP = 'ip link set "$1" up'
# A VLAN goes down with its NIC, but doesn't come up with it (net/8021q/vlan.c).
UP_WITH_VLANS = """
ip link set "$1" up
for vlan in $(ip -o link show type vlan | sed -n "s/^[0-9]*: \\([^@]*\\)@$1: .*/\\1/p"); do
    ip link set "$vlan" up
done
"""


class ParentDown(Fault):
    """A node's NIC, or the VLAN on it, is administratively down."""

    id = "parent-down"
    layer = "link"
    title = "a parent is down"
    symptom = (
        "the node's own cells and all its containers' cells across nodes are lost; macvlan"
        " siblings lose each other too, ipvlan siblings don't"
    )
    evidence = "`ip link show` on the node: the parent lacks UP"
    cause = "The parent interface is down: its children send and receive nothing through it."
    cure = "ip link set DEVICE up on the node, then its addresses and routes"
    reference = (
        "Linux drivers/net/macvlan.c, macvlan_device_event; moby/moby#49593; measured: ipvlan"
        " siblings go on, macvlan ones don't"
    )
    loses_addresses = True
    break_script = 'ip link set "$1" down'
    mend_script = UP_WITH_VLANS

    def places(self, scene: Scene) -> Iterator[Place]:
        return parents(scene, second_first(scene))

    def effect(self, scene: Scene, place: Place) -> Effect:
        """All that passes the parent is lost, and what macvlan siblings have between them."""
        certain = scene.cells("parent", place.node, place.device) | scene.cells(
            "space", place.node, place.device
        )
        siblings: set[Cell] = set()
        for child in scene.children:
            if child.node == place.node and place.device in stack(child.network):
                cells = scene.cells("space", child.container, child.interface)
                if child.network.traits.by_mac:
                    certain |= cells
                elif child.network.vlan is not None:
                    # An ipvlan child on a VLAN follows its carrier in newer kernels only.
                    siblings |= cells
        return Effect(certain, frozenset(siblings))

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """Set it up, and then its VLANs, each with what networkd gives back on full nodes only."""
        vlans = [name for name in scene.parents(place.node) if name.startswith(f"{place.device}.")]
        steps = []
        for name in (place.device, *vlans):
            steps += [Step(place.target, UP, (name,)), *given_back(scene, place.target, name)]
        return steps

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find planned parents that lack UP; a VLAN on a NIC that is down is its consequence."""
        for place in parents(scene, scene.plan.nodes):
            space, device = evidence.space(place.node), place.device
            if space is None or not is_down(space, device):
                continue
            vlans = scene.plan.node(place.node).vlans
            nics = [vlan.link for vlan in vlans if vlan.interface == device]
            if not any(is_down(space, nic) for nic in nics):
                yield self.found(scene, place, link_proof(space, device))


class ParentMissing(Fault):
    """A node lacks the interface that its networks sit on."""

    id = "parent-missing"
    layer = "link"
    title = "a parent isn't there"
    symptom = "all containers of that network on the node are alone or don't exist"
    evidence = "`ip link show` on the node lacks the parent"
    cause = "The parent was deleted or renamed; the kernel removes its children with it."
    cure = "make the interface again, then start the node's containers anew: underlay down; up"
    reference = "Linux drivers/net/macvlan.c, macvlan_device_event (NETDEV_UNREGISTER)"
    needs_restart = True

    def effect(self, scene: Scene, place: Place) -> Effect:
        return ParentDown().effect(scene, place)

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        for place in parents(scene, scene.plan.nodes):
            space = evidence.space(place.node)
            if space is not None and place.device not in space.links:
                yield self.found(scene, place, link_proof(space, place.device))


class ChildDown(ChildFault):
    """A container's own interface is down."""

    id = "child-down"
    layer = "link"
    title = "a container's interface is down"
    symptom = "every cell of that container is lost; it has no route and no address to send from"
    evidence = "`ip link show` in the container: its interface lacks UP"
    cause = "The container's interface is down, and its routes went with it."
    cure = "ip link set DEVICE up in the container, then its routes"
    reference = "Linux net/ipv4/fib_frontend.c, fib_disable_ip"
    loses_addresses = True
    break_script = 'ip link set "$1" down'
    mend_script = UP

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        """Yield a child that lacks UP; one that lacks LOWER_UP alone has a parent that is down."""
        if is_down(space, place.device):
            yield link_proof(space, place.device)


class ChildMissing(ChildFault):
    """A container's interface is gone."""

    id = "child-missing"
    layer = "link"
    title = "a container has lost its interface"
    symptom = "every cell of that container is lost: nothing can be sent from its address"
    evidence = "`ip link show` in the container lists only lo"
    cause = (
        "The child was deleted: by hand, or with its parent, which the kernel does without a word."
    )
    cure = "start the container anew, or make the child again on its parent"
    reference = "measured: deleting a parent removes the children in other namespaces silently"
    loses_addresses = True
    attach = "child"  # those that remake.py can make again
    break_script = 'ip link delete "$1"'

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        return [remake(scene, place)]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find planned children that aren't there, though their parents are on the node."""
        for child in scene.children:
            space, node = evidence.space(child.container), evidence.space(child.node)
            if space is None or child.interface in space.links:
                continue
            if node is None or child.network.parent in node.links:
                place = Place.of(child, child.end)
                yield self.found(scene, place, link_proof(space, child.interface))


class ShimMissing(Fault):
    """A node's own child on a network of containers, its shim, is gone."""

    id = "shim-missing"
    layer = "link"
    title = "a node has lost its own child on a network (its shim)"
    symptom = (
        "nobody reaches the node in that network, and it doesn't reach its own containers;"
        " containers go on among themselves"
    )
    evidence = "`ip link show` on the node lacks the shim"
    cause = (
        "The shim was deleted, or nothing has made it again: what `ip link add` makes is gone after"
        " a boot, while units of systemd-networkd, netplan or ifupdown come back."
    )
    cure = (
        "make it again with its addresses and routes, and have a file do so at each boot: a .netdev"
        " with [MACVLAN] or [IPVLAN], MACVLAN= or IPVLAN= in the parent's .network, and a .network"
    )
    reference = "systemd.netdev(5); docker/docs#5394; measured: a node's boot brings none back"
    no_place = "no network of this lab has a shim"
    loses_addresses = True
    break_script = 'ip link delete "$1"'

    def places(self, scene: Scene) -> Iterator[Place]:
        """Yield each shim whose addresses the plan knows: a server's can't be given back."""
        for place, shim in self._shims(scene):
            if not shim.options.get("dhcp"):
                yield place

    def effect(self, scene: Scene, place: Place) -> Effect:
        """Who asks the shim's own address gets no answer, nor does a container from its own node.

        That one asks a shim for any of the node's addresses: the parent's own macvlan children
        never hear the parent. What the node asks itself may take another way. A cell whose request
        arrives by the shim, and whose answer has no way back, stops elsewhere without it.
        """
        shims = (shim for at, shim in self._shims(scene) if at == place)
        own = {one.ip for shim in shims for one in shim.addresses}

        def asked(passage: Passage) -> bool:
            packet = passage.packet
            to_node = packet.request and packet.cell[1] == place.target
            return to_node and (packet.destination in own or passage.sibling)

        certain = scene.cells("space", place.target, place.device, asked)
        here = ("space", place.target, place.device)
        moved = {
            cell
            for cell, passages in scene.arriving.items()
            if any(passage[:3] == here for passage in passages)
        }
        passing = scene.cells("space", place.target, place.device)
        return Effect(certain, (passing | moved) - certain)

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        """Make it again by the plan, where it isn't there."""
        (shim,) = (shim for at, shim in self._shims(scene) if at == place)
        words = [shim.kind, "mode", shim.options["mode"], shim.options.get("flag", "")]
        own = f" address {shim.mac}" if shim.kind == "macvlan" else ""
        # An ipvlan child has its parent's MAC address.
        made = f"ip link add link {shim.parent} name {shim.interface}{own} mtu {shim.mtu}"
        script = f'ip link show "$1" >/dev/null 2>&1 || {made} type {" ".join(filter(None, words))}'
        return [
            Step(place.target, script, (place.device,)),
            Step(place.target, UP, (place.device,)),
            *given_back(scene, place.target, place.device),
        ]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find planned shims that aren't there; the kernel removes them with their parent."""
        for place, _ in self._shims(scene):
            space = evidence.space(place.target)
            if space is not None and place.device not in space.links:
                proof = link_proof(space, place.device)
                yield self.found(scene, place, proof, follows=ParentMissing.id)

    def _shims(self, scene: Scene) -> Iterator[tuple[Place, NodeLink]]:
        names = {network.shim for network in scene.plan.networks if network.shim}
        for node in second_first(scene):
            for made in node.links:
                if made.interface in names:
                    yield Place(node.name, made.interface, node.name), made


class CableCut(Fault):
    """A node's switch port forwards nothing."""

    id = "cable-cut"
    layer = "link"
    title = "a node's cable or switch port is dead"
    symptom = "the node and its containers lose all other nodes in that segment; siblings go on"
    evidence = "`bridge link show` at the switch: the port isn't forwarding"
    cause = "The switch port of the node is disabled: frames neither enter nor leave by it."
    cure = "bridge link set dev PORT state 3 at the switch"
    reference = "bridge(8), link set state; measured: a node sees no carrier loss from it"
    # A tap that is set down would wedge the node's NIC for good.
    break_script = 'bridge link set dev "$1" state 0'
    mend_script = 'bridge link set dev "$1" state 3'
    kind = "port"

    def places(self, scene: Scene) -> Iterator[Place]:
        for node, segment, port in ports(scene):
            yield Place(SWITCH, port, node.name, (segment.name,))

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find ports in any state but forwarding, set down, or in no bridge at all."""
        switch = evidence.space(SWITCH)
        rows = switch_ports(switch)
        for place in self.places(scene):
            row = rows.get(place.device)
            if switch and row is None and place.device in switch.links:
                yield self.found(scene, place, link_proof(switch, place.device))
            if row is None or self._unplugged_by_node(scene, evidence, place, row):
                continue
            bridge = switch.links.get(row.get("master", "")) if switch else None
            if bridge is not None and "UP" not in bridge["flags"]:
                continue  # all ports of a bridge that is down are disabled
            if row.get("state") != "forwarding" or "UP" not in row["flags"]:
                # A port has no carrier once nobody holds its other end.
                off = place.node in evidence.failed and "LOWER_UP" not in row["flags"]
                follows = "node-hung" if off else ""
                yield self.found(scene, place, port_proof(row), follows=follows)

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """Plug it in, set it up and let it forward: any of these may be what it lacks."""
        bridge = next(s.bridge for s in scene.plan.segments if s.name == place.detail[0])
        plugged = Step(SWITCH, 'ip link set "$1" master "$2" up', (place.device, bridge))
        return [plugged, *self.undo(scene, place)]

    def _unplugged_by_node(
        self, scene: Scene, evidence: Evidence, place: Place, row: dict[str, Any]
    ) -> bool:
        """Whether the port has no carrier because its node has set the NIC down."""
        node = evidence.space(place.node)
        nics = [n for n in scene.plan.node(place.node).nics if n.segment == place.detail[0]]
        if "LOWER_UP" in row["flags"] or node is None or not nics:
            return False
        return "UP" not in node.links.get(nics[0].interface, {}).get("flags", ("UP",))


LESS = 100
SET = 'ip link set "$1" mtu "$2"'


class MtuTooSmall(Fault):
    """An interface on the way takes smaller packets than planned."""

    id = "mtu-too-small"
    layer = "link"
    title = "an interface takes smaller packets than planned"
    symptom = (
        "small packets pass and large ones vanish: pings work, TCP opens and stalls; only the"
        " check `pmtu` shows it"
    )
    evidence = "`ip link show`: an mtu below the plan's, in a container, on a node or at the switch"
    cause = (
        "No interface sends more than its MTU. A sender learns of a smaller one behind it from a"
        " router's ICMP only: a switch or a peer drops what is too large without a word."
    )
    cure = "ip link set DEVICE mtu SIZE there; macvlan children don't rise with their parent"
    reference = (
        "RFC 1191; Linux net/core/dev.c, is_skb_forwardable; docker/for-linux#1426; measured"
    )
    no_place = "this lab has no network"

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name all that packets of the check `pmtu` pass: ports, children and parents."""
        for segment in scene.plan.segments:
            for name, port in segment.ports.items():
                detail = (str(segment.mtu), "port", segment.name)
                yield Place(SWITCH, port, name, detail)
        for child in scene.children:
            detail = (str(child.network.mtu), "space", child.container)
            yield Place.of(child, *detail)
        for node in scene.plan.nodes:
            planned = {card.interface: card.mtu for card in node.nics}
            planned |= {card.interface: card.mtu for card in node.vlans}
            planned |= {link.interface: link.mtu for link in node.links}
            for interface, mtu in planned.items():
                yield Place(node.name, interface, node.name, (str(mtu), "parent", node.name))

    def effect(self, scene: Scene, place: Place) -> Effect:
        """The sizes of all paths that leave by it change, and no cell of reachability does.

        An MTU bounds what is sent. What a NIC takes in beyond it is the driver's business, and so
        is possible; a child and a port of a switch take in what they get.
        """
        kind, where, device = cast("Kind", place.detail[1]), place.detail[2], place.device
        certain = scene.sized(kind, where, device, "out")
        if kind != "parent":
            return Effect(certain)
        taken = scene.sized(kind, where, device, "in")
        # The node's own packets, and what siblings of a macvlan parent have between them.
        own = scene.sized("space", where, device, "out")
        return Effect(certain, taken | own)

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        return [Step(place.target, SET, (place.device, str(int(place.detail[0]) - LESS)))]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        """Give it its size again, and to the children that sank with it."""
        steps = [Step(place.target, SET, (place.device, place.detail[0]))]
        for child in scene.children:
            if place.target == place.node == child.node and child.network.parent == place.device:
                words = (child.interface, str(child.network.mtu))
                steps.append(Step(child.container, SET, words))
        return steps

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find interfaces below their planned size, but not children that sank with a parent."""
        found = []
        for place, space, link in links(evidence, self.places(scene)):
            if int(link.get("mtu", 0)) < int(place.detail[0]):
                found.append((place, space, int(link["mtu"])))
        sunk = {(p.node, p.device): size for p, _, size in found if p.target == p.node}
        for place, space, size in found:
            own = [c for c in scene.children if c.container == place.target]
            if any(sunk.get((c.node, c.network.parent)) == size for c in own):
                continue
            yield self.found(scene, place, link_proof(space, place.device))
