"""Faults of addresses: missing, other than planned, with the wrong mask, or owned twice."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address, ip_network
from typing import TYPE_CHECKING, ClassVar

from underlay.drivers import DRIVERS
from underlay.faults.evidence.lines import addresses_proof, link_proof
from underlay.faults.evidence.routes import best, contains
from underlay.faults.evidence.spaces import is_up, link_kind
from underlay.faults.fault import Effect, Fault, Finding, Place
from underlay.faults.healing import given_back
from underlay.faults.next_hops import carried
from underlay.faults.places import neighbour
from underlay.faults.remake import child_at, unused_address
from underlay.faults.scene import Passage, Scene, cell_of, involving
from underlay.faults.step import Proof, Step
from underlay.plan import Cidr, family_of, own_addresses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.observe.evidence import Evidence, Space

SUBJECT = "addresses"

ADD = 'ip address replace "$2" dev "$1"'
DELETE = 'ip address delete "$2" dev "$1" 2>/dev/null || :'


def addressed(scene: Scene) -> Iterator[Place]:
    """Yield every child with an IPv4 address as a place, with its name and that address."""
    for child in scene.children:
        if child.address:
            address = f"{child.address}/{child.prefix}"
            yield Place.of(child, child.end, address)


def anew(scene: Scene, place: Place) -> list[Step]:
    """Return what gives a container's interface its planned IPv4 address instead of others."""
    flushed = Step(place.target, 'ip -4 address flush dev "$1" scope global', (place.device,))
    return [flushed, *given_back(scene, place.target, place.device)]


class AddressFault(Fault):
    """A fault of the address that its place names as its second detail."""

    layer = "addressing"

    def arguments(self, scene: Scene, place: Place) -> tuple[str, ...]:
        return (place.device, place.detail[1])


class AddressMissing(AddressFault):
    """A container has lost its address."""

    id = "address-missing"
    title = "a container lacks its address"
    symptom = "every cell of the container is lost; it can't even send from its address"
    evidence = "`ip address show` in the container lacks the planned address, and has no other"
    cause = "The address was deleted, or the runtime's IPAM never gave one."
    cure = "ip address add ADDRESS dev DEVICE in the container, or start it anew"
    reference = "Linux net/ipv4/af_inet.c, inet_bind (EADDRNOTAVAIL)"
    loses_addresses = True
    family = 4
    break_script = DELETE
    mend_script = ADD
    has_another: ClassVar[bool] = False

    def places(self, scene: Scene) -> Iterator[Place]:
        return addressed(scene)

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        """Yield the addresses of a child that is up without its planned IPv4 one."""
        seen = [a for a in space.addresses(place.device) if a.family == 4]
        lacking = Cidr(place.detail[1]).ip not in [address.ip for address in seen]
        if is_up(space, place.device) and lacking and bool(seen) is self.has_another:
            yield addresses_proof(space, place.device)


class WrongAddress(AddressMissing):
    """A container has another address than planned."""

    id = "wrong-address"
    shows_otherwise = ("source",)
    title = "a container has another address than planned"
    symptom = "every cell of the container is lost: nobody answers for its planned address"
    evidence = "`ip address show` in the container shows another address"
    cause = (
        "The address came from somewhere else than the plan: another net.d file, another range, "
        "a leftover of IPAM, or a hand."
    )
    cure = "correct the network's range or the container's address, and start it anew"
    reference = "cni.dev, plugins/current/ipam/host-local; k8snetworkplumbingwg/multus-cni#1150"
    has_another = True

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        """Exchange it for one that nobody has; a second one would go with the first."""
        return self._exchanged(place, place.detail[1], self._other(scene, place))

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        return self._exchanged(place, self._other(scene, place), place.detail[1])

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        return anew(scene, place)

    def _exchanged(self, place: Place, old: str, new: str) -> list[Step]:
        return [
            Step(place.target, DELETE, (place.device, old)),
            Step(place.target, ADD, (place.device, new)),
        ]

    def _other(self, scene: Scene, place: Place) -> str:
        return f"{unused_address(scene, place)}/{child_at(scene, place).prefix}"


