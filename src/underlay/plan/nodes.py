"""What a node becomes: its cards, VLAN links, devices and routes."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network, ip_network
from typing import TYPE_CHECKING, TypeVar

from underlay.plan.addresses import NO_ADDRESS, Cidr
from underlay.plan.also import also
from underlay.plan.naming import (
    FIRST_NETWORK_LINK,
    link_name,
    mac,
    node_address,
    node_names,
    port_name,
    second_port_name,
)
from underlay.plan.networks import MANAGEMENT, MANAGEMENT_SEGMENT
from underlay.plan.uplinks import member_names, segment_interfaces
from underlay.plan.values import Member, Nic, NodeLink, OwnFile, PlannedNode, Route, VlanLink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from underlay.drivers.driver import Overlay
    from underlay.lab import Lab
    from underlay.lab.model import NodeInterface
    from underlay.plan.addresses import Family
    from underlay.plan.values import PlannedNetwork, PlannedSegment

    Networks = tuple[PlannedNetwork, ...]
    # By network: the addresses of a node's own child there, where it has one.
    Shims = dict[str, tuple[Cidr, ...]]

MANAGEMENT_RANGE = "10.254.0.0/16"


def plan_node(
    lab: Lab, name: str, index: int, segments: tuple[PlannedSegment, ...], networks: Networks
) -> PlannedNode:
    """Return node ``index`` of ``lab``, with every device that ``networks`` need."""
    management, peer = management_link(index)
    given = lab.nodes.interfaces.get(name, {})
    nics = tuple(_nic(lab, s, i, index) for i, s in enumerate(segments, 1))
    cards = {nic.interface: nic for nic in (management, *nics)}
    shims = {
        network.name: _shim_addresses(lab, network, name, index)
        for network in networks
        if (shim := lab.networks[network.name].own_shim) and shim.is_on(name)
    }
    forwards = any(network.nat for network in networks)
    networks = _with_uplink(networks, given)
    vlans = {link.interface: link for link in _vlans(networks, cards, index, shims, given)}
    for link in _own_vlans(lab, cards, given):
        vlans.setdefault(link.interface, link)
    below: dict[str, Nic | VlanLink] = {**cards, **vlans}
    # A tunnel over a bridge comes after it, whichever network the lab names first.
    bridges = {network.parent for network in networks if network.traits.bridges_uplink}
    found = _links(lab, networks, below, index, shims)
    links = tuple(sorted(found, key=lambda link: bool(link.master) and link.parent in bridges))
    cards_and_links: tuple[Nic | VlanLink | NodeLink, ...] = (*nics, *vlans.values(), *links)
    planned = _routes(lab, networks, _connected(cards_and_links), index, shims)
    routes = {
        (route.to, route.interface): route
        for route in (*(r for r in planned if r.interface not in given), *_given_routes(given))
    }
    held = {link.parent for link in links if link.kind == "bridge" and link.parent}
    named = {one.interface for one in (management, *cards_and_links)}
    return PlannedNode(
        name=name,
        index=index,
        memory=lab.nodes.memory,
        management=management,
        management_peer=peer,
        nics=tuple(_bare(nic) if nic.interface in held else nic for nic in nics),
        vlans=tuple(_bare(link) if link.interface in held else link for link in vlans.values()),
        routes=tuple(routes.values()),
        links=links,
        forwards=forwards,
        profile=lab.nodes.profile,
        config=lab.nodes.config,
        ignition_as=lab.nodes.ignition_as or "",
        ignition_in=lab.nodes.ignition_in,
        own=tuple(
            OwnFile(one.path, one.program, one.text, one.mode, one.source)
            for one in lab.own.files.get(name, ())
            # Elsewhere nobody reads it: what it puts on its host is put there all the same.
            if one.program != "ignition" or lab.nodes.config == "ignition"
        ),
        also=also(lab.own, name, named, networks),
    )


def _nic(lab: Lab, segment: PlannedSegment, number: int, index: int) -> Nic:
    """A node's NIC in a segment, or its bond there: of that NIC, and of one beyond all first ones.

    A bond has the MAC address of its first member (Documentation/networking/bonding.rst).
    """
    bond = lab.segments[segment.name].bond or ""
    members: tuple[Member, ...] = ()
    if bond:
        first, second = member_names(list(lab.segments.items()))[segment.name]
        port = second_port_name(segment.name, index)
        members = (
            Member(first, mac(number, index), port_name(segment.name, index)),
            Member(second, mac(number, index, 1), port),
        )
    interface = segment_interfaces(list(lab.segments.items()))[segment.name]
    given = lab.nodes.interfaces.get(node_names(lab.nodes)[index - 1], {}).get(interface)
    return Nic(
        segment.name,
        interface,
        mac(number, index),
        given_address(given, 4) if given else own_address(segment.subnet, index),
        segment.mtu,
        given_address(given, 6) if given else own_address(segment.subnet6, index),
        bond,
        members,
    )


def given_address(given: NodeInterface, family: Family) -> Cidr:
    """Return the address of ``family`` that the lab file gives an interface, nothing for none."""
    found = (Cidr(text) for text in given.addresses)
    return next((address for address in found if address.family == family), NO_ADDRESS)


def _given_routes(given: Mapping[str, NodeInterface]) -> Iterator[Route]:
    for interface, one in given.items():
        for route in one.routes:
            yield Route(route.to, interface, route.via or "")


def _address_of(lab: Lab, index: int, interface: str, subnet: str) -> Cidr:
    """Return the address of node ``index`` on ``interface``: given, or planned in ``subnet``."""
    given = lab.nodes.interfaces.get(node_names(lab.nodes)[index - 1], {}).get(interface)
    family = Cidr(subnet).family
    return given_address(given, family) if given else own_address(subnet, index)


def management_link(index: int) -> tuple[Nic, str]:
    """Return the management NIC of machine ``index``, and its peer's address."""
    block = IPv4Network((IPv4Network(MANAGEMENT_RANGE)[4 * index], 30))
    own = Cidr(f"{block[2]}/30")
    return Nic(MANAGEMENT_SEGMENT, MANAGEMENT, mac(0, index), own, 1500), str(block[1])


