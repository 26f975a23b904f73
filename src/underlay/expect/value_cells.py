"""Predicts the cells that ask what is seen: addresses, sizes, and who hears what.

A lab asks for them with ``checks``. Directions are cells of their own, and each cell is
a pure function of the plan, as those about reachability are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.expect.broadcast import heard
from underlay.expect.ends import FAMILIES, ends, homes, pairs
from underlay.expect.expectation import Expectation, Value
from underlay.expect.path import Paths, relation
from underlay.expect.sizes import largest
from underlay.expect.world import World
from underlay.plan import parent_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.expect.ends import Check, End, Family, Pair
    from underlay.expect.path import Arrival
    from underlay.expect.world import Link
    from underlay.plan import Plan

NOBODY = "nobody"
NOTHING = "nothing"
NO_MAC = "00:00:00:00:00:00"
EVERYBODY = {
    ("broadcast", 4): "255.255.255.255",
    # Groups of an organisation's or a link's own, out of anybody's way (RFC 2365; RFC 4291, 2.7).
    ("multicast", 4): "239.255.27.7",
    ("multicast", 6): "ff12::27:7",
}
_ARP = "Linux net/ipv4/arp.c, arp_process; drivers/net/ipvlan/ipvlan_core.c, ipvlan_addr_lookup"
_SEEN = {
    "source": (
        "The receiver sees the address that the packet left with, unless somebody masquerades.",
        "Linux net/netfilter/nf_nat_masquerade.c",
    ),
    "macs": (
        "A frame carries the MAC address of the interface that sent it: a macvlan child's own, an "
        "ipvlan child's parent's, or that of the last router.",
        "Linux drivers/net/macvlan.c; drivers/net/ipvlan/ipvlan_core.c",
    ),
}
_BY_LOOPBACK = (
    "The node that routes what its l3 child sends takes in what is for itself by its loopback, "
    "which has no MAC address.",
    "Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_process_v4_outbound; net/ipv4/route.c, "
    "__mkroute_output (RTN_LOCAL)",
)
_UNSEEN = (
    "An l3s child gets what comes from the wire behind its node's INPUT hook, as a packet: no "
    "frame ever passes the child's interface.",
    "Linux drivers/net/ipvlan/ipvlan_l3s.c, ipvlan_nf_input",
)
_SIZE = (
    "No interface sends a packet that is larger than its MTU, and the switch drops larger ones.",
    "RFC 1191; Linux net/ipv4/ip_output.c, ip_fragment; net/core/dev.c, is_skb_forwardable",
)


def predict_values(plan: Plan) -> tuple[Expectation, ...]:
    """Return what should be seen in every cell that ``plan``'s checks ask for."""
    cells: list[Expectation] = []
    for family in FAMILIES if plan.checks else ():
        values = _Values(plan, family)
        for check in plan.checks:
            cells += values.cells(check)
    return tuple(cells)


ALONE = "There is nobody else in that layer-2 domain."
# What is sent to everybody, or to a group, is for one local net's hosts.
OF_ONE_NET = "RFC 919; RFC 1112"


