"""Checks of a lab's addresses: ranges that overlap, are too small, or belong to nobody's lab."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Network

from underlay.errors import did_you_mean
from underlay.lab import Network
from underlay.lab.text import Place, Problem
from underlay.lint.keys.parts import NODE_OFFSET, Parts
from underlay.plan import MANAGEMENT_RANGE
from underlay.plan.addresses import Address
from underlay.plan.naming import node_address

# Linux gives no interface an address of these (RFC 6890, RFC 5771, RFC 1112).
UNUSABLE = {
    "0.0.0.0/8": "means this host",
    "127.0.0.0/8": "is the loopback range",
    "224.0.0.0/4": "is for multicast",
    "240.0.0.0/4": "is reserved",
}
LARGEST = 8
SMALLEST_PREFIX = 30


def _usable(parts: Parts) -> Iterator[Problem]:
    """Subnets are unicast and leave the management range alone."""
    for place, subnet in _subnets(parts):
        if subnet.prefixlen < LARGEST:
            yield parts.text.problem(place, str(subnet), f"a subnet of /{LARGEST} or smaller")
            continue
        for text, reason in UNUSABLE.items():
            if subnet.overlaps(IPv4Network(text)):
                yield parts.text.problem(
                    place,
                    str(subnet),
                    "a unicast range such as 192.168.70.0/24",
                    f"{text} {reason}",
                )
        if subnet.overlaps(IPv4Network(MANAGEMENT_RANGE)):
            expected = f"a range outside {MANAGEMENT_RANGE}, which is for management"
            yield parts.text.problem(place, str(subnet), expected)


def _segments(parts: Parts) -> Iterator[Problem]:
    """Segments have room for the nodes, and share no address with one another."""
    count = len(parts.node_names)
    names = list(parts.segments)
    for position, name in enumerate(names):
        subnet = parts.segments[name].subnet
        place: Place = ("segments", name, "subnet")
        if subnet.num_addresses < NODE_OFFSET + count + 2:
            expected = f"room for {count} nodes from the eleventh address on"
            wide = _widened(subnet, lambda s: s.num_addresses >= NODE_OFFSET + count + 2)
            yield parts.text.problem(place, str(subnet), expected, wide)
        for other in names[:position]:
            if subnet.overlaps(parts.segments[other].subnet):
                expected = f"a range apart from {other}'s {parts.segments[other].subnet}"
                yield parts.text.problem(place, str(subnet), expected)


def _networks(parts: Parts) -> Iterator[Problem]:
    """Networks have room for their containers, and stay out of other segments' subnets."""
    for name, network in parts.networks.items():
        place: Place = ("networks", name, "subnet")
        if network.ip_range and not network.ip_range.subnet_of(network.subnet):
            spot: Place = ("networks", name, "ip_range")
            yield parts.text.problem(spot, str(network.ip_range), f"a part of {network.subnet}")
        if parts.nodes and not parts.fits(name, network.ip_range or network.subnet):
            yield _too_small(parts, name, network)
        apart = parts.has_nodes(network) and not network.shim
        own = "" if apart else parts.segment_of(network)
        for segment, entry in parts.segments.items():
            if segment != own and network.subnet.overlaps(entry.subnet):
                expected = f"a range apart from the segment {segment}'s {entry.subnet}"
                yield parts.text.problem(place, str(network.subnet), expected)


def _too_small(parts: Parts, name: str, network: Network) -> Problem:
    nodes, most = len(parts.node_names), max(parts.used(name).values(), default=0)
    what = f"{most} container{'' if most == 1 else 's'}"
    own = " and the nodes' own addresses" if parts.has_nodes(network) else ""
    if network.sliced:
        room = f"{nodes} slice{'' if nodes == 1 else 's'} with room for {what} each{own}"
    else:
        room = f"room for {what}{own}"
    handed_out = network.ip_range or network.subnet
    hint = _widened(handed_out, lambda subnet: parts.fits(name, subnet))
    place: Place = ("networks", name, "ip_range" if network.ip_range else "subnet")
    return parts.text.problem(place, str(handed_out), room, hint)


def _collisions(parts: Parts) -> Iterator[Problem]:
    """No container gets a node's own address or the gateway's."""
    for name, network in parts.networks.items():
        if not parts.nodes or not parts.fits(name, network.ip_range or network.subnet):
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
    subnet = network.subnet if parts.has_nodes(network) else segment and segment.subnet
    for index, node in enumerate(parts.node_names, 1):
        if subnet and subnet.num_addresses > NODE_OFFSET + index:
            yield (*place, "subnet"), f"{node}'s own", node_address(subnet, index)


def _gateways(parts: Parts) -> Iterator[Problem]:
    """A gateway is a host's address in its network's subnet."""
    for name, network in parts.networks.items():
        gateway, subnet = network.gateway, network.subnet
        if gateway is None:
            continue
        place: Place = ("networks", name, "gateway")
        hint = did_you_mean(str(subnet[1])) if subnet.prefixlen <= SMALLEST_PREFIX else ""
        if gateway not in subnet:
            yield parts.text.problem(place, str(gateway), f"an address in {subnet}", hint)
        elif gateway in (subnet.network_address, subnet.broadcast_address):
            kind = "network" if gateway == subnet.network_address else "broadcast"
            expected = f"a host's address in {subnet}"
            yield parts.text.problem(place, f"{gateway}, the {kind} address", expected, hint)


def _subnets(parts: Parts) -> Iterator[tuple[Place, IPv4Network]]:
    for name, segment in parts.segments.items():
        yield ("segments", name, "subnet"), segment.subnet
    for name, network in parts.networks.items():
        yield ("networks", name, "subnet"), network.subnet


def _widened(subnet: IPv4Network, fits: Callable[[IPv4Network], bool]) -> str:
    """Return the hint that names the smallest subnet around ``subnet`` that ``fits``."""
    for prefix in range(min(subnet.prefixlen, SMALLEST_PREFIX), LARGEST - 1, -1):
        wide = IPv4Network((subnet.network_address, prefix), strict=False)
        if fits(wide):
            return did_you_mean(str(wide))
    return ""


ADDRESS_CHECKS: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    _usable,
    _segments,
    _networks,
    _collisions,
    _gateways,
)