class TwoOwners(AddressFault):
    """Somebody else has a container's address, too: a container, or a node."""

    shows_otherwise = ("arp", "nd", "macs")

    symptom = "some askers reach the wrong owner, others the right one; answers get lost"
    reference = "RFC 5227; containernetworking/plugins#262; multus-cni#52, #144, #185"
    by_node: ClassVar[bool]
    break_script = ADD
    mend_script = DELETE

    def effect(self, scene: Scene, place: Place) -> Effect:
        """Some of the victim's cells are lost: who is asked decides the race."""
        cells = frozenset(c for c in involving(scene.healthy, place.detail[0]) if c[3] == 4)
        taker = {c.end for c in scene.children if c.container == place.target} | {place.target}
        between = frozenset(c for c in cells if taker & set(c[:2]))
        return Effect(between, cells)

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        nodes = {node.name for node in scene.plan.nodes}
        owners = owners_of(scene, evidence)
        # Networks that don't meet may have one subnet, as tenants' do.
        planned = {(child.container, child.interface, child.address) for child in scene.children}
        for child in scene.children:
            for space, device, own in owners.get(child.address, ()):
                if (space.name, device, child.address) in planned:
                    continue
                if (space.name in nodes) is not self.by_node:
                    continue
                # With another mask than the owner's it is another address to who deletes it.
                place = Place(space.name, device, space.node, (child.end, str(own)))
                victim = evidence.space(child.container)
                proofs = [addresses_proof(space, device)]
                proofs += [addresses_proof(victim, child.interface)] if victim else []
                yield self.found(scene, place, *proofs, steps=self.given_up(scene, space, device))

    def given_up(self, scene: Scene, space: Space, device: str) -> list[Step] | None:
        """Return what takes the address from ``device``; None where `heal` says it."""
        return None


class DuplicateAddress(TwoOwners):
    """Another container has a container's address, too."""

    id = "duplicate-address"
    title = "an address has two owners"
    evidence = "the same address in `ip address show` of two containers or nodes"
    cause = (
        "Two machines have one IPv4 address; IPv4 detects no duplicates, and each asker keeps the "
        "ARP answer that came last."
    )
    cure = "give each node a range of its own (rangeStart, rangeEnd; sliced: true), then restart"
    by_node = False

    def places(self, scene: Scene) -> Iterator[Place]:
        for child in scene.children:
            victim = neighbour(scene, child)
            if victim:
                yield Place.of(child, victim.end, f"{victim.address}/{victim.prefix}")


class NodeHasAddress(TwoOwners):
    """A node's parent has a container's address, too."""

    id = "node-has-address"
    title = "a node has a container's address"
    evidence = "the container's address in `ip address show` of a node"
    cause = "The node answers for the container's address as well, and takes its packets."
    cure = "ip address delete ADDRESS dev PARENT on the node; keep node addresses out of the range"
    reference = "Docker docs, engine/network/drivers/macvlan.md, --aux-address"
    by_node = True

    def places(self, scene: Scene) -> Iterator[Place]:
        for node in scene.plan.nodes:
            for victim in scene.children:
                if victim.node != node.name:
                    detail = (victim.end, f"{victim.address}/32")
                    yield Place(node.name, victim.network.own, node.name, detail)

    def effect(self, scene: Scene, place: Place) -> Effect:
        """By another child of a parent than the plan's, the node's own containers reach the node.

        A node answers for each of its addresses on every interface (Linux ip-sysctl, arp_ignore).
        """
        taken = super().effect(scene, place)
        if place.device in scene.parents(place.node):
            return taken
        own = {child.end for child in scene.children if child.node == place.node}
        heard = {cell for cell in scene.closed if cell[0] in own and cell[1] == place.node}
        return Effect(taken.certain, taken.possible | heard)

    def given_up(self, scene: Scene, space: Space, device: str) -> list[Step] | None:
        """A child of a parent that the plan doesn't have answers as long as it is there."""
        planned = {link.interface for link in scene.plan.node(space.node).links}
        made_as = DRIVERS.get(link_kind(space, device))
        if device in planned or made_as is None or not made_as.has_children:
            return None
        return [Step(space.name, 'ip link delete "$1"', (device,))]


class DuplicateMac(Fault):
    """Two containers on different nodes have one MAC address."""

    id = "duplicate-mac"
    shows_otherwise = ("arp", "nd", "macs", "broadcast", "multicast")
    layer = "addressing"
    title = "a MAC address has two owners"
    symptom = "the two lose each other; others reach now the one, now the other"
    evidence = "the same link/ether in `ip link show` of two containers"
    cause = (
        "The switch keeps one port per MAC address, that of whoever spoke last; a frame between "
        "the two looks like one's own."
    )
    cure = "give one of them another MAC address (mac in the lab file, --mac-address)"
    reference = "containernetworking/plugins#250; ovs-cni#206; measured: 20 of 20 against 0 of 20"
    no_place = "this lab has no macvlan network over several nodes"

    def places(self, scene: Scene) -> Iterator[Place]:
        for child in scene.children:
            victim = neighbour(scene, child)
            if victim and child.network.traits.by_mac:
                yield Place.of(child, victim.end, victim.mac, child.mac, child.end)

    def effect(self, scene: Scene, place: Place) -> Effect:
        """The two lose each other; everything else of both may be lost, too."""
        victim, own = place.detail[0], place.detail[3]
        cells = involving(scene.healthy, victim, own)
        return Effect(frozenset(c for c in cells if {victim, own} <= set(c[:2])), cells)

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        return [self._set(place, place.detail[1])]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        return [self._set(place, place.detail[2])]

    def _set(self, place: Place, mac: str) -> Step:
        return Step(place.target, 'ip link set "$1" address "$2"', (place.device, mac))

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        planned = {c.mac: c for c in scene.children if c.network.traits.by_mac}
        for child in planned.values():
            space = evidence.space(child.container)
            link = space.links.get(child.interface) if space else None
            victim = planned.get(link["address"]) if link else None
            if space is None or victim is None or victim is child:
                continue
            place = Place.of(child, victim.end, victim.mac, child.mac, child.end)
            other = evidence.space(victim.container)
            proofs = [link_proof(space, child.interface)]
            proofs += [link_proof(other, victim.interface)] if other else []
            yield self.found(scene, place, *proofs)


