"""Addresses that overlap, have too little room, or belong to nobody's lab; and fixed ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from underlay.errors import did_you_mean
from underlay.lab import Containers, Network
from underlay.lab.text import Place, Problem
from underlay.lint.keys.parts import NODE_OFFSET, Parts
from underlay.plan import MANAGEMENT_RANGE
from underlay.plan.addresses import Address, ends_of
from underlay.plan.naming import nodes_of

# Linux gives no interface an address of these (RFC 6890, RFC 5771, RFC 1112).
UNUSABLE = {
    "0.0.0.0/8": "means this host",
    "127.0.0.0/8": "is the loopback range",
    "224.0.0.0/4": "is for multicast",
    "240.0.0.0/4": "is reserved",
    "fe80::/10": "is for one link only",
    "ff00::/8": "is for multicast",
    "::/16": "is reserved",
}
UNICAST = {4: "192.168.70.0/24", 6: "fd00:70::/64"}
LARGEST = 8
SMALLEST_PREFIX = 30
# Slices and the nodes' own addresses need some room; and Linux autoconfigures by /64.
LARGEST6, SMALLEST6 = 16, 112
# The key that a network's subnet of a family stands at, in the short form.
SHORT = {4: "subnet", 6: "subnet6"}


def usable(parts: Parts) -> Iterator[Problem]:
    """Subnets are unicast and leave the management range alone."""
    for place, subnet in _subnets(parts, "subnet"):
        if subnet.prefixlen < LARGEST:
            yield parts.text.problem(place, str(subnet), f"a subnet of /{LARGEST} or smaller")
            continue
        yield from _unicast(parts, place, subnet)
        if subnet.overlaps(IPv4Network(MANAGEMENT_RANGE)):
            expected = f"a range outside {MANAGEMENT_RANGE}, which is for management"
            yield parts.text.problem(place, str(subnet), expected)


def segments(parts: Parts) -> Iterator[Problem]:
    """Segments have room for the nodes, and share no address with one another."""
    names = list(parts.segments)
    for position, name in enumerate(names):
        subnet = parts.segments[name].subnet
        place: Place = ("segments", name, "subnet")
        count = parts.last_planned(parts.uplinks.nics.get(name, ""))
        least = NODE_OFFSET + count + 2
        if (count or not parts.node_names) and subnet.num_addresses < least:
            expected = f"room for {count} nodes from the eleventh address on"
            wide = _widened(subnet, partial(_has_room, least))
            yield parts.text.problem(place, str(subnet), expected, wide)
        for other in names[:position]:
            if subnet.overlaps(parts.segments[other].subnet):
                expected = f"a range apart from {other}'s {parts.segments[other].subnet}"
                yield parts.text.problem(place, str(subnet), expected)


def _has_room(least: int, subnet: IPv4Network) -> bool:
    return subnet.num_addresses >= least


def networks(parts: Parts) -> Iterator[Problem]:
    """Networks have room for their containers, and stay out of other segments' subnets."""
    for name, network in parts.networks.items():
        place: Place = ("networks", name, "subnet")
        if network.subnet is None:
            continue
        if network.ip_range and not network.ip_range.subnet_of(network.subnet):
            spot: Place = ("networks", name, "ip_range")
            yield parts.text.problem(spot, str(network.ip_range), f"a part of {network.subnet}")
        handed_out = network.ip_range or network.subnet
        if parts.nodes and not network.ranges and not parts.fits(name, handed_out):
            yield _too_small(parts, name, network)
        apart = parts.has_nodes(network) and not network.shim
        own = "" if apart else parts.segment_of(network)
        for segment, entry in parts.segments.items():
            if segment != own and network.subnet.overlaps(entry.subnet):
                expected = f"a range apart from the segment {segment}'s {entry.subnet}"
                yield parts.text.problem(place, str(network.subnet), expected)


def _too_small(parts: Parts, name: str, network: Network) -> Problem:
    nodes, most = len(parts.node_names), max(parts.used(name).values(), default=0)
    if network.is_shared:
        most = sum(parts.used(name).values())
    what = f"{most} container{'' if most == 1 else 's'}"
    own = " and the nodes' own addresses" if parts.has_nodes(network) else ""
    if network.has_slices:
        room = f"{nodes} slice{'' if nodes == 1 else 's'} with room for {what} each{own}"
    else:
        room = f"room for {what}{own}"
    place: Place = ("networks", name, "ip_range" if network.ip_range else "subnet")
    subnet = network.handed_out
    hint = _widened(subnet, lambda wide: parts.fits(name, wide)) if subnet else ""
    return parts.text.problem(place, str(subnet), room, hint)


