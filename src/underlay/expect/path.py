"""How a packet travels: route by route, link by link, until it is there or a rule stops it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from underlay.drivers import bridge, ipvlan, macvlan, tunnels, vlan
from underlay.drivers.rule import first
from underlay.expect import routing, stations, switch_ports
from underlay.expect.kinds import Kinds

if TYPE_CHECKING:
    from collections.abc import Hashable

    from underlay.drivers.rule import Fact, Relation, Rule
    from underlay.expect.ends import Pair
    from underlay.expect.world import Hop, Link, Space, World

TABLES: dict[str, tuple[Rule, ...]] = {
    "": stations.RULES,
    "macvlan": macvlan.RULES,
    "ipvlan": ipvlan.RULES,
    "bridge": bridge.RULES,
    "vlan": vlan.RULES,
    "vxlan": tunnels.VXLAN,
    "gretap": tunnels.GRETAP,
}
# A route that leads in circles is given up long before IP's own 64.
MOST_HOPS = 8


@dataclass(frozen=True)
class Packet:
    """What travels: from ``sender``, an address of its source, to ``address`` of ``target``."""

    sender: str
    address: str
    target: Space
    hops: int = 0


@dataclass(frozen=True)
class Arrival:
    """What became of a packet; ``masked`` is the link whose address it carries since a NAT.

    ``over`` are the links that sent it, one for each wire that it crossed, and ``into``
    those that took it there.
    """

    rule: Rule
    masked: Link | None = None
    over: tuple[Link, ...] = ()
    into: tuple[Link, ...] = ()


class Paths:
    """Finds the rule for each cell of one address family."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kinds = Kinds(world.plan)
        self._decided: dict[Hashable, Rule] = {}

    def rule(self, pair: Pair) -> Rule:
        """Return the rule that decides the cell of ``pair``: for its request, or its answer."""
        alike = self._kinds.of(pair.source), self._kinds.of(pair.destination)
        if alike not in self._decided:
            self._decided[alike] = self._followed(pair)
        return self._decided[alike]

    def _followed(self, pair: Pair) -> Rule:
        there = self.request(pair)
        if not there.rule.reachable:
            return there.rule
        back = self.answer(pair, there.masked)
        if not back.rule.reachable and not back.rule.unasked:
            return back.rule.for_answer()
        if there.masked:
            return routing.MASQUERADED
        rule = self._direct(pair, there)
        passed = {link.space for link in (*there.over, *there.into)}
        if back.masked and back.masked.space not in passed:
            return replace(routing.ANSWER_MASQUERADED, icmp=rule)
        return rule

    def _direct(self, pair: Pair, there: Arrival) -> Rule:
        """The rule of a request that arrives under its sender's own address."""
        networks = {pair.source.network, pair.destination.network} - {""}
        subnets = {self._world.subnet(name) for name in networks}
        direct = there.rule.relation != "routing"
        return routing.other_subnet(there.rule) if len(subnets) > 1 and direct else there.rule

    def request(self, pair: Pair) -> Arrival:
        """Return what becomes of ``pair``'s request, whether it can be answered or not."""
        source = self._world.spaces[pair.source.space]
        destination = self._world.spaces[pair.destination.space]
        return self._way(source, Packet(pair.source_address, pair.destination_address, destination))

    def answer(self, pair: Pair, masked: Link | None) -> Arrival:
        """Return what becomes of the answer; a masqueraded request's by way of who did that."""
        source = self._world.spaces[pair.source.space]
        destination = self._world.spaces[pair.destination.space]
        home = self._world.spaces[masked.space] if masked else source
        address = masked.address if masked else pair.source_address
        back = self._way(destination, Packet(pair.destination_address, address, home))
        if not back.rule.reachable or not masked:
            return back
        on = self._way(home, Packet(pair.destination_address, pair.source_address, source))
        return Arrival(on.rule, None, (*back.over, *on.over), (*back.into, *on.into))

    def _way(self, space: Space, packet: Packet) -> Arrival:
        """What becomes of a packet that ``space`` sends or passes on."""
        route = space.route(packet.address)
        if route is None:
            return Arrival(routing.NO_ROUTE)
        if route.link.by_node:
            return self._by_node(route.link, packet)
        return self._over(space, route.link, route, packet)

    def _by_node(self, link: Link, packet: Packet) -> Arrival:
        """An ipvlan l3 child's packet: to a sibling directly, else as its node's routes say."""
        beside = [other for other in packet.target.links if _together(link, other)]
        for other in sorted(beside, key=lambda one: one.address != packet.address):
            # IPv4 looks for the route by the parent: another interface's address isn't local there
            # (ipvlan_process_v4_outbound, flowi4_oif; net/ipv4/fib_trie.c, fib_table_lookup).
            any_own = self._world.family == 6 and not other.driver
            if other.address == packet.address or any_own:
                rule = self._between(link, other, packet.address)
                return Arrival(rule, over=(link,), into=(other,))
        node = self._world.spaces[link.node]
        # A dummy, the parent of an internal network, is no link that the node speaks on.
        own = next((x for x in node.links if x.parent == link.parent and not x.driver), None)
        any_interface = self._world.family == 6
        route = node.route(packet.address, "" if any_interface else link.parent)
        if any_interface and (route is None or route.link.parent != link.parent):
            return self._by_another(node, route, packet)
        # With no route over the parent IPv4 takes the destination to be on its link
        # (net/ipv4/route.c, ip_route_output_key_hash_rcu).
        arrival = self._over(node, link, route, packet, asker=own)
        # What a node sends for its child passes its POSTROUTING chain like its own packets.
        if own and not arrival.masked and _masquerades(node, packet.sender, own):
            arrival = replace(arrival, masked=own)
        if arrival.rule.reachable or arrival.rule.stop == "no_answer":
            return arrival
        return Arrival(routing.asked_by_node(arrival.rule))

    def _by_another(self, node: Space, route: Hop | None, packet: Packet) -> Arrival:
        """An ipvlan l3 child's IPv6 packet whose route leads over none of its parent."""
        if route is None:
            return Arrival(routing.asked_by_node(routing.NO_ROUTE))
        arrival = self._over(node, route.link, route, packet)
        if arrival.rule.reachable:
            return replace(arrival, rule=ipvlan.L3_ANY_INTERFACE)
        return Arrival(routing.asked_by_node(arrival.rule))

    def _over(
        self, space: Space, link: Link, route: Hop | None, packet: Packet, asker: Link | None = None
    ) -> Arrival:
        """Find who answers for the next hop on ``link``'s wire, and go on from there."""
        hop = route.via if route and route.via else packet.address
        near = [other for other in self._world.answering(link, hop) if other is not (asker or link)]
        meant = [other for other in near if other.space == packet.target.name]
        if not near and hop != packet.address:
            return Arrival(routing.GATEWAY_NOBODY)
        if not meant and hop == packet.address:
            return Arrival(self._elsewhere(space, link, near, packet))
        if self._foreign(space, link, packet):
            return Arrival(ipvlan.FOREIGN_SENDER)
        if hop == packet.address:
            rule, other = self._answered(link, meant, hop)
            return Arrival(rule, over=(asker or link,), into=(other,))
        other = max(meant or near, key=lambda one: one.address == hop)
        return self._by_gateway(link, other, packet)

    def _answered(self, link: Link, near: list[Link], address: str) -> tuple[Rule, Link]:
        """Whichever of a machine's links can answer does: a shim for its parent's address, too.

        But what is for an l3 child's own address is that child's, which has no ARP, and not its
        parent's (drivers/net/ipvlan/ipvlan_core.c, ipvlan_handle_mode_l3).
        """
        near = [one for one in near if one.takes_all and one.address == address] or near
        rules = [(self._between(link, one, address), one) for one in near]
        return max(
            rules,
            key=lambda pair: (
                pair[0].reachable,
                pair[0].stop == "no_answer",
                pair[1].address == address,
            ),
        )

    def _by_gateway(self, link: Link, gateway: Link, packet: Packet) -> Arrival:
        child = self._child_of(gateway, packet)
        if child:
            rule = self._between(link, child, packet.address, "by route")
            return Arrival(rule, over=(link,), into=(child,))
        gateway = self._behind(link, gateway, packet)
        rule = self._between(link, gateway, packet.address)
        space = self._world.spaces[gateway.space]
        if not rule.reachable or space is packet.target:
            return Arrival(rule, over=(link,), into=(gateway,))
        if not space.forwards or packet.hops == MOST_HOPS:
            return Arrival(routing.GATEWAY_SILENT)
        onward = Packet(packet.sender, packet.address, packet.target, packet.hops + 1)
        arrival = self._way(space, onward)
        if not arrival.rule.reachable:
            return Arrival(routing.beyond_gateway(arrival.rule))
        route = space.route(packet.address)
        masked = route.link if route and _masquerades(space, packet.sender, route.link) else None
        over, into = (link, *arrival.over), (gateway, *arrival.into)
        return Arrival(routing.FORWARDED, arrival.masked or masked, over, into)

    def _behind(self, link: Link, gateway: Link, packet: Packet) -> Link:
        """Who gets what is sent to a gateway: an ipvlan child's node, as they share a MAC address.

        The parent keeps what carries no child's address, for itself or to pass it on.
        """
        node = self._world.spaces.get(gateway.node)
        if gateway.driver != "ipvlan" or node is None or _together(link, gateway):
            return gateway
        own = next((x for x in node.links if x.parent == gateway.parent and not x.driver), None)
        return own if own and (node is packet.target or node.forwards) else gateway

    def _child_of(self, gateway: Link, packet: Packet) -> Link | None:
        """A parent gives its ipvlan child what carries the child's address, before routing."""
        for other in packet.target.links:
            shared = gateway.driver in ("", "ipvlan") and _together(gateway, other)
            if other.driver == "ipvlan" and shared:
                return other if other.address == packet.address else None
        return None

    def _foreign(self, space: Space, link: Link, packet: Packet) -> bool:
        if self._world.family == 6 or link.driver != "ipvlan" or link.by_node:
            return False
        return packet.sender != link.address and space.owns(packet.sender)

    def _elsewhere(self, space: Space, link: Link, near: list[Link], packet: Packet) -> Rule:
        """The destination has no link where the source asks; say what keeps them apart."""
        rule = self._apart(link, packet)
        if space.owns(packet.address):
            return routing.taken(rule)
        answers = (self._between(link, one, packet.address) for one in near)
        return routing.taken(rule) if any(one.reachable for one in answers) else rule

    def _apart(self, link: Link, packet: Packet) -> Rule:
        owner = next(one for one in packet.target.links if one.address == packet.address)
        if "" in (link.domain.segment, owner.domain.segment):
            return routing.CLOSED
        if link.domain.segment != owner.domain.segment:
            return routing.OTHER_SEGMENT
        by_port = switch_ports.apart(self._world, link, owner)
        if by_port:
            return by_port
        if link.domain.vlan != owner.domain.vlan:
            return routing.OTHER_VLAN
        return routing.MANAGEMENT_ALONE

    def _between(self, link: Link, other: Link, address: str, *words: Fact) -> Rule:
        """The rule for a frame from ``link`` to ``other``, both in one layer-2 domain."""
        together = _together(link, other)
        if together and link.driver and other.driver and link.driver != other.driver:
            return routing.refused()
        if other.driver == "ipvlan" and address != other.address:
            return ipvlan.FOREIGN_ADDRESS
        relation = _relation(link, other, together)
        facts = frozenset((*words, *self._facts(link, other, together)))
        asked = ["", other.driver, link.driver]
        if {link.mode, other.mode} & {"passthru"}:
            asked.append("macvlan")
        rule = _decided(tuple(dict.fromkeys(asked)), relation, link.mode, other.mode, facts)
        return switch_ports.retagged(rule) if rule.reachable and link.tag != other.tag else rule

    def _facts(self, link: Link, other: Link, together: bool) -> tuple[Fact, ...]:
        found: list[Fact] = []
        if any(
            one.mode == "source" and peer.mac not in one.allow
            for one, peer in ((link, other), (other, link))
        ):
            found.append("unlisted")
        if not together and any(self._world.is_deaf(one) for one in (link, other)):
            found.append("deaf")
        segment = self._world.segments.get(self._segment(link))
        if segment is None:
            return tuple(found)
        if segment.reflects:
            found.append("hairpin")
        if segment.swallows_multicast and not together and self._asks_by_multicast(link):
            found.append("no multicast")
        if segment.isolated and not together and link.port and other.port:
            found.append("isolated")
        if segment.locked and not together and link.domain.segment:
            cards = {n.mac for node in self._world.plan.nodes for n in node.nics}
            if any(one.port and one.mac not in cards for one in (link, other)):
                found.append("locked")
        return tuple(found)

    def _asks_by_multicast(self, link: Link) -> bool:
        """IPv6 does on a wire; and in a VXLAN with a group, ARP's broadcasts travel by it."""
        overlay = self._world.overlay(link)
        return bool(overlay.group) if overlay else self._world.family == 6

    def _segment(self, link: Link) -> str:
        """The segment that carries ``link``'s frames; an overlay's is that of its underlay."""
        overlay = self._world.overlay(link)
        return overlay.segment if overlay else link.domain.segment