def own_address(subnet: str, index: int) -> Cidr:
    """Return node ``index``'s address in ``subnet`` with its prefix length; nothing for none."""
    if not subnet:
        return NO_ADDRESS
    network = ip_network(subnet)
    return Cidr(f"{node_address(network, index)}/{network.prefixlen}")


def _shim_addresses(lab: Lab, network: PlannedNetwork, node: str, index: int) -> tuple[Cidr, ...]:
    """Return the addresses of node ``index``'s own child in ``network``: given, or planned ones.

    A planned one has a prefix of its own, so that it brings no second route to the subnet; a
    lease has the subnet's.
    """
    shim = lab.networks[network.name].own_shim
    given = shim.of(node) if shim else []
    if given:
        return tuple(map(Cidr, given))
    planned = _planned_shim(lab, network, index)
    if shim and shim.dhcp:
        subnet = Cidr(network.subnet)
        return tuple(Cidr(f"{own.ip}/{subnet.prefix}") for own in planned if own.family == 4)
    return tuple(planned)


def _planned_shim(lab: Lab, network: PlannedNetwork, index: int) -> Iterator[Cidr]:
    """Yield addresses of the network's subnets.

    Where the node already is in a subnet by its card, they come after all nodes' addresses there.
    """
    segment = lab.segments.get(network.segment)
    cards = (str(segment.subnet), str(segment.subnet6)) if segment else ()
    for subnet in (ip_network(pool.subnet) for pool in network.pools):
        beside = str(subnet) in cards and network.vlan is None
        address = node_address(subnet, index + (lab.nodes.count if beside else 0))
        yield Cidr(f"{address}/{subnet.max_prefixlen}")


def _with_uplink(networks: Networks, given: Mapping[str, NodeInterface]) -> Networks:
    """Return those networks whose VLAN sub-interface the node has; ``given`` are its interfaces.

    It lacks one that is absent there, and one whose name its own files give another VLAN.
    """

    def lacks(network: PlannedNetwork) -> bool:
        own = given.get(network.uplink)
        if own is None or network.vlan is None or network.traits.attach == "moved":
            return False
        other = own.vlan is not None and (own.segment, own.vlan) != (network.segment, network.vlan)
        return own.absent or other

    return tuple(network for network in networks if not lacks(network))