class _Values:
    def __init__(self, plan: Plan, family: Family) -> None:
        self._plan, self._family = plan, family
        self._world = World(plan, family)
        self._paths = Paths(self._world)
        self._pairs = [pair for pair in pairs(plan) if pair.family == family]
        self._names = {
            (end.space, end.own(family)): end.name for end in ends(plan) if end.kind == "container"
        }

    def cells(self, check: str) -> Iterator[Expectation]:
        """Yield the cells of one check."""
        if check in ("source", "macs", "pmtu"):
            yield from self._arriving(check)  # type: ignore[arg-type]
        elif check == ("arp" if self._family == 4 else "nd"):
            yield from self._resolved(check)  # type: ignore[arg-type]
        elif (check, self._family) in EVERYBODY:
            yield from self._hearing(check)  # type: ignore[arg-type]

    def _arriving(self, check: Check) -> Iterator[Expectation]:
        """What the receiver sees of packets that should arrive, answered or not."""
        for pair in self._pairs:
            arrival = self._paths.request(pair)
            if not arrival.rule.reachable:
                continue
            because, reference = _SIZE if check == "pmtu" else _SEEN[check]
            if arrival.masked and check == "source":
                because = "The node masquerades: the receiver sees the node's address."
            if check == "macs" and _unseen(arrival):
                because, reference = _UNSEEN
            if check == "macs" and _by_loopback(arrival):
                because, reference = _BY_LOOPBACK
            value = self._value(check, pair, arrival)
            yield self._cell(pair, check, value, f"{check}-seen", because, reference)

    def _value(self, check: Check, pair: Pair, arrival: Arrival) -> str:
        if check == "source":
            return arrival.masked.address if arrival.masked else pair.source_address
        if check == "macs":
            own = NO_MAC if _by_loopback(arrival) else arrival.over[-1].mac
            return NOTHING if _unseen(arrival) else own
        return str(largest(self._world, pair, arrival))

    def _resolved(self, check: Check) -> Iterator[Expectation]:
        """Which MAC address answers ARP, or ND, for the destination's address."""
        for pair in self._pairs:
            source = self._world.spaces[pair.source.space]
            route = source.route(pair.destination_address)
            if route is None or route.via:
                continue
            around = self._world.around(route.link)
            owners = [one for one in around if one.space == pair.destination.space]
            if not owners:
                continue
            rule = self._paths.rule(pair)
            owner = max(owners, key=lambda one: one.address == pair.destination_address)
            deaf = route.link.by_node or owner.by_node
            answered = not deaf and (rule.reachable or rule.stop == "no_answer")
            value: Value = self._answerers(route.link, owner, owners) if answered else NOBODY
            yield self._cell(pair, check, value, f"{check}-{rule.id}", rule.because, _ARP)

    def _answerers(self, link: Link, owner: Link, owners: list[Link]) -> Value:
        """The owner's MAC; over IPv4 those of all its machine's interfaces that hear the request.

        A machine answers ARP for any of its addresses on every interface (arp_ignore 0).
        """
        found = {owner.mac}
        if self._family == 4:
            near = (one for one in owners if not one.by_node)
            found |= {
                one.mac for one in near if heard(self._world, link, one, relation(link, one)).hears
            }
        return owner.mac if len(found) == 1 else tuple(sorted(found))

    def _hearing(self, check: Check) -> Iterator[Expectation]:
        """Who hears what an end sends to everybody in its network."""
        for source, network, address in self._speakers():
            link = next(
                one for one in self._world.spaces[source.space].links if one.address == address
            )
            names: set[str] = set()
            because: dict[str, str] = {}
            for other in (*self._world.around(link), *self._world.spilled(link)):
                name = self._name(other)
                if other.space == source.space or not name:
                    continue
                rule = heard(self._world, link, other, relation(link, other), check)
                because[rule.because] = rule.reference
                if rule.hears:
                    names.add(name)
            yield Expectation(
                source=source.name,
                destination=network,
                protocol=check,
                reachable=True,
                stop="",
                because=" ".join(because) or ALONE,
                reference="; ".join(dict.fromkeys(because.values())) or OF_ONE_NET,
                rule=f"{check}-heard",
                source_address=address,
                destination_address=EVERYBODY[check, self._family],
                family=self._family,
                kind="value",
                value=tuple(sorted(names)),
            )

    def _speakers(self) -> Iterator[tuple[End, str, str]]:
        """Yield each end that has an address, the network it speaks in, and that address."""
        for end in ends(self._plan):
            if end.network and end.own(self._family):
                yield end, end.network, end.own(self._family)
            if end.kind == "node":
                for network in self._plan.networks:
                    node = self._plan.node(end.node)
                    address = parent_address(self._plan, node, network, self._family)
                    if address:
                        yield end, network.name, address

    def _name(self, link: Link) -> str:
        """Return the name of the end that ``link`` belongs to; empty where it is no end's."""
        if (link.space, link.address) in self._names:
            return self._names[link.space, link.address]
        return link.space if link.space in homes(self._plan) else ""

    def _cell(
        self, pair: Pair, check: Check, value: Value, rule: str, because: str, reference: str
    ) -> Expectation:
        return Expectation(
            source=pair.source.name,
            destination=pair.destination.name,
            protocol=check,
            reachable=True,
            stop="",
            because=because,
            reference=reference,
            rule=rule,
            source_address=pair.source_address,
            destination_address=pair.destination_address,
            family=pair.family,
            kind="value",
            value=value,
        )


def _unseen(arrival: Arrival) -> bool:
    """Whether the last wire ends at an l3s child, whose packet sockets see nothing of it."""
    taker = arrival.into[-1]
    return taker.mode.startswith("l3s") and taker.node != arrival.over[-1].node


def _by_loopback(arrival: Arrival) -> bool:
    """Whether a node takes in what it routes for an l3 child of its own."""
    taker, sender = arrival.into[-1], arrival.over[-1]
    return sender.by_node and not taker.driver and taker.node == sender.node
