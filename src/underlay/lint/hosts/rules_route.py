"""Rules about default routes of hosts."""

from __future__ import annotations

from collections.abc import Iterator

from underlay.fleet.host import Address, DefaultRoute, Interface, Link
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import Hosts, rule


@rule(
    "default-route-twice", "warning", "netplan: `Conflicting default route declarations`; RFC 1812"
)
def default_route_twice(hosts: Hosts) -> Iterator[Hit]:
    """Two default routes with one metric: which one counts depends on what came up first."""
    for host in hosts:
        first: dict[tuple[int, int | None], tuple[Link, DefaultRoute]] = {}
        for link in host.links:
            for route in link.defaults:
                other, before = first.setdefault(
                    (route.gateway.version, route.metric), (link, route)
                )
                # A render may hold the same line twice: in its own file and in user-data.
                if other.name != link.name and before.spot != route.spot:
                    message = f"{host.name} has a default route by {link.name}'s {route.gateway}"
                    message += f", and one by {other.name}'s {before.gateway}"
                    cure = "keep one, or give each a metric of its own"
                    yield Hit(route.spot, message, cure, (before.spot,))


@rule(
    "host-gateway-outside",
    "error",
    "Linux, net/ipv4/fib_semantics.c: `Nexthop has invalid gateway`",
)
def host_gateway_outside(hosts: Hosts) -> Iterator[Hit]:
    """A gateway that is in no subnet of its interface can't be reached: the route is refused."""
    for host in hosts:
        for link in host.links:
            for route in link.defaults:
                # An address may come by DHCP or in another file, too.
                near = [i for i, _ in link.addresses if i.version == route.gateway.version]
                apart = route.on_link or route.gateway.is_link_local
                if near and not apart and not _reached(near, route.gateway):
                    message = f"{link.name}'s gateway {route.gateway} is not in {near[0].network}"
                    yield Hit(route.spot, message, "take a router of that subnet")


def _reached(near: list[Interface], gateway: Address) -> bool:
    return any(gateway in interface.network for interface in near)


@rule("host-gateway-self", "error", "RFC 1122, section 3.3.1")
def host_gateway_self(hosts: Hosts) -> Iterator[Hit]:
    """A host that is its own gateway sends what it can't deliver to itself."""
    for host in hosts:
        for link in host.links:
            own = {interface.ip for interface, _ in link.addresses}
            for route in link.defaults:
                if route.gateway in own:
                    message = f"{host.name}'s gateway {route.gateway} is its own address"
                    yield Hit(route.spot, message, "name the router's address")
