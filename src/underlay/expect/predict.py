"""Predicts every cell of the matrix from the plan alone.

Each end lives in a network namespace with links and routes. A request goes
source to destination and its answer comes back; each way the namespace's own
routes choose a link, and a rule says what becomes of a frame between that link
and the destination's link in the same layer-2 domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import TYPE_CHECKING

from underlay.expect import ipvlan, macvlan, routing
from underlay.expect.ends import Pair, pairs, protocols
from underlay.expect.expectation import Expectation
from underlay.expect.rules import Relation, Rule, first
from underlay.plan import MANAGEMENT_SEGMENT

if TYPE_CHECKING:
    from underlay.plan import Nic, Plan, PlannedContainer, PlannedNetwork, PlannedNode, VlanLink

_EVERYWHERE = IPv4Network("0.0.0.0/0")


def predict(plan: Plan) -> tuple[Expectation, ...]:
    """Return what should happen in every cell of ``plan``'s matrix, in the matrix's order.

    Two containers with one address are predicted as if each were the only one:
    that is what the lab asks for, and the measurement shows what it gets.
    """
    world = _World(plan)
    asked = protocols(plan)
    cells = []
    for pair in pairs(plan):
        rule = world.rule(pair)
        cells += [
            Expectation(
                source=pair.source.name,
                destination=pair.destination.name,
                protocol=protocol,
                reachable=rule.reachable,
                stop=rule.stop,
                because=rule.because,
                reference=rule.reference,
                rule=rule.id,
                also=rule.also,
                cold=rule.cold,
                source_address=pair.source_address,
                destination_address=pair.destination_address,
                family=pair.family,
            )
            for protocol in asked
        ]
    return tuple(cells)


@dataclass(frozen=True)
class _Link:
    """An interface; ``domain`` is segment and VLAN, and the node where that is alone on it.

    ``driver`` is empty for a node's own interface, whose ``mode`` is passthru
    when a child took its unicast away.
    """

    node: str
    parent: str
    domain: tuple[str, int | None, str]
    driver: str
    mode: str
    address: str
    network: str = ""


@dataclass(frozen=True)
class _Route:
    to: IPv4Network
    link: _Link
    gateway: str = ""


@dataclass(frozen=True)
class _Space:
    links: tuple[_Link, ...]
    routes: tuple[_Route, ...]

    def route(self, address: str) -> _Route | None:
        wanted = IPv4Address(address)
        fitting = [route for route in self.routes if wanted in route.to]
        return max(fitting, key=lambda route: route.to.prefixlen, default=None)


class _World:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._deaf = {
            (container.node, plan.network(attachment.network).parent)
            for container in plan.containers
            for attachment in container.attachments
            if plan.network(attachment.network).mode == "passthru"
        }
        self._spaces = {node.name: self._node(node) for node in plan.nodes}
        self._spaces |= {c.name: self._container(c) for c in plan.containers}

    def rule(self, pair: Pair) -> Rule:
        source = self._spaces[pair.source.space]
        destination = self._spaces[pair.destination.space]
        there = self._way(source, destination, pair.destination_address, pair.source_address)
        if not there.reachable:
            return there
        back = self._way(destination, source, pair.source_address, pair.destination_address)
        if not back.reachable:
            return back.for_answer()
        networks = {pair.source.network, pair.destination.network} - {""}
        subnets = {self._plan.network(name).subnet for name in networks}
        return routing.other_subnet(there) if len(subnets) > 1 else there

    def _way(self, source: _Space, destination: _Space, address: str, sender: str) -> Rule:
        """The rule for a packet from ``sender``, an address of ``source``, to ``address``."""
        route = source.route(address)
        if route is None:
            return routing.NO_ROUTE
        link = route.link
        by_node = link.mode in ipvlan.L3_MODES
        if route.gateway and not by_node:
            return self._gateway(route)
        near = [other for other in destination.links if other.domain == link.domain]
        if not near:
            rule = _elsewhere(link, destination, address)
            return routing.asked_by_node(rule) if by_node else rule
        if link.driver == "ipvlan" and not by_node and sender != link.address:
            return ipvlan.FOREIGN_SENDER
        return _between(link, max(near, key=lambda other: other.address == address), address)

    def _gateway(self, route: _Route) -> Rule:
        owners = [
            link
            for node in self._plan.nodes
            for link in self._spaces[node.name].links
            if link.address == route.gateway and link.domain == route.link.domain
        ]
        heard = any(link.node != route.link.node for link in owners)
        return routing.GATEWAY_NODE if heard else routing.GATEWAY_NOBODY

    def _node(self, node: PlannedNode) -> _Space:
        segments = {node.management.interface: MANAGEMENT_SEGMENT}
        segments |= {nic.interface: nic.segment for nic in node.nics}
        links: dict[str, tuple[_Link, IPv4Network]] = {}
        own: tuple[Nic | VlanLink, ...] = (node.management, *node.nics, *node.vlans)
        for nic in own:
            base, _, tag = nic.interface.partition(".")
            links[nic.interface] = (
                _Link(
                    node=node.name,
                    parent=nic.interface,
                    domain=_domain(segments[base], int(tag) if tag else None, node.name),
                    driver="",
                    mode="passthru" if (node.name, nic.interface) in self._deaf else "",
                    address=nic.address.partition("/")[0],
                ),
                IPv4Interface(nic.address).network,
            )
        routes = [_Route(subnet, link) for link, subnet in links.values()]
        routes += [_Route(IPv4Network(r.to), links[r.interface][0]) for r in node.routes]
        return _Space(tuple(link for link, _ in links.values()), tuple(routes))

    def _container(self, container: PlannedContainer) -> _Space:
        links = []
        routes = []
        defaults = []
        for attachment in container.attachments:
            network = self._plan.network(attachment.network)
            link = _child(container.node, network, attachment.address)
            links.append(link)
            routes.append(_Route(IPv4Network(network.subnet), link))
            if network.default_route == "on-link":
                defaults.append(_Route(_EVERYWHERE, link))
            elif network.default_route == "gateway" and network.gateway:
                defaults.append(_Route(_EVERYWHERE, link, network.gateway))
        return _Space(tuple(links), (*routes, *_default(container.runtime, defaults)))


def _default(runtime: str, routes: list[_Route]) -> list[_Route]:
    """The default route that holds where several attachments bring one.

    CNI plugins put theirs before those already there (netlink.RouteAddEcmp, which
    asks the kernel neither to refuse nor to append). Docker has one: the first
    on-link one, as the node's apply program sets it, else the first gateway.
    """
    if runtime == "cni":
        return routes[-1:]
    return ([route for route in routes if not route.gateway] or routes)[:1]


def _child(node: str, network: PlannedNetwork, address: str) -> _Link:
    return _Link(
        node=node,
        parent=network.parent,
        domain=_domain(network.segment, network.vlan, node),
        driver=network.driver,
        mode=network.mode,
        address=address.partition("/")[0],
        network=network.name,
    )


def _domain(segment: str, vlan: int | None, node: str) -> tuple[str, int | None, str]:
    return segment, vlan, node if segment == MANAGEMENT_SEGMENT else ""


def _elsewhere(link: _Link, destination: _Space, address: str) -> Rule:
    """The destination has no link where the source asks; say what keeps them apart."""
    owner = next(other for other in destination.links if other.address == address)
    if link.domain[0] != owner.domain[0]:
        return routing.OTHER_SEGMENT
    if link.domain[1] != owner.domain[1]:
        return routing.OTHER_VLAN
    return routing.MANAGEMENT_ALONE


def _between(link: _Link, other: _Link, address: str) -> Rule:
    """The rule for a frame from ``link`` to ``other``, both in one layer-2 domain."""
    together = (link.node, link.parent) == (other.node, other.parent)
    if together and link.driver and other.driver and link.driver != other.driver:
        return routing.ONE_DRIVER
    if other.driver == "ipvlan" and address != other.address:
        return ipvlan.FOREIGN_ADDRESS
    table = ipvlan.RULES if (other.driver or link.driver) == "ipvlan" else macvlan.RULES
    return first(table, _relation(link, other, together), link.mode, other.mode)


def _relation(link: _Link, other: _Link, together: bool) -> Relation:
    if link.driver and other.driver:
        return "siblings" if together else "across"
    if link.driver:
        return "to own parent" if together else "to other node"
    return "from own parent" if together else "from other node"
