"""How large a packet may be on its way: the least MTU of what sends it and carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from underlay.expect.ends import Pair
    from underlay.expect.path import Arrival
    from underlay.expect.world import Link, World


def largest(world: World, pair: Pair, arrival: Arrival) -> int:
    """Return the largest packet of ``pair`` that arrives, in bytes with its IP header."""
    sizes = [own_size(world, pair, arrival)]
    sizes += [_mtu(world, link) for link in arrival.over]
    sizes += [
        world.segments[link.domain.segment].mtu
        for link in arrival.over
        if link.domain.segment in world.segments
    ]
    return min(sizes)


def own_size(world: World, pair: Pair, arrival: Arrival) -> int:
    """Return the MTU of the interface that the source's route leads to.

    An ipvlan l3 child's packets leave by its node's link, but by its own interface first.
    """
    own = world.spaces[pair.source.space].route(pair.destination_address)
    return _mtu(world, own.link if own else arrival.over[0])


def _mtu(world: World, link: Link) -> int:
    """Return the MTU of one interface."""
    plan = world.plan
    for container in plan.containers:
        if container.name == link.space:
            for attachment in container.attachments:
                if link.address in (attachment.address.ip, attachment.address6.ip):
                    return plan.network(attachment.network).mtu
    for host in plan.hosts:
        if host.name == link.space:
            return next(port.mtu for port in host.ports if port.interface == link.parent)
    node = plan.node(link.space)
    sizes = {card.interface: card.mtu for card in (node.management, *node.nics)}
    sizes |= {card.interface: card.mtu for card in node.vlans}
    sizes |= {made.interface: made.mtu for made in node.links}
    return sizes[link.parent]