class OtherMac(Fault):
    """A container's interface has another MAC address than planned."""

    id = "other-mac"
    shows_otherwise = ("arp", "nd", "macs")
    layer = "addressing"
    title = "a container has another MAC address than planned"
    symptom = "all is reached; what goes by the MAC address is not: leases, port security, filters"
    evidence = "`ip link show` in the container: another link/ether than `underlay status` plans"
    cause = (
        "Nothing fixes it, so whoever made the interface anew drew another one; or a hand set it."
    )
    cure = "fix it (macs in the lab file, --mac-address, mac_address:) and make the container anew"
    reference = "moby/moby#47176; Linux drivers/net/macvlan.c, macvlan_common_newlink"
    no_place = "this lab has no container with a MAC address of its own"

    def places(self, scene: Scene) -> Iterator[Place]:
        for child in scene.children:
            if child.network.traits.by_mac:
                yield Place.of(child, child.end, child.mac)

    def effect(self, scene: Scene, place: Place) -> Effect:
        """Who hears frames of it, or asks for its address, sees the other one."""
        seen = (one for one in scene.values if one.protocol in self.shows_otherwise)
        planned = place.detail[1]
        return Effect(frozenset(cell_of(one) for one in seen if one.value == planned))

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        return [self._set(place, _drawn(place.detail[1]))]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        return [self._set(place, place.detail[1])]

    def _set(self, place: Place, mac: str) -> Step:
        return Step(place.target, 'ip link set "$1" address "$2"', (place.device, mac))

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        """Yield the link of a child whose MAC address isn't its own, nor that of another one."""
        mac = space.links.get(place.device, {}).get("address", "")
        if mac and mac not in {child.mac for child in scene.children}:
            yield link_proof(space, place.device)


def _drawn(mac: str) -> str:
    """Return a MAC address that no plan has: planned ones begin otherwise."""
    return f"06{mac[2:]}"


class NodeAddressMissing(AddressFault):
    """A node lacks its own address on a parent."""

    id = "node-address-missing"
    title = "a node lacks its address on a parent"
    symptom = "containers of other nodes and this node lose each other; containers don't notice"
    evidence = "`ip address show` on the node lacks the planned address of the parent"
    cause = "The node's own address on the parent is gone, and with it its routes from there."
    cure = "networkctl reconfigure PARENT on the node, or ip address add and ip route add"
    reference = "Linux net/ipv4/fib_frontend.c, fib_del_ifaddr"
    loses_addresses = True
    break_script = DELETE
    mend_script = ADD

    def places(self, scene: Scene) -> Iterator[Place]:
        for node in scene.plan.nodes:
            own = own_addresses(node)
            for parent in scene.parents(node.name):
                if scene.cells("space", node.name, parent):
                    for address in own.get(parent, ()):
                        yield Place(node.name, parent, node.name, (node.name, address))

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        return given_back(scene, place.target, place.device)

    def effect(self, scene: Scene, place: Place) -> Effect:
        """The node's own cells are lost, and those of containers whose next hop it is."""

        def lost(passage: Passage) -> bool:
            return self.takes(scene, place, passage)

        own = super().effect(scene, place)
        return Effect(own.certain | carried(scene, place.target, place.device, lost))

    def takes(self, scene: Scene, place: Place, passage: Passage) -> bool:
        return passage.packet.family == family_of(place.detail[1])

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        lacking = place.detail[1] not in space.addresses(place.device)
        if is_up(space, place.device) and lacking:
            yield addresses_proof(space, place.device)


def owners_of(scene: Scene, evidence: Evidence) -> dict[str, list[tuple[Space, str, Cidr]]]:
    """Return which namespaces have each address of the lab, on which interface and as what."""
    found: dict[str, list[tuple[Space, str, Cidr]]] = {}
    names = [n.name for n in scene.plan.nodes] + [c.name for c in scene.plan.containers]
    for name in names:
        space = evidence.space(name)
        for device in space.links if space else ():
            assert space is not None
            for address in space.addresses(device):
                found.setdefault(address.ip, []).append((space, device, address))
    return found