def _own_vlans(
    lab: Lab, cards: dict[str, Nic], given: Mapping[str, NodeInterface]
) -> Iterator[VlanLink]:
    """One link for each VLAN that the lab file gives this node, whatever networks sit on."""
    nics = segment_interfaces(list(lab.segments.items()))
    for interface, one in given.items():
        if one.segment is not None and one.vlan is not None:
            card = cards[nics[one.segment]]
            yield VlanLink(
                interface=interface,
                link=card.interface,
                vlan=one.vlan,
                mac=card.mac,
                address=given_address(one, 4),
                mtu=card.mtu,
                address6=given_address(one, 6),
            )


Link = TypeVar("Link", Nic, VlanLink)


def _bare(link: Link) -> Link:
    """Return ``link`` without its addresses: the bridge that holds it has them."""
    return replace(link, address=NO_ADDRESS, address6=NO_ADDRESS)


def _vlans(
    networks: Networks,
    cards: dict[str, Nic],
    index: int,
    shims: Shims,
    given: Mapping[str, NodeInterface],
) -> Iterator[VlanLink]:
    """One link for each tagged parent, in the subnet of the first network on it."""
    tagged: dict[tuple[str, int], list[PlannedNetwork]] = {}
    for network in networks:
        if network.vlan is not None and network.uplink and network.traits.attach != "moved":
            tagged.setdefault((network.uplink, network.vlan), []).append(network)
    for (interface, vlan), above in tagged.items():
        link = above[0].nic
        addressed = [network for network in above if network.name not in shims]
        sixes = [network.subnet6 for network in addressed if network.subnet6]
        own = given.get(interface)
        four, six = addressed[0].subnet if addressed else "", sixes[0] if sixes else ""
        yield VlanLink(
            interface=interface,
            link=link,
            vlan=vlan,
            mac=cards[link].mac,
            address=given_address(own, 4) if own else own_address(four, index),
            mtu=max(network.mtu for network in above),
            address6=given_address(own, 6) if own else own_address(six, index),
        )


def _links(
    lab: Lab, networks: Networks, below: dict[str, Nic | VlanLink], index: int, shims: Shims
) -> Iterator[NodeLink]:
    made: set[str] = set()
    given = lab.nodes.interfaces.get(node_names(lab.nodes)[index - 1], {})
    numbers = {name: number for number, name in enumerate(lab.networks)}
    for network in networks:
        position = numbers[network.name]
        if network.parent not in made:
            made.add(network.parent)
            if network.traits.attach == "port":
                own = given.get(network.parent)
                bridge = _bridge(network, below, index, position)
                yield replace(bridge, addresses=tuple(map(Cidr, own.addresses))) if own else bridge
            elif network.internal:
                yield NodeLink("dummy", network.parent, mtu=network.mtu)
        if network.traits.overlay:
            outside = _outside(networks, network)
            yield from _tunnels(lab, network, network.traits.overlay, below, index, outside)
        if network.name in shims:
            own_mac, flags = network.traits.own_mac, network.traits.flags
            shim = lab.networks[network.name].own_shim
            yield NodeLink(
                kind=network.driver,
                interface=network.shim,
                parent=network.parent,
                mac=mac(FIRST_NETWORK_LINK + position, index)
                if own_mac
                else below[network.nic].mac,
                mtu=network.mtu,
                addresses=shims[network.name],
                options={
                    "mode": network.mode,
                    **({"flag": network.flag} if flags else {}),
                    **({"dhcp": True} if shim and shim.dhcp else {}),
                },
            )


def _bridge(
    network: PlannedNetwork, below: dict[str, Nic | VlanLink], index: int, position: int
) -> NodeLink:
    """A bridge that holds the uplink takes over its addresses and its MAC address."""
    own, held = mac(FIRST_NETWORK_LINK + position, index), ""
    if network.traits.overlay:
        addresses = tuple(own_address(pool.subnet, index) for pool in network.pools)
    elif network.uplink:
        link = below[network.uplink]
        own, addresses, held = link.mac, link.addresses, link.interface
    else:
        addresses = tuple(
            Cidr(f"{pool.gateway}/{Cidr(pool.subnet).prefix}")
            for pool in network.pools
            if pool.gateway
        )
    return NodeLink(
        kind="bridge",
        interface=network.parent,
        parent=held,
        mac=own,
        mtu=network.mtu,
        addresses=addresses,
        options={"masquerade": network.subnet} if network.nat else {},
    )


