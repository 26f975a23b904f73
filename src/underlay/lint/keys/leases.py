"""Checks of who gives containers their addresses: CNI's IPAM plugins, DHCP and advertisements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_interface

from underlay.drivers import DRIVERS
from underlay.lab import Network
from underlay.lab.text import Problem
from underlay.lint.keys.parts import Parts

# A DHCP server and a router tell children apart by their MAC addresses, which ipvlan ones share.
OWN_MAC = tuple(one for one in DRIVERS.values() if one.own_mac and one.overlay is None)
ADVERTISED = 64


def _ipam(parts: Parts) -> Iterator[Problem]:
    """A plugin for addresses is CNI's, and a DHCP lease needs a MAC address of one's own."""
    for name, network in parts.loose_networks.items():
        place = ("networks", name, "ipam")
        if network.ipam and network.runtime != "cni":
            expected = f"no ipam for {network.runtime}: it is for cni"
            yield parts.text.problem(place, "the key ipam", expected, at_key=True)
        elif network.ipam == "dhcp":
            yield from _leased(parts, name, network)
        if network.slaac:
            yield from _advertised(parts, name, network)


def _leased(parts: Parts, name: str, network: Network) -> Iterator[Problem]:
    place = ("networks", name, "ipam")
    if not _has_own_mac(parts, network):
        yield parts.text.problem(place, f"dhcp for {network.driver}", _of_own_mac("cni"))
    elif network.subnet6:
        yield parts.text.problem(place, "dhcp with subnet6", "IPv4 only")
    elif not _server(parts, network, "dhcp", network.subnet):
        expected = f"a host with `serves: [dhcp]` and an address in {network.subnet}"
        yield parts.text.problem(place, "dhcp without a server", expected)


def _advertised(parts: Parts, name: str, network: Network) -> Iterator[Problem]:
    place = ("networks", name, "slaac")
    if network.subnet6 is None or network.subnet6.prefixlen != ADVERTISED:
        expected = f"a subnet6 of /{ADVERTISED} beside it"
        yield parts.text.problem(place, str(network.subnet6 or "no subnet6"), expected)
    elif network.runtime not in ("cni", "iproute2"):
        expected = "runtime cni or iproute2: an engine gives addresses itself"
        yield parts.text.problem(place, f"slaac by {network.runtime}", expected)
    elif not _has_own_mac(parts, network):
        expected = _of_own_mac(network.runtime)
        yield parts.text.problem(place, f"slaac for {network.driver}", expected)
    elif not _server(parts, network, "ra", network.subnet6):
        expected = f"a host with `serves: [ra]` and an address in {network.subnet6}"
        yield parts.text.problem(place, "slaac without a router", expected)


def _of_own_mac(runtime: str) -> str:
    able = [one.name for one in OWN_MAC if runtime in one.runtimes]
    return f"untagged {' or '.join(able)}, whose children have MAC addresses of their own"


def _has_own_mac(parts: Parts, network: Network) -> bool:
    closed = network.internal or network.nat or network.mode == "passthru"
    return DRIVERS[network.driver] in OWN_MAC and not parts.is_tagged(network) and not closed


def _server(
    parts: Parts, network: Network, service: str, subnet: IPv4Network | IPv6Network
) -> bool:
    segment = parts.segment_of(network)
    return any(
        ip_interface(address).ip in subnet
        for host in parts.hosts.values()
        if service in host.serves and segment in host.on
        for address in host.on[segment].addresses
    )


LEASE_CHECKS: tuple[Callable[[Parts], Iterator[Problem]], ...] = (_ipam,)