def collisions(parts: Parts) -> Iterator[Problem]:
    """No container gets a node's own address or the gateway's."""
    for name, network in parts.networks.items():
        if not parts.can_plan(name):
            continue
        handed_out = list(parts.handed_out(name))
        for place, what, address in _owned(parts, name, network):
            node = next((n for n, addresses in handed_out if address in addresses), None)
            if node:
                expected = f"{what} {address} to be free, but a container on {node} gets it"
                yield parts.text.problem(place, str(getattr(network, str(place[-1]))), expected)
                break


def _owned(parts: Parts, name: str, network: Network) -> Iterator[tuple[Place, str, Address]]:
    place = ("networks", name)
    if network.gateway:
        yield (*place, "gateway"), "the gateway's", network.gateway
    segment = parts.segments.get(parts.segment_of(network))
    apart = parts.has_nodes(network)
    subnet = network.subnet if apart else segment and segment.subnet
    interface = parts.uplink(network) if apart else parts.interface(network)
    for index, node in enumerate(parts.node_names, 1):
        address = parts.own_address(index, interface, subnet) if subnet else None
        if address is not None:
            yield (*place, "subnet"), f"{node}'s own", address


def gateways(parts: Parts) -> Iterator[Problem]:
    """A gateway is a host's address in its network's subnet."""
    for name, network in parts.networks.items():
        gateway, subnet = network.gateway, network.subnet
        if gateway is None or subnet is None:
            continue
        place: Place = ("networks", name, "gateway")
        hint = did_you_mean(str(subnet[1])) if subnet.prefixlen <= SMALLEST_PREFIX else ""
        if gateway not in subnet:
            yield parts.text.problem(place, str(gateway), f"an address in {subnet}", hint)
        elif gateway in (subnet.network_address, subnet.broadcast_address):
            kind = "network" if gateway == subnet.network_address else "broadcast"
            expected = f"a host's address in {subnet}"
            yield parts.text.problem(place, f"{gateway}, the {kind} address", expected, hint)


def fixed(parts: Parts) -> Iterator[Problem]:
    """A fixed address or MAC is for one container, in one of its networks, and for that alone."""
    for index, group in parts.containers.items():
        for key in ("addresses", "addresses6", "macs"):
            for name in getattr(group, key):
                place: Place = ("containers", index, key, name)
                if name not in group.networks:
                    yield from parts.unknown(place, name, group.networks, at_key=True)
                elif not _alone(parts, group):
                    expected = "a group of one container on one node"
                    yield parts.text.problem(place, f"one of the {key} for several", expected)
                elif name in parts.networks:
                    yield from _fitting(parts, group, key, name, place)


def _fitting(
    parts: Parts, group: Containers, key: str, name: str, place: Place
) -> Iterator[Problem]:
    network = parts.networks[name]
    if key == "macs":
        if not network.traits.takes_mac(network.mode or ""):
            expected = f"none: {network.driver} uses its parent's MAC address"
            yield parts.text.problem(place, "a MAC address", expected)
        return
    address = getattr(group, key)[name]
    family = 4 if key == "addresses" else 6
    subnets = [ip_network(pool.subnet) for pool in network.pools if pool.family == family]
    subnet = next((one for one in subnets if address in one), None)
    here = " or ".join(map(str, subnets))
    if not subnets:
        yield parts.text.problem(place, str(address), f"{SHORT[family]} in {name}")
    elif subnet is None or address in (subnet[0], subnet[-1]):
        yield parts.text.problem(place, str(address), f"a host's address in {here}")
    elif any(_holds(text, address) for text in _reserved(network)):
        hint = _reserved_where(parts, name, network, address)
        yield parts.text.problem(place, str(address), "one that is not reserved", hint)
    elif str(address) in _of_bridges(network):
        expected = f"another one: each node's own bridge has the gateway's address of {name}"
        yield parts.text.problem(place, str(address), expected)
    elif str(address) in {pool.gateway for pool in network.pools} and not group.forwards:
        expected = "one that is not the gateway's, or `forwards: true` beside it"
        yield parts.text.problem(place, str(address), expected)
    else:
        yield from _of_nobody_else(parts, group, name, place, address)


