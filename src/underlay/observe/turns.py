"""Whose turn it is to ask: phases in which everybody either asks or is asked.

A cell's verdict has to be the one that it would have if it were asked alone. What stands in the
way of that are neighbours. Whoever looks for a neighbour takes any ARP packet of that neighbour's
for an answer, and keeps the sender of a request that is for itself
(Linux net/ipv4/arp.c, arp_process; net/ipv6/ndisc.c, ndisc_recv_ns). A destination that can't be
found would be reached as soon as it asked for anybody at all. So nobody asks in a phase in which
somebody looks for them, and neighbour tables are emptied between two phases.

How few phases do: everybody gets a set of phases in which they ask, and no set holds another.
Then of each two there is a phase in which the one asks and the other doesn't, both ways round.
Of k phases, the sets of k // 2 of them are the most such sets there can be (E. Sperner, 1928):
6 phases do for 20, 8 for 70, 11 for 462.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import chain, combinations, count, islice
from math import comb
from typing import TYPE_CHECKING, NamedTuple

from underlay.drivers import driver
from underlay.expect.world import World

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from underlay.expect import Family, Pair
    from underlay.expect.world import Domain, Link, Space
    from underlay.plan import Plan


def turns(plan: Plan, asked: Sequence[Pair]) -> list[int]:
    """Return for each pair of ``asked`` the number of the phase in which it is asked, from 0.

    Of a pair that is routed, two look and two are looked for: its source looks for the router,
    the router for the destination. All such pairs that go from one layer-2 domain to another are
    asked in a phase in which none comes back. Of a pair in an overlay the nodes do as well: the
    one looks for the other, to send it the packets that carry the overlay's frames. They do so as
    well where both ends are on one node: what is asked of everybody goes to every node (Linux
    drivers/net/vxlan/vxlan_core.c, vxlan_xmit), and what a node asks on its wire for that tells
    where it is itself. And where a container may look for a neighbour in the name of each of its
    addresses (net/ipv4/arp.c, arp_solicit), each has a turn of its own.
    Where an ipvlan child looks for one in the name of another interface's address, the answer is
    its node's as well: the parent hands to nobody else what is for its MAC address and for none of
    its children's (Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_xmit_mode_l2 and
    ipvlan_handle_mode_l2). So the node looks for the same one in another phase.
    Whoever is asked knows the asker, or the router, from its request. Where the answer goes by
    somebody else, or by another interface than the request came to, the one that is asked looks,
    too: nobody of such a pair is in a second one then.
    """
    families: set[Family] = {pair.family for pair in asked}
    wires = {family: Wires(World(plan, family)) for family in families}
    ways = [wires[pair.family].way(pair) for pair in asked]
    phases = _Phases([way for way in ways if not way.detour])
    numbers = [None if way.detour else phases.of(way) for way in ways]
    after = max((number for number in numbers if number is not None), default=-1) + 1
    detours = _Detours()
    return [
        after + detours.of(way) if number is None else number
        for way, number in zip(ways, numbers, strict=True)
    ]


def codes(everybody: Iterable[Hashable]) -> dict[Hashable, frozenset[int]]:
    """Give each of ``everybody`` the phases in which they ask: no set holds another."""
    names = list(dict.fromkeys(everybody))
    size = next(k for k in count(2) if comb(k, k // 2) >= len(names))
    sets = islice(combinations(range(size), size // 2), len(names))
    return dict(zip(names, map(frozenset, sets), strict=True))


class Carried(NamedTuple):
    """A node that looks for another one, in a segment, to send it an overlay's packets."""

    looks: str
    looked_for: str
    segment: str


class Way(NamedTuple):
    """Who looks for whom so that a pair's request arrives.

    ``router`` is empty where the asker looks for the destination itself. ``sender`` is the
    address in whose name it does, and ``hop`` the one that it looks for. ``detour`` is who the
    answer goes to, where the one that is asked doesn't know them from the request. ``carried``
    holds the nodes between which an overlay's packets carry it, each one that looks with the one
    it looks for. ``tells`` holds the nodes whose tunnels take what is asked of everybody to the
    other nodes, each with the segment in which it looks for them.
    """

    asker: str
    asked: str
    router: str
    sender: str
    hop: str
    from_domain: Domain
    to_domain: Domain
    detour: str = ""
    carried: tuple[Carried, ...] = ()
    tells: frozenset[tuple[str, str]] = frozenset()
    hears: str = ""

    @property
    def asking(self) -> set[str]:
        """Who looks for somebody: the asker, and nodes, of which one may be the router as well."""
        return {self.asker} | {one.looks for one in self.carried}

    @property
    def looked_for(self) -> set[str]:
        """Who is looked for."""
        return {self.asked, self.router, *(one.looked_for for one in self.carried)} - {""}

    @property
    def sought(self) -> set[tuple[str, str]]:
        """Who is looked for in which segment; an empty one is an overlay."""
        by = self.router or self.asked
        on_wires = {(by, self.from_domain.segment), (self.asked, self.to_domain.segment)}
        return on_wires | {(one.looked_for, one.segment) for one in self.carried}

    @property
    def crosses(self) -> bool:
        """Whether a router passes the request on into another layer-2 domain."""
        return bool(self.router) and self.from_domain != self.to_domain

    @property
    def crossed(self) -> tuple[Domain, ...]:
        """The two layer-2 domains, where it crosses."""
        return (self.from_domain, self.to_domain) if self.crosses else ()