AGAIN = f"""
{DELETE}
ip address replace "$3" dev "$1"
ip route replace default via "$4" dev "$1"
"""


class WrongMask(Fault):
    """A container's mask takes in more than its subnet: it looks for others on its own wire."""

    id = "wrong-mask"
    layer = "addressing"
    title = "a container's address has the wrong mask"
    symptom = "the container loses what lies behind its gateway, and keeps its own subnet"
    evidence = "`ip address show` in the container: the right address with another prefix length"
    cause = (
        "With a mask that is too short the container takes other subnets to be on its own wire"
        " and asks there by ARP, instead of its gateway; with one too long it's the other way."
    )
    cure = "ip address add ADDRESS/LENGTH dev DEVICE, delete the other, then the default route"
    reference = "RFC 1122, 3.3.1.1; Linux net/ipv4/fib_frontend.c, fib_add_ifaddr"
    loses_addresses = True
    no_place = "no container of this lab reaches another subnet by a gateway"

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name children that reach another subnet by a gateway, with a mask that takes in both."""
        for place in addressed(scene):
            child = child_at(scene, place)
            gateway = child.pool(4).gateway
            if child.network.default_route != "gateway" or not gateway:
                continue
            beyond = _beyond(scene, place, child.pool(4).subnet)
            if beyond:
                wide = _holding(child.address, beyond)
                detail = (*place.detail, f"{child.address}/{wide}", gateway)
                yield Place(place.target, place.device, place.node, detail)

    def effect(self, scene: Scene, place: Place) -> Effect:
        """What leaves for the subnets that the mask takes in is lost."""
        right, wrong = (str(ip_network(one, strict=False)) for one in place.detail[1:3])

        def astray(passage: Passage) -> bool:
            there = passage.packet.destination
            taken = contains(wrong, there) and not contains(right, there)
            return passage.direction == "out" and taken

        return _but_hosts(scene, scene.cells("space", place.target, place.device, astray))

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        return [Step(place.target, AGAIN, (place.device, *place.detail[1:]))]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        _, right, wrong, gateway = place.detail
        return [Step(place.target, AGAIN, (place.device, wrong, right, gateway))]

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        return anew(scene, place)

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find planned addresses with another prefix length, where that leads packets elsewhere."""
        for place in addressed(scene):
            space = evidence.space(place.target)
            if space is None or not _masked_otherwise(space, place):
                continue
            effect = self._misled(scene, space, place)
            if effect.every:
                shown = addresses_proof(space, place.device)
                yield self.found(scene, place, shown, effect=effect)

    def _misled(self, scene: Scene, space: Space, place: Place) -> Effect:
        """Return what is sent by a gateway in the plan alone, or in the container alone."""
        child = child_at(scene, place)

        def astray(passage: Passage) -> bool:
            there = passage.packet.destination
            if passage.direction != "out" or passage.packet.family != 4:
                return False
            direct = contains(child.pool(4).subnet, there)
            by_gateway = child.network.default_route == "gateway" and not direct
            route = best(space, there)
            return route is None or ("gateway" in route) != by_gateway

        return _but_hosts(scene, scene.cells("space", place.target, place.device, astray))


def _masked_otherwise(space: Space, place: Place) -> bool:
    """Whether an interface has its planned address with another mask, alone or as well."""
    alone = Cidr(place.detail[1]).ip
    seen = space.addresses(place.device)
    return any(a.ip == alone and a != place.detail[1] for a in seen)


def _but_hosts(scene: Scene, cells: frozenset[tuple[str, str, str, int]]) -> Effect:
    """A host on the wire answers for each of its addresses, whatever subnet that is in."""
    hosts = {host.name for host in scene.plan.hosts}
    certain = frozenset(cell for cell in cells if not hosts & set(cell[:2]))
    return Effect(certain, cells - certain)


def _beyond(scene: Scene, place: Place, subnet: str) -> str:
    """Return an address outside of a subnet that the child's packets go to."""
    found: set[IPv4Address] = set()
    for cell in scene.cells("space", place.target, place.device):
        for passage in scene.passages(cell):
            there = ip_address(passage.packet.destination)
            own = (passage.kind, passage.where) == ("space", place.target)
            if own and passage.direction == "out" and isinstance(there, IPv4Address):
                found.add(there)
    own_subnet = ip_network(subnet)
    return str(min((one for one in found if one not in own_subnet), default=""))


def _holding(one: str, other: str) -> int:
    """Return the length of the longest prefix that two addresses share."""
    return 32 - (int(IPv4Address(one)) ^ int(IPv4Address(other))).bit_length()
