"""Ends of one kind: what holds for one of them holds for all the others.

A fleet has hundreds of containers and a handful of kinds. Paths are followed once for each two
kinds, on one node and on two, not once for each two containers. So a kind says nothing of which
node its ends are on: nodes with interfaces, routes and filters that are alike can stand for each
other, and their containers with them. A node that something leads to by its address is like no
other, and so are its containers.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from underlay.expect.address_kinds import AddressKinds
from underlay.expect.ends import asking_addresses

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from underlay.expect.ends import End, Pair
    from underlay.expect.world import Domain, Link, Space, World
    from underlay.plan import ContainerRoute, Plan, PlannedContainer, PlannedNode, Route


class Kinds:
    """The kind of every end of a plan's matrix, in the world of one address family."""

    def __init__(self, world: World) -> None:
        self._world, self._plan = world, world.plan
        self._numbers: dict[Hashable, int] = {}

    def key(self, pair: Pair) -> tuple[Hashable, Hashable, bool]:
        """Return what ``pair`` has in common with all pairs whose packets fare alike."""
        source, destination = pair.source, pair.destination
        return self.of(source), self.of(destination), source.node == destination.node

    def of(self, end: End) -> Hashable:
        """Return what ``end`` has in common with all ends that are like it but for their node."""
        if end.further:
            return end.name, end.network
        return self._spaces.get(end.space, end.space), end.network

    @cached_property
    def _spaces(self) -> dict[str, int]:
        """The kind of each namespace, an external host's being its name."""
        plan = self._plan
        nodes = {node.name: self._number(self._of_node(node)) for node in plan.nodes}
        own = {c.name: self._number(self._of_container(c, nodes[c.node])) for c in plan.containers}
        return nodes | own

    def _number(self, kind: Hashable) -> int:
        """Return a number for ``kind``, which is compared more quickly."""
        return self._numbers.setdefault(kind, len(self._numbers))

    def _of_node(self, node: PlannedNode) -> Hashable:
        if node.name in self._apart:
            return node.name
        space = self._world.spaces[node.name]
        networks = self._plan.networks
        asked = (self._asking[node.name, network.name] for network in networks)
        interfaces = {link.address: link.interface for link in reversed(space.links)}
        return (
            "node",
            self._of_space(space),
            tuple(one and interfaces.get(one, one) for one in asked),
            tuple(self._world.has_ports(link) for link in space.links),
            # Between whom an overlay's own packets go, which filters may ask about.
            tuple(self._addresses.within(str(x.options.get("local", ""))) for x in node.links),
        )

    def _of_container(self, container: PlannedContainer, node: int) -> Hashable:
        # Each child in source mode has a list of its own, which leaves out the child itself;
        # and one with further addresses is several ends.
        several = any(attachment.allow or attachment.more for attachment in container.attachments)
        if several or container.name in self._alone:
            return container.name
        space = self._world.spaces[container.name]
        listens = self._plan.listens.get(container.name, ())
        networks = tuple(attachment.network for attachment in container.attachments)
        return node, container.runtime, networks, self._of_space(space), listens

    def _of_space(self, space: Space) -> Hashable:
        filters = tuple(f.number for f in self._plan.filters if space.name in f.spaces)
        links = tuple(self._of_link(link) for link in space.links)
        return links, self._addresses.table(space), space.forwards, space.nat, filters

    def _of_link(self, link: Link) -> Hashable:
        world, domain = self._world, link.domain
        at_port = domain.kind == "port"
        return (
            link.interface,
            link.parent,
            (domain.segment, domain.vlan, domain.kind, _name(domain, link)),
            # What a switch does at a port that has its own VLANs.
            at_port and world.segments[domain.segment].vlans.get(link.port or link.space),
            link.driver,
            link.mode,
            self._addresses.of(link.address, link.node),
            world.is_foreign(link),
            world.tunnel_is_taken(link),
            bool(link.port),
            link.tag,
            link.network and link.network.name,
        )

    @cached_property
    def _asking(self) -> dict[tuple[str, str], str]:
        return asking_addresses(self._plan, self._world.family)

    @cached_property
    def _addresses(self) -> AddressKinds:
        return AddressKinds(self._world, {*gateways(self._plan), *self._several})

    @cached_property
    def _several(self) -> dict[str, set[str]]:
        """The addresses that more than one namespace has, with these."""
        found: dict[str, set[str]] = defaultdict(set)
        for space in self._world.spaces.values():
            for link in space.links:
                if link.address:
                    found[link.address].add(space.name)
        return {address: names for address, names in found.items() if len(names) > 1}

    @cached_property
    def _alone(self) -> set[str]:
        """The namespaces that share an address with others on a wire: each is like no other."""
        mixed = (
            names for address, names in self._several.items() if not self._apart_by(address, names)
        )
        return {name for names in mixed for name in names}

    def _apart_by(self, address: str, names: set[str]) -> bool:
        """Whether an address is each node's own: that of a bridge without uplink, asked there.

        Then the nodes know nothing of each other's.
        """
        spaces = self._world.spaces
        bridges = (x for name in names for x in spaces[name].links if x.address == address)
        if any(x.space != x.node or x.domain.kind != "device" for x in bridges):
            return False
        networks = {network for (_, network), own in self._asking.items() if own == address}
        for container in self._plan.containers:
            if networks.isdisjoint(attachment.network for attachment in container.attachments):
                continue
            route = spaces[container.name].route(address)
            if route and (route.link.by_node or route.link.domain.kind != "device"):
                return False
        return True

    @cached_property
    def _apart(self) -> set[str]:
        """The nodes that are like no other, as others' packets may go there whosever they are."""
        plan, spaces = self._plan, self._world.spaces
        if any(a.allow for container in plan.containers for a in container.attachments):
            return {node.name for node in plan.nodes}
        led = {*gateways(plan)}
        found = {*self._alone}
        for space in spaces.values():
            if any(link.space != link.node and link.address in led for link in space.links):
                found.add(space.name)
        for domain, via in {(r.link.domain, r.via) for s in spaces.values() for r in s.routes}:
            who = self._world.answer_for(domain, via) if via else set()
            found |= who if len(who) > 1 else set()
        return {spaces[name].links[0].node for name in found if spaces[name].links}


def gateways(plan: Plan) -> Iterator[str]:
    """Yield every address that a route of the plan goes by, of both families."""
    for network in plan.networks:
        yield from (pool.gateway for pool in network.pools if pool.gateway)
    yield from (route.via for route in _routes(plan) if route.via)


def _routes(plan: Plan) -> Iterator[ContainerRoute | Route]:
    yield from (route for network in plan.networks for route in network.routes)
    yield from (route for node in plan.nodes for route in node.routes)
    yield from (route for host in plan.hosts for route in host.routes)


def _name(domain: Domain, link: Link) -> str:
    """Return the name of a link's domain without that of its own machine."""
    if domain.kind in ("port", "node"):
        return ""
    return link.parent if domain.kind == "device" else domain.name