def _outside(networks: Networks, network: PlannedNetwork) -> str:
    """Return the interface that has the address an overlay speaks from.

    Where a bridge holds the uplink that is the bridge: what comes back never gets to a tunnel
    that is bound to the bridge's port.
    """
    bridges = (n for n in networks if n.traits.bridges_uplink and n.uplink == network.uplink)
    return next((bridge.parent for bridge in bridges), network.uplink)


def _tunnels(
    lab: Lab,
    network: PlannedNetwork,
    overlay: Overlay,
    below: dict[str, Nic | VlanLink],
    index: int,
    parent: str,
) -> Iterator[NodeLink]:
    """The devices that lead to the other nodes: one for all of them, or one for each.

    The tunnels of one bridge are isolated from each other: a frame that came in by one
    never leaves by another, or three nodes would be a loop.
    """
    local = below[network.uplink].address.ip
    subnet = str(lab.segments[network.segment].subnet)
    peers = {
        peer: _address_of(lab, peer, network.uplink, subnet).ip
        for peer in range(1, lab.nodes.count + 1)
        if peer != index
    }
    for tunnel in overlay.tunnels(network, local, peers):
        yield NodeLink(
            kind=network.driver,
            interface=link_name(f"{overlay.letters}{tunnel.peer or ''}", network.name),
            parent=parent,
            master=network.parent,
            mtu=network.mtu,
            options=dict(tunnel.options),
        )


def _connected(links: Iterable[Nic | VlanLink | NodeLink]) -> dict[str, str]:
    """Return the subnets that a node's own addresses are in, each with the interface."""
    found: dict[str, str] = {}
    for link in links:
        for address in link.addresses:
            found.setdefault(address.subnet, link.interface)
    return found


def _routes(
    lab: Lab, networks: Networks, connected: dict[str, str], index: int, shims: Shims
) -> tuple[Route, ...]:
    """Return one route of a node to each subnet: that of the first network that has one.

    Of two the later one would take the place of the other, and which one is later when a node
    boots isn't when it becomes another lab's.
    """
    found: dict[str, Route] = {}
    for route in _ways(lab, networks, connected, index, shims):
        found.setdefault(route.to, route)
    return tuple(found.values())


def _ways(
    lab: Lab, networks: Networks, connected: dict[str, str], index: int, shims: Shims
) -> Iterator[Route]:
    """How a node reaches containers: on the parent's link, by its shim, or by their node.

    To a subnet that it is in itself, or that another network has on another parent, it has
    one way already, and a second one would take the first one's place. So the shim of a network
    that is routed leads to what is the node's own alone, but where it says its routes itself.
    """
    for network in networks:
        traits = network.traits
        if traits.attach == "moved" or traits.overlay or not network.uplink:
            continue
        if network.nic == MANAGEMENT:
            continue
        shim = lab.networks[network.name].own_shim if network.name in shims else None
        stated = shim.leads_to(node_names(lab.nodes)[index - 1]) if shim else None
        for to in stated or ():
            yield Route(to, network.shim)
        by_owner = list(_routes_by_owner(lab, network, index)) if network.routed else []
        led = {route.to for route in by_owner}
        for pool in network.pools:
            subnet = pool.subnet
            if stated is not None:
                continue
            if shim:
                pieces = (piece.routed for piece in pool.slices.values())
                for piece in dict.fromkeys(block for routed in pieces for block in routed):
                    if piece not in led:
                        yield Route(piece, network.shim)
            elif subnet not in connected or (
                network.vlan is None and connected[subnet] in (network.parent, network.uplink)
            ):
                connected[subnet] = network.parent
                yield Route(subnet, network.parent)
        yield from by_owner


def _routes_by_owner(lab: Lab, network: PlannedNetwork, index: int) -> Iterator[Route]:
    segment = lab.segments[network.segment]
    for pool in network.pools:
        card = segment.subnet if pool.family == 4 else segment.subnet6
        # Nodes are in the first subnet of a VLAN's network.
        tagged = network.first_pool(pool.family).subnet
        subnet = tagged if network.vlan is not None else str(card or "")
        for peer, piece in enumerate(pool.slices.values(), 1):
            via = _address_of(lab, peer, network.uplink, subnet).ip if subnet else ""
            if peer != index and via:
                for block in piece.routed:
                    yield Route(block, network.parent, via)