class Wires:
    """Finds the way of each pair of one address family."""

    def __init__(self, world: World) -> None:
        self._world = world

    def way(self, pair: Pair) -> Way:
        """Return the way of ``pair``, whether it leads there or not."""
        source = self._world.spaces[pair.source.space]
        into = self._having(pair.destination.space, pair.destination_address)
        route = source.route(pair.destination_address)
        link = route.link if route else self._having(pair.source.space, pair.source_address)
        via, sender, by_node = route.via if route else "", pair.source_address, link.by_node
        if by_node:
            link, via, sender = self._by_node(link, pair.destination_address)
        router = self._router(link, via)
        router = router if router != _looks(into) else ""
        back = self._world.spaces[pair.destination.space].route(pair.source_address)
        detour = back.via if back else ""
        if back and detour and self._router(back.link, detour) == router != "":
            detour = ""
        elif back and not detour and (router or _interface(back.link) != _interface(into)):
            detour = pair.source_address
        if by_node or into.by_node:
            detour = ""
        return Way(
            asker=_looks(link),
            asked=_looks(into),
            router=router,
            sender=sender,
            hop=via or pair.destination_address,
            from_domain=link.domain,
            to_domain=into.domain,
            detour=self._router(back.link, detour) or _looks(link) if back and detour else "",
            carried=tuple(self._carried(link, via, into)),
            tells=frozenset(self._tells(link, via, into, back.link if back and detour else None)),
            hears=link.node if self._is_foreign(source, link, sender) else "",
        )

    def _is_foreign(self, space: Space, link: Link, sender: str) -> bool:
        """Whether an ipvlan child asks in the name of an address that its interface hasn't."""
        if ":" in sender or link.by_node or not driver(link.driver).by_address:
            return False
        return sender not in {
            one.address for one in space.links if _interface(one) == _interface(link)
        }

    def _by_node(self, link: Link, address: str) -> tuple[Link, str, str]:
        """By which link, which next hop and in whose name an ipvlan l3 child's node looks for it.

        It asks by its own address, as the child's is none of its own (net/ipv4/arp.c, arp_solicit).
        """
        own, route = self._world.by_node(link, address)
        by = route.link if route else own or link
        return by, route.via if route else "", by.address

    def _carried(self, link: Link, via: str, into: Link) -> Iterator[Carried]:
        """Yield each node that looks for another one on the way through an overlay, and for whom.

        The first frame of all asks everybody. Where nodes are listed it goes to each of them, and
        the sender's node has to find the other one. Where it goes to a group, nobody is looked for
        until that is answered: then the other node has to find the sender's.
        """
        by = next(iter(self._world.answering(link, via)), None) if via else None
        for out, next_one in ((link, by or into), (self._out(by, into), into)):
            overlay = self._world.overlay(out) if out else None
            if out is None or overlay is None or out.node == next_one.node:
                continue
            if not overlay.group:
                yield Carried(out.node, next_one.node, overlay.segment)
            elif out.domain == next_one.domain:
                yield Carried(next_one.node, out.node, overlay.segment)

    def _tells(
        self, link: Link, via: str, into: Link, back: Link | None
    ) -> Iterator[tuple[str, str]]:
        """Yield each node that looks for others as somebody asks everybody in an overlay."""
        by = next(iter(self._world.answering(link, via)), None) if via else None
        if link.space == into.space:
            return
        for out in (link, self._out(by, into), back):
            overlay = self._world.overlay(out) if out else None
            if out and overlay and not overlay.group:
                yield out.node, overlay.segment

    def _out(self, by: Link | None, into: Link) -> Link | None:
        """Return the link by which a router, if there is one, sends to ``into``'s domain."""
        links = self._world.spaces[by.space].links if by else ()
        return next((link for link in links if link.domain == into.domain), None)

    def _router(self, link: Link, via: str) -> str:
        """Return who looks for neighbours where ``link``'s packets go by the address ``via``."""
        answering = self._world.answering(link, via) if via else []
        return _looks(answering[0]) if answering else ""

    def _having(self, space: str, address: str) -> Link:
        links = self._world.spaces[space].links
        return next((link for link in links if link.address == address), links[0])


