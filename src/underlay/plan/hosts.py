"""The external hosts of a lab: machines on its segments that are no nodes, and what they serve.

The server is dnsmasq, a real one: it leases each container the address that the plan says,
by its MAC address, and advertises the subnets that containers make addresses of (SLAAC).
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING

from underlay.plan.addresses import Cidr
from underlay.plan.naming import FIRST_HOST, host_port_name, mac
from underlay.plan.switch import has_vlans, port_vlans
from underlay.plan.values import HostPort, PlannedHost, Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.lab import Host, Lab, Segment
    from underlay.plan.addresses import Family
    from underlay.plan.values import PlannedContainer, PlannedNetwork, PlannedNode


# A station that no port is named after.
UNNAMED = ""
COMMON = """\
port=0
no-ping
leasefile-ro
dhcp-authoritative
"""


def plan_hosts(lab: Lab, networks: tuple[PlannedNetwork, ...]) -> tuple[PlannedHost, ...]:
    """Return the external hosts of ``lab``, in the file's order."""
    return tuple(
        _host(lab, name, host, index, networks)
        for index, (name, host) in enumerate(lab.hosts.items(), 1)
    )


def host_address(host: PlannedHost, network: PlannedNetwork, family: int = 4) -> str:
    """Return ``host``'s address (no prefix length) for the cells of ``network``.

    It is the one in the network's subnet, else one in its segment with its tag, else any; empty
    where the host has none of that ``family``.
    """
    found = [
        (ip_interface(address), (port.segment, port.vlan))
        for port in host.ports
        for address in port.addresses
        if address.family == family
    ]
    near = [own for own, place in found if place == (network.segment, network.vlan)]
    inside = [own for own in near if network.pool_of(str(own.ip)).subnet]
    chosen = inside or near or [own for own, _ in found]
    return str(chosen[0].ip) if chosen else ""


def _host(
    lab: Lab, name: str, host: Host, index: int, networks: tuple[PlannedNetwork, ...]
) -> PlannedHost:
    segments = list(lab.segments)
    ports = tuple(
        HostPort(
            segment=segment,
            interface=f"eth{position}" if port.vlan is None else f"eth{position}.{port.vlan}",
            port=host_port_name(segment, index),
            mac=mac(segments.index(segment) + 1, FIRST_HOST + index),
            addresses=tuple(map(Cidr, port.addresses)) or tuple(_addresses(lab, segment, index)),
            vlan=port.vlan,
            mtu=lab.segments[segment].mtu,
            link="" if port.vlan is None else f"eth{position}",
        )
        for position, segment in enumerate(host.on)
        for port in host.ports(segment)
    )
    routes = (*_on_link(lab, name, ports, networks), *_extra(host, ports))
    return PlannedHost(name, ports, tuple(routes), host.forwards)


def _addresses(lab: Lab, segment: str, index: int) -> Iterator[Cidr]:
    """The last addresses of the segment's subnets, downwards: the nodes have the first ones."""
    for subnet in (lab.segments[segment].subnet, lab.segments[segment].subnet6):
        if subnet:
            yield Cidr(f"{subnet[-1 - index]}/{subnet.prefixlen}")


def in_one_vlan(segment: Segment, host: str, own: int | None, tag: int | None) -> bool:
    """Whether what ``host`` sends with the tag ``own`` meets a network with ``tag`` in ``segment``.

    Where the segment's ports have VLANs that is so by the port of some node; None is no tag.
    """
    if not has_vlans(segment):
        return own == tag
    nodes = [name for name in segment.ports if name != host]
    nodes += [UNNAMED] if segment.trunk is not None else []
    vlans = port_vlans(segment, [host, *nodes])
    inside = vlans[host].enters(own)
    reached = {vlans[name].enters(tag) for name in nodes}
    return inside is not None and inside in reached


