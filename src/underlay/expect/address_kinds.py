"""Addresses of one kind: no route, filter or pool of a plan tells them apart.

A hundred hosts have a hundred routing tables, and few kinds of them: each says the same of what
is its own, and the same of what is another's.
"""

from __future__ import annotations

from bisect import bisect_left
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, NamedTuple

from underlay.expect.ends import is_link_local
from underlay.plan import MANAGEMENT_SEGMENT

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from ipaddress import IPv4Network, IPv6Network

    from underlay.expect.world import Space, World
    from underlay.plan import Plan

    Subnet = IPv4Network | IPv6Network

# Whose addresses a subnet holds: nobody's, or those of several machines or an external host.
NOBODYS, SHARED = "", "*"
# Stands for a subnet that holds addresses of the table's own node alone.
OWN = "own"


class _Table(NamedTuple):
    """Routing tables of one kind, with a namespace of each machine that has one.

    ``relative`` says that some of its subnets are the machine's own.
    """

    number: int
    relative: bool
    spaces: dict[str, Space]


class AddressKinds:
    """What each address of a world has in common with those that are taken like it."""

    def __init__(self, world: World, special: set[str]) -> None:
        self._special = special
        self._subnets = [
            subnet
            for text in sorted({*_pools(world.plan), *_filtered(world.plan)})
            if (subnet := ip_network(text)).version == world.family
        ] + sorted({ip_network(one) for space in world.spaces.values() for one in space.nat})
        self._known = sorted(_known(world))
        self._numbers = [number for number, _ in self._known]
        self._owners: dict[Subnet, str] = {}
        self._tables: dict[Hashable, _Table] = {}
        self._of_space: dict[str, int] = {}
        for space in world.spaces.values():
            self._add(space)
        self._found: dict[tuple[str, str], Hashable] = {}

    def of(self, address: str, machine: str) -> Hashable:
        """Return the kind of an address that ``machine``, or a container of it, has."""
        if not address or address in self._special:
            return address
        key = address, machine
        if key not in self._found:
            parsed = ip_address(address)
            routed = tuple(self._routed(table, *key) for table in self._tables.values())
            within = tuple(parsed in subnet for subnet in self._subnets)
            self._found[key] = is_link_local(address), routed, within
        return self._found[key]

    def within(self, address: str) -> Hashable:
        """Return which of the subnets that rules ask about hold an address."""
        return address and tuple(ip_address(address) in subnet for subnet in self._subnets)

    def table(self, space: Space) -> int:
        """Return the number of the kind that a namespace's routing table is of."""
        return self._of_space[space.name]

    def _routed(self, table: _Table, address: str, machine: str) -> Hashable:
        """What tables of a kind say of an address: that of its own machine, and another one's."""
        own = table.spaces.get(machine)
        if not table.relative:
            # All say the same, but for subnets of which nobody asks, such as the management's.
            return _by(own or next(iter(table.spaces.values())), address)
        other = next((space for name, space in table.spaces.items() if name != machine), None)
        return own and _by(own, address), other and _by(other, address)

    def _add(self, space: Space) -> None:
        machine = space.links[0].node if space.links else space.name
        places = {id(link): place for place, link in enumerate(space.links)}
        routes = [
            (route.to, self._owner(route.to), (places[id(route.link)], route.via))
            for route in space.routes
        ]
        whose = {owner for _, owner, _ in routes}
        # Who knows of what is another's may know of each otherwise: its table is taken as it is.
        relative = machine in whose and not whose - {NOBODYS, SHARED, machine}
        alike = tuple(
            (OWN if relative and owner == machine else to, way)
            for to, owner, way in routes
            if owner != NOBODYS
        )
        table = self._tables.setdefault(alike, _Table(len(self._tables), relative, {}))
        table.spaces.setdefault(machine, space)
        self._of_space[space.name] = table.number

    def _owner(self, subnet: Subnet) -> str:
        """Return the node whose addresses alone a subnet holds, or which word stands for it."""
        if subnet not in self._owners:
            first = bisect_left(self._numbers, int(subnet.network_address))
            last = bisect_left(self._numbers, int(subnet.broadcast_address) + 1)
            whose = {machine for _, machine in self._known[first:last]}
            self._owners[subnet] = (
                NOBODYS if not whose else whose.pop() if len(whose) == 1 else SHARED
            )
        return self._owners[subnet]


def _by(space: Space, address: str) -> tuple[int, str] | None:
    """Return by which of its links, and through whom, a namespace sends to an address."""
    route = space.route(address)
    if route is None:
        return None
    return next(i for i, link in enumerate(space.links) if link is route.link), route.via


def _known(world: World) -> Iterator[tuple[int, str]]:
    """Yield every address that somebody may ask for, as a number, with the machine it is on."""
    managed = any(network.segment == MANAGEMENT_SEGMENT for network in world.plan.networks)
    hosts = {host.name for host in world.plan.hosts}
    for space in world.spaces.values():
        for link in space.links:
            # Of a management link nobody asks, but who is in a network on it.
            if link.address and (managed or link.domain.segment != MANAGEMENT_SEGMENT):
                yield int(ip_address(link.address)), SHARED if link.node in hosts else link.node


def _pools(plan: Plan) -> Iterator[str]:
    """Yield the subnets of networks that have several of a family: containers are in one each."""
    for network in plan.networks:
        families = [pool.family for pool in network.pools]
        if len(set(families)) < len(families):
            yield from (pool.subnet for pool in network.pools)


def _filtered(plan: Plan) -> Iterator[str]:
    """Yield the subnets that a filter asks about."""
    for one in plan.filters:
        yield from (*one.sources, *one.destinations)