def _interface(link: Link) -> tuple[str, str]:
    """Whose neighbour table a link has: a request teaches that of the interface it comes to."""
    return link.space, link.interface


def _looks(link: Link) -> str:
    """Whose neighbour table a link's packets need: an ipvlan l3 child's node looks for it."""
    return link.node if link.by_node else link.space


class _Phases:
    """Finds a phase for each way: by everybody's code, the domains' or nodes', or one further on.

    In the last ones it is made sure one by one that nobody asks who is looked for, and that no
    router looks where it is looked for.
    """

    def __init__(self, ways: Iterable[Way]) -> None:
        crossing = [way for way in ways if way.crosses]
        carriers = (
            node for way in ways for one in way.carried for node in (one.looks, one.looked_for)
        )
        self._own = codes(who for way in ways for who in (way.asker, way.asked))
        self._domains = codes(d for way in crossing for d in (way.from_domain, way.to_domain))
        self._carriers = codes(carriers)
        self._after_own = _size(self._own)
        self._after_crossing = self._after_own + _size(self._domains)
        self._after = self._after_crossing + _size(self._carriers)
        self._found: dict[Hashable, list[int]] = {}
        self._senders: dict[tuple[int, str, str], str] = {}
        self._hearing: set[tuple[int, str, str]] = set()
        self._asking: dict[int, set[str]] = defaultdict(set)
        self._looked_for: dict[int, set[str]] = defaultdict(set)
        self._crossed: dict[int, set[tuple[Domain, Domain]]] = defaultdict(set)
        self._telling: dict[int, set[tuple[str, str]]] = defaultdict(set)
        self._sought: dict[int, set[tuple[str, str]]] = defaultdict(set)

    def of(self, way: Way) -> int:
        """Return the number of the phase in which ``way`` is gone."""
        sure = self._sure(way)
        number = next(n for n in chain(sure, count(self._after)) if self._fits(way, n))
        self._senders[number, way.asker, way.hop] = way.sender
        self._hearing.add((number, way.hears, way.hop))
        self._telling[number] |= way.tells
        self._sought[number] |= way.sought
        if number >= self._after_own:
            self._asking[number] |= way.asking
            self._looked_for[number] |= way.looked_for
            self._crossed[number] |= {(way.from_domain, way.to_domain)} if way.crosses else set()
        return number

    def _sure(self, way: Way) -> list[int]:
        """Return the phases in which the asker asks and nobody that is looked for does.

        For a way that crosses from one domain to another, those in which none comes back; in an
        overlay, those in which the node that carries it looks for no other one.
        """
        key = (way.asker, way.asked, way.router, *way.crossed, *way.carried)
        if key not in self._found:
            if way.carried:
                first = way.carried[0]
                able = self._carriers[first.looks] - self._carriers[first.looked_for]
                able = frozenset(self._after_crossing + number for number in able)
            elif way.crosses:
                able = self._domains[way.from_domain] - self._domains[way.to_domain]
                able = frozenset(self._after_own + number for number in able)
            elif way.asker == way.asked:
                able = self._own[way.asker]
            else:
                able = self._own[way.asker] - self._own[way.asked]
                able -= self._own.get(way.router, frozenset())
            self._found[key] = sorted(able)
        return self._found[key]

    def _fits(self, way: Way, number: int) -> bool:
        if self._senders.get((number, way.asker, way.hop), way.sender) != way.sender:
            return False
        if (number, way.asker, way.hop) in self._hearing:
            return False
        if (number, way.hears, way.hop) in self._senders:
            return False
        if way.tells & self._sought[number] or way.sought & self._telling[number]:
            return False
        if number < self._after_own:
            return True
        if way.asker != way.asked and (
            way.asking & self._looked_for[number] or way.looked_for & self._asking[number]
        ):
            return False
        return not way.crosses or not any(
            way.from_domain == to or way.to_domain == from_ for from_, to in self._crossed[number]
        )


class _Detours:
    """The phases of ways whose answer goes by somebody else: nobody is in two of one phase."""

    def __init__(self) -> None:
        self._there: dict[int, set[str]] = defaultdict(set)

    def of(self, way: Way) -> int:
        """Return the number of the phase in which ``way`` is gone, from 0."""
        everybody = way.asking | way.looked_for | {way.detour} | {node for node, _ in way.tells}
        number = next(n for n in count() if everybody.isdisjoint(self._there[n]))
        self._there[number] |= everybody
        return number


def _size(found: Mapping[Hashable, frozenset[int]]) -> int:
    return max((max(code) for code in found.values()), default=-1) + 1
