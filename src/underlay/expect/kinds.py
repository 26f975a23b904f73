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
    from underlay.plan import Attachment, Plan, PlannedContainer, Route


class Kinds:
    """The kind of every end of a plan's matrix."""

    def __init__(self, plan: Plan) -> None:
        self._prefixes = [ip_network(text) for text in sorted(set(_prefixes(plan)))]
        counted = Counter(_addresses(plan))
        # An address that a route leads by, or that somebody else has, too, is like no other.
        self._special = {*_by_name(plan), *(a for a, number in counted.items() if number > 1)}
        self._kinds: dict[str, Hashable] = {c.name: self._of(c) for c in plan.containers}

    def of(self, end: End) -> Hashable:
        """Return what ``end`` has in common with all ends that are like it."""
        return self._kinds.get(end.space, end.space), end.network

    def _of(self, container: PlannedContainer) -> Hashable:
        # Each child in source mode has a list of its own, which leaves out the child itself.
        if any(attachment.allow for attachment in container.attachments):
            return container.name
        attached = tuple(self._attached(attachment) for attachment in container.attachments)
        return container.node, container.runtime, container.forwards, attached

    def _attached(self, attachment: Attachment) -> Hashable:
        traits: list[Hashable] = [attachment.network]
        for address in (attachment.address.ip, attachment.address6.ip):
            parsed = ip_address(address) if address else None
            traits.append(address if address in self._special else bool(address))
            traits.append(tuple(parsed is not None and parsed in one for one in self._prefixes))
        return tuple(traits)


def _prefixes(plan: Plan) -> Iterator[str]:
    """Yield every subnet that some route leads to: it may tell two addresses apart."""
    for network in plan.networks:
        yield from (route.to for route in network.routes)
    yield from (route.to for route in _machines(plan))


def _by_name(plan: Plan) -> Iterator[str]:
    """Yield every address that a route goes by."""
    for network in plan.networks:
        yield from filter(None, (network.gateway, network.gateway6))
        yield from (route.via for route in network.routes if route.via)
    yield from (route.via for route in _machines(plan) if route.via)


def _machines(plan: Plan) -> Iterator[Route]:
    for node in plan.nodes:
        yield from node.routes
    for host in plan.hosts:
        yield from host.routes


def _addresses(plan: Plan) -> Iterator[str]:
    for container in plan.containers:
        for attachment in container.attachments:
            yield from filter(None, (attachment.address.ip, attachment.address6.ip))