def _of_nobody_else(
    parts: Parts, group: Containers, name: str, place: Place, address: Address
) -> Iterator[Problem]:
    """Other nodes don't know of a fixed address: their own range must not have it.

    Where the plan hands out for all nodes, it knows.
    """
    network = parts.networks[name]
    if not parts.nodes or not network.has_slices:
        return
    stated = next(pool for pool in network.pools if address in ip_network(pool.subnet))
    slices = parts.slices(name, stated)
    here = nodes_of(group, parts.node_names)
    for node, piece in slices.items():
        if node not in here and piece.holds(str(address)):
            expected = f"an address outside {node}'s range, {piece.first} to {piece.last}"
            own = next((slices[one] for one in here), None)
            hint = f"its own node has {own.first} to {own.last}" if own else ""
            yield parts.text.problem(place, str(address), expected, hint)


def _of_bridges(network: Network) -> set[str]:
    """Return what a bridge without uplink has on every node: the gateways, by default the first."""
    if not (network.traits.bridges_uplink and network.is_closed):
        return set()
    return {pool.gateway or str(ip_network(pool.subnet)[1]) for pool in network.pools}


def _holds(text: str, address: Address) -> bool:
    first, last = ends_of(text)
    return first.version == address.version and int(first) <= int(address) <= int(last)


def _reserved_where(parts: Parts, name: str, network: Network, address: Address) -> str:
    """Return in words where an address is reserved, by file and line."""
    for position, text in enumerate(network.reserved):
        if _holds(text, address):
            spot = parts.text.spot(("networks", name, "reserved", position))
            return f"{name} keeps {text} back: {spot}"
    return ""


def _reserved(network: Network) -> list[str]:
    return [text for pool in network.pools for text in pool.reserved]


def _alone(parts: Parts, group: Containers) -> bool:
    return group.count == 1 and len(nodes_of(group, parts.node_names)) <= 1


def reserved(parts: Parts) -> Iterator[Problem]:
    """Reserved addresses are of their network's subnets."""
    for name, network in parts.networks.items():
        subnets = [ip_network(pool.subnet) for pool in network.pools]
        for position, text in enumerate(network.reserved):
            ends = ends_of(text)
            if not any(end in subnet for subnet in subnets for end in ends[:1]):
                place: Place = ("networks", name, "reserved", position)
                here = " or ".join(map(str, subnets))
                yield parts.text.problem(place, text, f"an address in {here}")


def ipv6(parts: Parts) -> Iterator[Problem]:
    """IPv6 subnets are unicast, roomy and apart; gateways are in them."""
    seen: dict[str, IPv6Network] = {}
    for place, subnet in _subnets(parts, "subnet6"):
        if not LARGEST6 <= subnet.prefixlen <= SMALLEST6:
            expected = f"a subnet from /{LARGEST6} to /{SMALLEST6}"
            yield parts.text.problem(place, str(subnet), expected)
        yield from _unicast(parts, place, subnet)
        if place[0] == "segments":
            for other, range_ in seen.items():
                if subnet.overlaps(range_):
                    expected = f"a range apart from {other}'s {range_}"
                    yield parts.text.problem(place, str(subnet), expected)
            seen[str(place[1])] = subnet
    for name, network in parts.networks.items():
        gateway = network.gateway6
        if gateway and (network.subnet6 is None or gateway not in network.subnet6):
            expected = (
                f"an address in {network.subnet6}" if network.subnet6 else "subnet6 beside it"
            )
            yield parts.text.problem(("networks", name, "gateway6"), str(gateway), expected)


def _subnets(parts: Parts, key: str) -> Iterator[tuple[Place, Any]]:
    """Yield the subnets that segments and networks have at ``key``: subnet or subnet6."""
    for section, entries in (("segments", parts.segments), ("networks", parts.networks)):
        for name, entry in entries.items():
            if subnet := getattr(entry, key):
                yield (section, name, key), subnet


def _unicast(parts: Parts, place: Place, subnet: IPv4Network | IPv6Network) -> Iterator[Problem]:
    for text, reason in UNUSABLE.items():
        unusable = ip_network(text)
        if unusable.version == subnet.version and unusable.overlaps(subnet):
            expected = f"a unicast range such as {UNICAST[subnet.version]}"
            yield parts.text.problem(place, str(subnet), expected, f"{text} {reason}")


def _widened(subnet: IPv4Network, fits: Callable[[IPv4Network], bool]) -> str:
    """Return the hint that names the smallest subnet around ``subnet`` that ``fits``."""
    for prefix in range(min(subnet.prefixlen, SMALLEST_PREFIX), LARGEST - 1, -1):
        wide = IPv4Network((subnet.network_address, prefix), strict=False)
        if fits(wide):
            return did_you_mean(str(wide))
    return ""
