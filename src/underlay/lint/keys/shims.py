"""Nodes' own children (shims): their addresses, leases and routes."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_interface, ip_network

from underlay.lab import Network, Shim
from underlay.lab.text import Place, Problem
from underlay.lint.keys.networks import lease_problem
from underlay.lint.keys.parts import Parts
from underlay.plan import family_of


def shims(parts: Parts) -> Iterator[Problem]:
    """What a shim has is its node's alone: its address, and routes that nobody had."""
    for name, network in parts.networks.items():
        shim = network.own_shim
        if shim is None or isinstance(network.shim, bool):
            continue
        place: Place = ("networks", name, "shim")
        if shim.dhcp:
            yield from lease_problem(parts, name, network, (*place, "dhcp"))
        yield from _addresses(parts, name, network, shim)
        yield from _routes(parts, network, shim, place)


def _addresses(parts: Parts, name: str, network: Network, shim: Shim) -> Iterator[Problem]:
    taken = dict(_taken(parts, name, network))
    for node, own in shim.addresses.items():
        place: Place = ("networks", name, "shim", "addresses", node)
        yield from parts.unknown(place, node, parts.node_names, at_key=True)
        families: set[int] = set()
        for position, address in enumerate(shim.of(node)):
            spot: Place = (*place, position) if isinstance(own, list) else place
            alone = str(ip_interface(address).ip)
            family = family_of(address)
            if family in families:
                yield parts.text.problem(spot, address, f"one IPv{family} address")
            elif alone in taken:
                yield parts.text.problem(spot, address, f"another: {taken[alone]} has it")
            elif shim.dhcp and (family == 6 or not _is_lease(address, network)):
                subnet = network.subnet
                expected = f"an address of {subnet} with its prefix length, as a lease has it"
                yield parts.text.problem(spot, address, expected)
            elif family == 6 and not address.endswith("/128"):
                expected = f"{alone}/128: of two routes to one subnet either may be taken"
                yield parts.text.problem(spot, address, expected)
            families.add(family)
            taken.setdefault(alone, f"{node}'s shim")


def _is_lease(address: str, network: Network) -> bool:
    return str(ip_interface(address).network) == str(network.subnet)


def _taken(parts: Parts, name: str, network: Network) -> Iterator[tuple[str, str]]:
    """Yield the addresses of nodes, and of the network's containers, with who has them."""
    for segment_name, segment in parts.segments.items():
        nic = parts.uplinks.nics.get(segment_name, "")
        for index, node in enumerate(parts.node_names, 1):
            for subnet in (segment.subnet, segment.subnet6):
                own = parts.own_address(index, nic, subnet) if subnet is not None else None
                if own is not None:
                    yield str(own), node
    for host in parts.hosts.values():
        for segment_name in host.on:
            for port in host.ports(segment_name):
                yield from ((str(ip_interface(one).ip), "a host") for one in port.addresses)
    if network.gateway:
        yield str(network.gateway), "the gateway"
    if parts.can_plan(name):
        for node, addresses in parts.handed_out(name):
            yield from ((str(address), f"a container on {node}") for address in addresses)
    for node, fixed in parts.fixed(name).items():
        yield str(fixed), f"a container on {node}"


def _routes(parts: Parts, network: Network, shim: Shim, place: Place) -> Iterator[Problem]:
    """A second route to a subnet that a node is in would take the place of the first."""
    if isinstance(shim.routes, dict):
        for node in shim.routes:
            at: Place = (*place, "routes", node)
            yield from parts.unknown(at, node, parts.node_names, at_key=True)
            if node in parts.node_names and not shim.is_on(node):
                expected = "a node that `addresses` gives a shim"
                yield parts.text.problem(at, node, expected, at_key=True)
    near = parts.segments.get(parts.segment_of(network))
    own = {str(near.subnet), str(near.subnet6)} if near and not parts.is_tagged(network) else set()
    for spot, to in _stated(shim, (*place, "routes")):
        if str(ip_network(to)) in own:
            expected = "a part of it: the node's NIC has the route to all of it"
            yield parts.text.problem(spot, to, expected)


def _stated(shim: Shim, place: Place) -> Iterator[tuple[Place, str]]:
    """Yield each route that a file states, with its place."""
    of = shim.routes.items() if isinstance(shim.routes, dict) else [(None, shim.routes or ())]
    for node, routes in of:
        for position, to in enumerate(routes):
            yield (*place, position) if node is None else (*place, node, position), to
