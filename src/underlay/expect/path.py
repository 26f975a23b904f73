"""How a packet travels: route by route, link by link, until it is there or a rule stops it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from underlay.drivers import DRIVERS, driver, ipvlan
from underlay.expect import routing, switch_ports
from underlay.expect.kinds import Kinds
from underlay.expect.tables import decide, facts, together
from underlay.expect.world import Route

if TYPE_CHECKING:
    from collections.abc import Hashable

    from underlay.drivers.rule import Fact, Rule
    from underlay.expect.ends import Pair
    from underlay.expect.world import Link, Space, World

# Whoever lets a child take all of its parent's unicast says what that does to the parent's node.
PASSTHRU = tuple(name for name, one in DRIVERS.items() if "passthru" in one.modes)
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
    """What became of a packet on its way.

    ``masqueraded`` is the link of the node that put its own address on it, if one did.
    ``over`` are the links that sent it, one for each wire that it crossed, and ``into``
    those that took it there.
    """

    rule: Rule
    masqueraded: Link | None = None
    over: tuple[Link, ...] = ()
    into: tuple[Link, ...] = ()


class Paths:
    """Finds the rule for each cell of one address family."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.kinds = Kinds(world)
        self._decided: dict[Hashable, Rule] = {}

    def rule(self, pair: Pair) -> Rule:
        """Return the rule that decides the cell of ``pair``: for its request, or its answer."""
        kinds = self.kinds.key(pair)
        if kinds not in self._decided:
            self._decided[kinds] = self._followed(pair)
        return self._decided[kinds]

    def _followed(self, pair: Pair) -> Rule:
        there = self.request(pair)
        if not there.rule.reachable:
            return there.rule
        back = self.answer(pair, there.masqueraded)
        known = back.rule.until_asked and self._was_asked(pair, there)
        if not back.rule.reachable and not known:
            lost = back.rule.for_answer()
            return replace(lost, icmp=self._echoed(pair, there)) if self.world.family == 6 else lost
        if there.masqueraded:
            return routing.MASQUERADED
        rule = self._direct(pair, there)
        passed = {link.space for link in (*there.over, *there.into)}
        if back.masqueraded and back.masqueraded.space not in passed:
            return replace(routing.ANSWER_MASQUERADED, icmp=rule)
        return rule

    def _echoed(self, pair: Pair, there: Arrival) -> Rule | None:
        """The rule for ICMPv6, whose answer goes back by the interface to which its request came.

        Of equally long routes the one over that is taken, and of TCP's and UDP's the first (Linux
        net/ipv6/icmp.c, icmpv6_echo_reply, flowi6_oif; route.c, rt6_score_route). None where that
        makes no difference.
        """
        if there.masqueraded:
            return None
        destination = self.world.spaces[pair.destination.space]
        interface = there.into[-1].interface
        by = destination.route_by(pair.source_address, interface)
        if by is None or by is destination.route(pair.source_address) or by.link.by_node:
            return None
        source = self.world.spaces[pair.source.space]
        packet = Packet(pair.destination_address, pair.source_address, source)
        back = self._over(destination, by.link, by, packet)
        return self._direct(pair, there) if back.rule.reachable else None

    def _direct(self, pair: Pair, there: Arrival) -> Rule:
        """The rule of a request that arrives under its sender's own address."""
        told = (
            (pair.source.network, pair.source_address),
            (pair.destination.network, pair.destination_address),
        )
        subnets = {
            self.world.plan.network(name).pool_of(address).subnet for name, address in told if name
        }
        direct = there.rule.relation != "routing"
        return routing.other_subnet(there.rule) if len(subnets) > 1 and direct else there.rule

    def _was_asked(self, pair: Pair, there: Arrival) -> bool:
        """Whether the destination knows who its answer goes to first, having been asked by them.

        Whoever sends to it asks for its address by a broadcast, which carries their own: the
        packet's where that is theirs, else one of the interface (net/ipv4/arp.c, arp_solicit).
        """
        asker = there.over[-1]
        asked_as = pair.source_address if asker.space == pair.source.space else asker.address
        answered = there.masqueraded.address if there.masqueraded else pair.source_address
        route = self.world.spaces[pair.destination.space].route(answered)
        return route is not None and asked_as == (route.via or answered)

    def request(self, pair: Pair) -> Arrival:
        """Return what becomes of ``pair``'s request, whether it can be answered or not."""
        source = self.world.spaces[pair.source.space]
        destination = self.world.spaces[pair.destination.space]
        return self._way(source, Packet(pair.source_address, pair.destination_address, destination))

    def answer(self, pair: Pair, router: Link | None) -> Arrival:
        """Return what becomes of the answer to ``pair``'s request.

        ``router`` is the link whose address a masqueraded request came from, and which its
        answer goes to first.
        """
        source = self.world.spaces[pair.source.space]
        destination = self.world.spaces[pair.destination.space]
        first = self.world.spaces[router.space] if router else source
        address = router.address if router else pair.source_address
        back = self._way(destination, Packet(pair.destination_address, address, first))
        if not back.rule.reachable or not router:
            return back
        on = self._way(first, Packet(pair.destination_address, pair.source_address, source))
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
        beside = [other for other in packet.target.links if together(link, other)]
        for other in sorted(beside, key=lambda one: one.address != packet.address):
            # IPv4 looks for the route by the parent: another interface's address isn't local there
            # (ipvlan_process_v4_outbound, flowi4_oif; net/ipv4/fib_trie.c, fib_table_lookup).
            any_own = self.world.family == 6 and not other.driver
            if other.address == packet.address or any_own:
                rule = self._between(link, other, packet.address)
                return Arrival(rule, over=(link,), into=(other,))
        node = self.world.spaces[link.node]
        if self.world.family == 6 and packet.target == node and node.owns(packet.address):
            # The parent is a dummy, on which the node has no address.
            meant = next(one for one in node.links if one.address == packet.address)
            return Arrival(ipvlan.L3_ANY_INTERFACE, over=(link,), into=(meant,))
        own, route = self.world.by_node(link, packet.address)
        if self.world.family == 6 and (route is None or route.link.parent != link.parent):
            return self._by_another(node, route, packet)
        # With no route over the parent IPv4 takes the destination to be on its link
        # (net/ipv4/route.c, ip_route_output_key_hash_rcu).
        arrival = self._over(node, link, route, packet, asker=own)
        # What a node sends for its child passes its POSTROUTING chain like its own packets.
        if own and not arrival.masqueraded and _masquerades(node, packet.sender, own):
            arrival = replace(arrival, masqueraded=own)
        if arrival.rule.reachable or arrival.rule.stop == "no_answer":
            return arrival
        return Arrival(routing.asked_by_node(arrival.rule))

    def _by_another(self, node: Space, route: Route | None, packet: Packet) -> Arrival:
        """An ipvlan l3 child's IPv6 packet whose route leads over none of its parent."""
        if route is None:
            return Arrival(routing.without_route_of_node())
        arrival = self._over(node, route.link, route, packet)
        if arrival.rule.reachable:
            return replace(arrival, rule=ipvlan.L3_ANY_INTERFACE)
        return Arrival(routing.asked_by_node(arrival.rule))

    def _over(
        self,
        space: Space,
        link: Link,
        route: Route | None,
        packet: Packet,
        asker: Link | None = None,
    ) -> Arrival:
        """Find who answers for the next hop on ``link``'s wire, and go on from there."""
        hop = route.via if route and route.via else packet.address
        near = [other for other in self.world.answering(link, hop) if other is not (asker or link)]
        if hop != packet.address:
            near = [other for other in near if not self._deaf(other, hop)]
        meant = [other for other in near if other.space == packet.target.name]
        if not near and hop != packet.address:
            return Arrival(routing.GATEWAY_NOBODY)
        if not meant and hop == packet.address:
            return Arrival(self._elsewhere(space, link, near, packet))
        if self._foreign(space, link, packet):
            return Arrival(self._foreign_sender(space, link, packet))
        if hop == packet.address:
            rule, other = self._answered(link, meant, hop)
            return Arrival(rule, over=(asker or link,), into=(other,))
        other = max(meant or near, key=lambda one: one.address == hop)
        return self._by_gateway(link, other, packet)

    def _deaf(self, router: Link, address: str) -> bool:
        """Whether a router that has ``address`` doesn't answer for it by ``router``.

        By ARP a machine answers for each of its addresses, by ND an interface for its own alone
        (Linux net/ipv6/ndisc.c, ndisc_recv_ns). A request for an ipvlan l3 child's is handed to
        that child, which has no ARP, and never to its parent; where the child is l3s it stays with
        the parent (drivers/net/ipvlan/ipvlan_core.c, ipvlan_handle_mode_l3, ipvlan_handle_frame).
        """
        if self.world.family == 6:
            return router.by_node
        links = self.world.spaces[router.space].links
        return any(
            one.takes_all and (one.address, one.domain) == (address, router.domain) for one in links
        )

    def _answered(self, link: Link, near: list[Link], address: str) -> tuple[Rule, Link]:
        """Return the rule for a frame to ``address`` and the link that takes it.

        If several links of the machine could answer, the best one counts: a shim answers for its
        parent's address, too. But what is sent to an l3 child's own address is handed to that
        child, which answers no ARP, and never to its parent
        (drivers/net/ipvlan/ipvlan_core.c, ipvlan_handle_mode_l3).
        """
        near = [one for one in near if one.takes_all and one.address == address] or near
        rules = [(self._between(link, one, address), one) for one in near]
        rule, taker = max(
            rules,
            key=lambda pair: (
                pair[0].reachable,
                pair[0].stop == "no_answer",
                pair[1].address == address,
            ),
        )
        if rule is ipvlan.TO_PARENT:
            taker = self.world.parent_of(taker) or taker
        return rule, taker

    def _by_gateway(self, link: Link, gateway: Link, packet: Packet) -> Arrival:
        child = self._child_of(gateway, packet)
        if child:
            rule = self._between(link, child, packet.address, "by route")
            return Arrival(rule, over=(link,), into=(child,))
        node = self._behind(gateway, packet)
        if node and together(link, gateway):
            # The parent's driver hands it up whatever the table says of a child's own ARP.
            asked = self._between(link, gateway, gateway.address)
            rule = ipvlan.TO_PARENT if asked.reachable else asked
        else:
            rule = self._between(link, node or gateway, packet.address)
        gateway = node or gateway
        space = self.world.spaces[gateway.space]
        if not rule.reachable or space is packet.target:
            return Arrival(rule, over=(link,), into=(gateway,))
        if not space.forwards or packet.hops == MOST_HOPS:
            return Arrival(routing.GATEWAY_SILENT)
        return self._forwarded(link, gateway, packet)

    def _forwarded(self, link: Link, gateway: Link, packet: Packet) -> Arrival:
        """What becomes of a packet that a router got by ``gateway``, and passes on."""
        space = self.world.spaces[gateway.space]
        onward = Packet(packet.sender, packet.address, packet.target, packet.hops + 1)
        arrival = self._way(space, onward)
        route = space.route(packet.address)
        if not arrival.rule.reachable:
            return Arrival(routing.beyond_gateway(arrival.rule))
        nat = route.link if route and _masquerades(space, packet.sender, route.link) else None
        over, into = (link, *arrival.over), (gateway, *arrival.into)
        return Arrival(routing.FORWARDED, arrival.masqueraded or nat, over, into)

    def _behind(self, gateway: Link, packet: Packet) -> Link | None:
        """Who gets what is sent to an ipvlan child for others: its node, which has its MAC address.

        The parent keeps what carries no child's address, for itself or to pass it on.
        """
        node = self.world.spaces.get(gateway.node)
        if not driver(gateway.driver).by_address or node is None:
            return None
        own = self.world.parent_of(gateway)
        return own if own and (node is packet.target or node.forwards) else None

    def _child_of(self, gateway: Link, packet: Packet) -> Link | None:
        """A parent gives its ipvlan child what carries the child's address, before routing."""
        if gateway.driver and not driver(gateway.driver).by_address:
            return None
        for other in packet.target.links:
            # Of several children on the parent, the one that has the address.
            meant = other.address == packet.address
            if meant and driver(other.driver).by_address and together(gateway, other):
                return other
        return None

    def _foreign(self, space: Space, link: Link, packet: Packet) -> bool:
        if self.world.family == 6 or link.by_node:
            return False
        if not driver(link.driver).by_address:
            # A parent hands what is for its l3 child's address to that child, ARP too.
            taking = (one for one in space.links if one.takes_all and one.domain == link.domain)
            return any(one.address == packet.sender for one in taking)
        own = {one.address for one in space.links if one.interface == link.interface}
        return packet.sender not in own and space.owns(packet.sender)

    def _foreign_sender(self, space: Space, link: Link, packet: Packet) -> Rule:
        if not driver(link.driver).by_address:
            return ipvlan.SENT_BY_CHILD
        beside = (one for one in space.links if one.address == packet.sender)
        # Interfaces of one wire hear the same requests, and each learns who asked.
        shared = any(one.domain == link.domain for one in beside)
        return ipvlan.FOREIGN_SENDER_BESIDE if shared else ipvlan.FOREIGN_SENDER

    def answers(self, link: Link, other: Link, address: str) -> bool:
        """Whether ``link`` gets an answer from ``other`` when it asks who has ``address``."""
        rule = self._between(link, other, address)
        return rule.reachable or rule.stop == "no_answer"

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
            closed = routing.CLOSED
            return closed if self.world.has_ports(link) else routing.without_carrier(closed)
        if link.domain.segment != owner.domain.segment:
            return routing.OTHER_SEGMENT
        by_port = switch_ports.apart(self.world, link, owner)
        if by_port:
            return by_port
        if link.domain.vlan != owner.domain.vlan:
            return routing.OTHER_VLAN
        return routing.MANAGEMENT_ALONE

    def _between(self, link: Link, other: Link, address: str, *words: Fact) -> Rule:
        """The rule for a frame from ``link`` to ``other``, both in one layer-2 domain."""
        children = link.driver and other.driver and together(link, other)
        if children and driver(link.driver).receiver != driver(other.driver).receiver:
            return routing.refused()
        to_group = self._asks_by_multicast(link)
        found = facts(self.world, link, other, to_group=to_group, answered=True)
        asked = ["", other.driver, link.driver]
        if "passthru" in (link.mode, other.mode):
            asked += PASSTHRU
        rule = decide("reach", asked, link, other, frozenset((*words, *found))) or routing.refused()
        # It is asked for before it is sent to: who can't be asked doesn't answer either.
        if rule.reachable and driver(other.driver).by_address and address != other.address:
            # A shim answers for all addresses of its node, and has the MAC address of who asks.
            # For an l3 child its node asks, by the parent, which no shim hears.
            own = children and other.space == other.node and not link.by_node
            return ipvlan.TO_PARENT if own else ipvlan.FOREIGN_ADDRESS
        return switch_ports.retagged(rule) if rule.reachable and link.tag != other.tag else rule

    def _asks_by_multicast(self, link: Link) -> bool:
        """IPv6 does on a wire; and in a VXLAN with a group, ARP's broadcasts travel by it."""
        overlay = self.world.overlay(link)
        return bool(overlay.group) if overlay else self.world.family == 6


def _masquerades(space: Space, sender: str, leaving: Link) -> bool:
    """Whether ``space`` puts its own address on what ``sender`` sends out by ``leaving``."""
    subnets = [ip_network(subnet) for subnet in space.nat if leaving.address]
    return any(
        ip_address(sender) in subnet and ip_address(leaving.address) not in subnet
        for subnet in subnets
    )
