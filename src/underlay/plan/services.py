"""What an external host serves: leases of the planned addresses, and router advertisements.

The server is dnsmasq, a real one: it leases each container the address that the plan says,
by its MAC address, and advertises the subnets that containers make addresses of (SLAAC).
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from underlay.lab import Lab
    from underlay.plan.values import PlannedContainer, PlannedHost, PlannedNetwork

COMMON = """\
port=0
no-ping
leasefile-ro
dhcp-authoritative
"""


def with_services(
    lab: Lab,
    hosts: tuple[PlannedHost, ...],
    networks: tuple[PlannedNetwork, ...],
    containers: tuple[PlannedContainer, ...],
) -> tuple[PlannedHost, ...]:
    """Return ``hosts`` with what they serve to ``containers``."""
    return tuple(
        replace(
            host, services=_configuration(host, lab.hosts[host.name].serves, networks, containers)
        )
        for host in hosts
    )


def _configuration(
    host: PlannedHost,
    services: Iterable[str],
    networks: tuple[PlannedNetwork, ...],
    containers: tuple[PlannedContainer, ...],
) -> str:
    lines: list[str] = []
    for network in networks:
        if "dhcp" in services and network.ipam == "dhcp" and _within(host, network, network.subnet):
            lines += _leases(network, containers)
        if "ra" in services and network.slaac and _within(host, network, network.subnet6):
            lines += _advertised(network)
    return COMMON + "".join(f"{line}\n" for line in dict.fromkeys(lines)) if lines else ""


def _within(host: PlannedHost, network: PlannedNetwork, subnet: str) -> bool:
    near = (port.addresses for port in host.ports if port.segment == network.segment)
    own = (ip_interface(address).ip for addresses in near for address in addresses)
    return any(address in ip_network(subnet) for address in own)


def _leases(network: PlannedNetwork, containers: tuple[PlannedContainer, ...]) -> Iterator[str]:
    subnet = ip_network(network.subnet)
    yield f"dhcp-range={subnet.network_address},static,{subnet.netmask},1h"
    router = network.gateway if network.default_route == "gateway" else ""
    # Without a value the option isn't sent: dnsmasq would name itself.
    yield f"dhcp-option=option:router,{router}".removesuffix(",")
    for container in containers:
        for attachment in container.attachments:
            if attachment.network == network.name:
                yield f"dhcp-host={attachment.mac},{attachment.address.partition('/')[0]}"


def _advertised(network: PlannedNetwork) -> Iterator[str]:
    subnet = ip_network(network.subnet6)
    yield "enable-ra"
    yield f"dhcp-range={subnet.network_address},ra-only,{subnet.prefixlen}"
    # Every four seconds, and for zero seconds a default router: routes are the plan's.
    yield "ra-param=*,4,0"
