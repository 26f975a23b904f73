"""Predicts the cells that ask what is seen: addresses, sizes, and who hears what.

A lab asks for them with ``checks``. Directions are cells of their own, and each cell is
a pure function of the plan, as those about reachability are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.drivers.rule import NOTHING, Rule
from underlay.expect.ends import FAMILIES, ends, is_link_local, machines, pairs
from underlay.expect.expectation import Expectation, Value
from underlay.expect.seen import seen_rule
from underlay.expect.tables import broadcast_rule
from underlay.plan import parent_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from underlay.expect.ends import Check, End, Family, Pair
    from underlay.expect.path import Arrival, Paths
    from underlay.expect.world import Link
    from underlay.plan import Plan

NOBODY = "nobody"
EVERYBODY = {
    ("broadcast", 4): "255.255.255.255",
    # Groups of an organisation's or a link's own, out of anybody's way (RFC 2365; RFC 4291, 2.7).
    ("multicast", 4): "239.255.27.7",
    ("multicast", 6): "ff12::27:7",
}
_ARP = "Linux net/ipv4/arp.c, arp_process; drivers/net/ipvlan/ipvlan_core.c, ipvlan_addr_lookup"


def predict_values(plan: Plan, paths: Mapping[Family, Paths]) -> tuple[Expectation, ...]:
    """Return what should be seen in every cell that ``plan``'s checks ask for."""
    cells: list[Expectation] = []
    for family in FAMILIES if plan.checks else ():
        values = _Values(plan, family, paths[family])
        for check in plan.checks:
            cells += values.cells(check)
    return tuple(cells)


# What is said where there is nobody to hear.
ALONE = "There is nobody else in that layer-2 domain."
# What is sent to everybody, or to a group, is for one local net's hosts.
OF_ONE_NET = "RFC 919; RFC 1112"


class _Values:
    def __init__(self, plan: Plan, family: Family, paths: Paths) -> None:
        self._plan, self._family = plan, family
        self._world, self._paths = paths.world, paths
        self._pairs = [pair for pair in pairs(plan) if pair.family == family]
        self._names = {
            (end.space, end.own(family)): end.name
            for end in ends(plan)
            if end.kind == "container" and not end.further
            # What hears groups has joined them on interfaces with an address of more than a link.
            if not is_link_local(end.own(family))
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
            rule = seen_rule(check, arrival)
            if check == "macs" and rule.reachable and not arrival.over[-1].mac:
                continue  # that of a dummy, an internal network's parent, is the kernel's choice
            value = self._value(check, pair, arrival, rule)
            said = (f"{check}-seen", rule.because, rule.reference)
            yield self._of_pair(pair, check, value, said)

    def _value(self, check: Check, pair: Pair, arrival: Arrival, rule: Rule) -> str:
        if check == "source":
            nat = arrival.masqueraded.address if arrival.masqueraded else NOTHING
            return pair.source_address if rule.reachable else nat
        if check == "macs":
            return arrival.over[-1].mac if rule.reachable else rule.seen
        return str(self._size(pair, arrival, by_wire=not rule.reachable))

    def _size(self, pair: Pair, arrival: Arrival, *, by_wire: bool) -> int:
        """Return the largest packet that the source sends, or that its way lets pass.

        Sizes are in bytes with the IP header. An ipvlan l3 child's packets leave by its node's
        link, but by its own interface first.
        """
        own = self._world.spaces[pair.source.space].route(pair.destination_address)
        sizes = [own.link.mtu if own else arrival.over[0].mtu]
        for link in arrival.over if by_wire else ():
            segment = self._world.segments.get(link.domain.segment)
            sizes += [link.mtu, segment.mtu] if segment else [link.mtu]
        return min(sizes)

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
            asks_no_neighbour = route.link.by_node or owner.by_node
            answered = not asks_no_neighbour and (rule.reachable or rule.stop == "no_answer")
            if answered and not owner.mac:
                continue
            asked = pair.destination_address
            value: Value = self._answerers(route.link, owner, owners, asked) if answered else NOBODY
            said = (f"{check}-{rule.id}", rule.because, _ARP)
            yield self._of_pair(pair, check, value, said)

    def _answerers(self, link: Link, owner: Link, owners: list[Link], address: str) -> Value:
        """Return the owner's MAC; over IPv4 those of all its interfaces that hear and answer.

        A machine answers ARP for any of its addresses on every interface (arp_ignore 0).
        """
        found = set()
        if self._family == 4:
            found = {
                one.mac
                for one in owners
                if not one.by_node
                and broadcast_rule(self._world, link, one).reachable
                and self._paths.answers(link, one, address)
            }
        return tuple(sorted(found)) if len(found) > 1 else next(iter(found), owner.mac)

    def _hearing(self, check: Check) -> Iterator[Expectation]:
        """Who hears what an end sends to everybody in its network."""
        for source, network, address in self._speakers():
            link = self._world.spaces[source.space].link(address)
            names: set[str] = set()
            because: dict[str, str] = {}
            for other in (*self._world.around(link), *self._world.one_way(link)):
                name = self._name(other)
                if other.space == source.space or not name:
                    continue
                # Nobody is a member by an interface without an address of its own (hearing.py).
                if check == "multicast" and (not other.address or is_link_local(other.address)):
                    continue
                rule = broadcast_rule(self._world, link, other, check)
                because[rule.because] = rule.reference
                if rule.reachable:
                    names.add(name)
            references = "; ".join(dict.fromkeys(because.values())) or OF_ONE_NET
            said = (f"{check}-heard", " ".join(because) or ALONE, references)
            addresses = (address, EVERYBODY[check, self._family])
            yield self._cell((source.name, network), addresses, check, tuple(sorted(names)), said)

    def _speakers(self) -> Iterator[tuple[End, str, str]]:
        """Yield each end that has an address, the network it speaks in, and that address."""
        for end in ends(self._plan):
            own = end.own(self._family)
            if end.network and own and not end.further and not is_link_local(own):
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
        return link.space if link.space in machines(self._plan) else ""

    def _of_pair(
        self, pair: Pair, check: Check, value: Value, said: tuple[str, str, str]
    ) -> Expectation:
        names = (pair.source.name, pair.destination.name)
        addresses = (pair.source_address, pair.destination_address)
        return self._cell(names, addresses, check, value, said)

    def _cell(
        self,
        names: tuple[str, str],
        addresses: tuple[str, str],
        check: Check,
        value: Value,
        said: tuple[str, str, str],
    ) -> Expectation:
        """Return the cell between two names; ``said`` are its rule, its because and reference."""
        rule, because, reference = said
        return Expectation(
            source=names[0],
            destination=names[1],
            protocol=check,
            reachable=True,
            stop="",
            because=because,
            reference=reference,
            rule=rule,
            source_address=addresses[0],
            destination_address=addresses[1],
            family=self._family,
            kind="value",
            value=value,
        )
