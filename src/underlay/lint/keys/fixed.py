"""Checks of what a lab fixes by itself: containers' names and addresses, hosts, IPv6 subnets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv6Network, ip_address, ip_interface

from underlay.drivers import DRIVERS
from underlay.errors import did_you_mean, nearest
from underlay.lab import Containers
from underlay.lab.messages import one_of
from underlay.lab.text import Place, Problem, quoted
from underlay.lint.keys.parts import Parts
from underlay.plan import SWITCH
from underlay.plan.naming import runs_on

# Slices and the nodes' own addresses need some room; and Linux autoconfigures by /64.
LARGEST6, SMALLEST6 = 16, 112
UNUSABLE6 = {
    "fe80::/10": "is for one link only",
    "ff00::/8": "is for multicast",
    "::/16": "is reserved",
}


def _fixed(parts: Parts) -> Iterator[Problem]:
    """A fixed address or MAC is for one container, in one of its networks, and for that alone."""
    for index, group in parts.containers.items():
        for key in ("addresses", "addresses6", "macs"):
            for name in getattr(group, key):
                place: Place = ("containers", index, key, name)
                if name not in group.networks:
                    hint = did_you_mean(nearest(name, group.networks))
                    expected = one_of(list(group.networks))
                    yield parts.text.problem(place, quoted(name), expected, hint, at_key=True)
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
        if not DRIVERS[network.driver].takes_mac(network.mode or ""):
            expected = f"none: {network.driver} uses its parent's MAC address"
            yield parts.text.problem(place, "a MAC address", expected)
        return
    address = getattr(group, key)[name]
    subnet = network.subnet if key == "addresses" else network.subnet6
    if subnet is None:
        yield parts.text.problem(place, str(address), f"subnet6 in {name}")
    elif address not in subnet or address in (subnet[0], subnet[-1]):
        yield parts.text.problem(place, str(address), f"a host's address in {subnet}")
    elif address in network.reserved:
        yield parts.text.problem(place, str(address), "one that is not reserved")
    elif address in (network.gateway, network.gateway6) and not group.forwards:
        expected = "one that is not the gateway's, or `forwards: true` beside it"
        yield parts.text.problem(place, str(address), expected)
    else:
        yield from _in_own_slice(parts, group, name, place, str(address))


def _in_own_slice(
    parts: Parts, group: Containers, name: str, place: Place, address: str
) -> Iterator[Problem]:
    from underlay.plan.addresses import blocks

    network = parts.networks[name]
    four = network.ip_range or network.subnet
    subnet = four if "." in address else network.subnet6
    if not parts.nodes or subnet is None or not parts.fits(name, four):
        return
    pieces = blocks(subnet, parts.node_names, sliced=network.sliced)
    for node, piece in pieces.items():
        first, last = ip_address(piece.first), ip_address(piece.last)
        if runs_on(group, node) and not int(first) <= int(ip_address(address)) <= int(last):
            expected = f"one of {node}'s, {piece.first} to {piece.last}"
            yield parts.text.problem(place, address, expected)


def _alone(parts: Parts, group: Containers) -> bool:
    return group.count == 1 and sum(runs_on(group, node) for node in parts.node_names) <= 1


def _container_name(parts: Parts) -> Iterator[Problem]:
    """Names of containers, nodes and hosts are all different."""
    taken = dict.fromkeys(parts.node_names, "a node") | {SWITCH: "the switch"}
    for index, group in parts.containers.items():
        if group.name is None:
            continue
        place: Place = ("containers", index, "name")
        if group.name in taken:
            yield parts.text.problem(
                place, quoted(group.name), f"another: {taken[group.name]} has it"
            )
        elif group.name in parts.network_names:
            expected = "another: containers of a network are called after it"
            yield parts.text.problem(place, quoted(group.name), expected)
        taken.setdefault(group.name, "another group")
    for name in parts.hosts:
        if name in taken:
            expected = f"another: {taken[name]} has it"
            yield parts.text.problem(("hosts", name), quoted(name), expected, at_key=True)


def _reserved(parts: Parts) -> Iterator[Problem]:
    """Reserved addresses are of their network's subnet."""
    for name, network in parts.networks.items():
        for position, address in enumerate(network.reserved):
            if address not in network.subnet:
                place: Place = ("networks", name, "reserved", position)
                yield parts.text.problem(place, str(address), f"an address in {network.subnet}")


def _ipv6(parts: Parts) -> Iterator[Problem]:
    """IPv6 subnets are unicast, roomy and apart; gateways are in them."""
    seen: dict[str, IPv6Network] = {}
    for place, subnet in _subnets6(parts):
        if not LARGEST6 <= subnet.prefixlen <= SMALLEST6:
            expected = f"a subnet from /{LARGEST6} to /{SMALLEST6}"
            yield parts.text.problem(place, str(subnet), expected)
        for text, reason in UNUSABLE6.items():
            if subnet.overlaps(IPv6Network(text)):
                expected = "a unicast range such as fd00:70::/64"
                yield parts.text.problem(place, str(subnet), expected, f"{text} {reason}")
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


def _subnets6(parts: Parts) -> Iterator[tuple[Place, IPv6Network]]:
    for name, segment in parts.segments.items():
        if segment.subnet6:
            yield ("segments", name, "subnet6"), segment.subnet6
    for name, network in parts.networks.items():
        if network.subnet6:
            yield ("networks", name, "subnet6"), network.subnet6


def _hosts(parts: Parts) -> Iterator[Problem]:
    """External hosts sit in segments that exist, without tags, at addresses of their own."""
    seen: dict[str, str] = {}
    for name, host in parts.hosts.items():
        for segment, port in host.on.items():
            place: Place = ("hosts", name, "on", segment)
            if segment not in parts.segment_names:
                hint = did_you_mean(nearest(segment, parts.segment_names))
                expected = one_of(parts.segment_names)
                yield parts.text.problem(place, quoted(segment), expected, hint, at_key=True)
            if port.vlan is not None:
                yield parts.text.problem(
                    (*place, "vlan"),
                    f"the VLAN {port.vlan} of an external host",
                    "none: the switch's own kernel may lack 802.1q",
                    "a container with `forwards: true` in both VLANs is a router on a stick",
                )
            for position, address in enumerate(port.addresses):
                own = str(ip_interface(address).ip)
                if own in seen:
                    spot: Place = (*place, "addresses", position)
                    yield parts.text.problem(spot, address, f"another: {seen[own]} has it")
                seen[own] = name


FIXED_CHECKS: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    _fixed,
    _container_name,
    _reserved,
    _ipv6,
    _hosts,
)