def _on_link(
    lab: Lab, name: str, ports: tuple[HostPort, ...], networks: tuple[PlannedNetwork, ...]
) -> Iterator[Route]:
    """Like a node, a host asks on the wire for the containers of its segments.

    A subnet has one route: by the interface with an address in it, else by the first.
    """
    known = {address.subnet for port in ports for address in port.addresses}
    for port in ports:
        families = {address.family for address in port.addresses}
        for network in networks:
            if network.segment != port.segment or not network.uplink:
                continue
            if not in_one_vlan(lab.segments[port.segment], name, port.vlan, network.vlan):
                continue
            for pool in network.pools:
                if pool.subnet not in known and pool.family in families:
                    known.add(pool.subnet)
                    yield Route(pool.subnet, port.interface)


def _extra(host: Host, ports: tuple[HostPort, ...]) -> Iterator[Route]:
    for route in host.routes:
        near = [
            port.interface
            for port in ports
            for address in port.addresses
            if route.via and ip_address(route.via) in ip_interface(address).network
        ]
        yield Route(route.to, near[0] if near else ports[0].interface, route.via or "")


def with_services(
    lab: Lab,
    hosts: tuple[PlannedHost, ...],
    networks: tuple[PlannedNetwork, ...],
    nodes: tuple[PlannedNode, ...],
    containers: tuple[PlannedContainer, ...],
) -> tuple[PlannedHost, ...]:
    """Return ``hosts`` with what they serve to ``containers`` and to the shims of ``nodes``."""
    return tuple(
        replace(host, services=_configuration(lab, host, networks, nodes, containers))
        for host in hosts
    )


def _configuration(
    lab: Lab,
    host: PlannedHost,
    networks: tuple[PlannedNetwork, ...],
    nodes: tuple[PlannedNode, ...],
    containers: tuple[PlannedContainer, ...],
) -> str:
    services = lab.hosts[host.name].serves
    lines: list[str] = []
    for network in networks:
        leases = [*_to_containers(network, containers), *_to_shims(network, nodes)]
        if "dhcp" in services and leases and _within(lab, host, network, 4):
            lines += [*_leased(network), *leases]
        if "ra" in services and network.slaac and _within(lab, host, network, 6):
            lines += _advertised(network)
    return COMMON + "".join(f"{line}\n" for line in dict.fromkeys(lines)) if lines else ""


def _within(lab: Lab, host: PlannedHost, network: PlannedNetwork, family: Family) -> bool:
    """Whether ``host`` has an address of ``network``'s subnet where its containers hear it."""
    return any(
        pool.holds(address.ip)
        for pool in network.pools_of(family)
        for port in host.ports
        for address in port.addresses
        if port.segment == network.segment
        and in_one_vlan(lab.segments[port.segment], host.name, port.vlan, network.vlan)
    )


def _leased(network: PlannedNetwork) -> Iterator[str]:
    """The subnet that leases are of, and its router."""
    subnet = ip_network(network.subnet)
    # Told apart by a tag: a host may lease in several VLANs, each with a gateway of its own.
    tag = network.name
    yield f"dhcp-range=set:{tag},{subnet.network_address},static,{subnet.netmask},1h"
    router = network.gateway if network.default_route == "gateway" else ""
    # Without a value the option isn't sent: dnsmasq would name itself.
    yield f"dhcp-option=tag:{tag},option:router,{router}".removesuffix(",")


def _to_containers(
    network: PlannedNetwork, containers: tuple[PlannedContainer, ...]
) -> Iterator[str]:
    for container in containers if network.ipam == "dhcp" else ():
        for attachment in container.attachments:
            if attachment.network == network.name:
                yield f"dhcp-host={attachment.mac},{attachment.address.ip}"


def _to_shims(network: PlannedNetwork, nodes: tuple[PlannedNode, ...]) -> Iterator[str]:
    for node in nodes:
        for link in node.links:
            if network.shim and link.interface == network.shim and link.options.get("dhcp"):
                yield f"dhcp-host={link.mac},{link.addresses[0].ip}"


def _advertised(network: PlannedNetwork) -> Iterator[str]:
    subnet = ip_network(network.subnet6)
    yield "enable-ra"
    yield f"dhcp-range={subnet.network_address},ra-only,{subnet.prefixlen}"
    # Every four seconds, and for zero seconds a default router: routes are the plan's.
    yield "ra-param=*,4,0"