@cache
def _decided(
    drivers: tuple[str, ...],
    relation: Relation,
    source: str,
    destination: str,
    facts: frozenset[Fact],
) -> Rule:
    """Ask the tables of ``drivers`` in turn: the first that forbids decides, else the first."""
    found: list[Rule] = []
    for driver in drivers:
        try:
            rule = first(TABLES[driver], relation, source, destination, facts)
        except LookupError:
            continue
        if not rule.reachable:
            return rule
        found.append(rule)
    return found[0] if found else routing.refused()


def _together(link: Link, other: Link) -> bool:
    return (link.node, link.parent) == (other.node, other.parent)


def _masquerades(space: Space, sender: str, leaving: Link) -> bool:
    """Whether ``space`` puts its own address on what ``sender`` sends out by ``leaving``."""
    subnets = [ip_network(subnet) for subnet in space.nat if leaving.address]
    return any(
        ip_address(sender) in subnet and ip_address(leaving.address) not in subnet
        for subnet in subnets
    )


def relation(link: Link, other: Link) -> Relation:
    """Return what two links of one layer-2 domain are to each other."""
    return _relation(link, other, _together(link, other))


def _relation(link: Link, other: Link, together: bool) -> Relation:
    if link.driver and other.driver:
        return "siblings" if together else "across"
    if link.driver:
        return "to own parent" if together else "to other node"
    if other.driver:
        return "from own parent" if together else "from other node"
    return "stations"
