"""Containers of one kind: what holds for one of them holds for all the others.

A scale lab has hundreds of containers and a handful of kinds. Paths are followed once
for each two kinds, not once for each two containers.
"""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from underlay.expect.ends import End
    from underlay.plan import Attachment, ContainerRoute, Plan, PlannedContainer, Route


class Kinds:
    """The kind of every end of a plan's matrix."""

    def __init__(self, plan: Plan) -> None:
        # A subnet that some route leads to may tell two addresses apart.
        subnets = sorted({route.to for route in _routes(plan)} | {*_pools(plan), *_filtered(plan)})
        self._prefixes = [ip_network(subnet) for subnet in subnets]
        counted = Counter(_addresses(plan))
        # An address that a route leads by, or that somebody else has, too, is like no other.
        self._special = {*gateways(plan), *(a for a, number in counted.items() if number > 1)}
        self._plan = plan
        self._kinds: dict[str, Hashable] = {c.name: self._of(c) for c in plan.containers}

    def of(self, end: End) -> Hashable:
        """Return what ``end`` has in common with all ends that are like it."""
        if end.further:
            return end.name, end.network
        return self._kinds.get(end.space, end.space), end.network

    def _of(self, container: PlannedContainer) -> Hashable:
        # Each child in source mode has a list of its own, which leaves out the child itself;
        # and one with further addresses is several ends.
        if any(attachment.allow or attachment.more for attachment in container.attachments):
            return container.name
        attached = tuple(self._attached(attachment) for attachment in container.attachments)
        filters = tuple(f.number for f in self._plan.filters if container.name in f.spaces)
        own = (filters, self._plan.listens.get(container.name, ()))
        return container.node, container.runtime, container.forwards, attached, own

    def _attached(self, attachment: Attachment) -> Hashable:
        traits: list[Hashable] = [attachment.network]
        for address in (attachment.address.ip, attachment.address6.ip):
            parsed = ip_address(address) if address else None
            traits.append(address if address in self._special else bool(address))
            traits.append(tuple(parsed is not None and parsed in one for one in self._prefixes))
        return tuple(traits)


def gateways(plan: Plan) -> Iterator[str]:
    """Yield every address that a route of the plan goes by, of both families."""
    for network in plan.networks:
        yield from (pool.gateway for pool in network.pools if pool.gateway)
    yield from (route.via for route in _routes(plan) if route.via)


def _routes(plan: Plan) -> Iterator[ContainerRoute | Route]:
    yield from (route for network in plan.networks for route in network.routes)
    yield from (route for node in plan.nodes for route in node.routes)
    yield from (route for host in plan.hosts for route in host.routes)


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


def _addresses(plan: Plan) -> Iterator[str]:
    for container in plan.containers:
        for attachment in container.attachments:
            yield from (address.ip for address in attachment.addresses)
