"""What nobody planned and was heard all the same: the probes' records joined into findings.

Each finding was measured: a frame was sent and heard, and ``answered`` says who got an answer to
a question of their own as well. What may be heard is in expect/unplanned.py, what is sent in
on_node/unplanned.py.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from underlay.expect.unplanned import left_alone
from underlay.observe.on_node.marked import UNPLANNED
from underlay.observe.on_node.unplanned import WORD, Spec
from underlay.plan import family_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from underlay.expect.unplanned import Planned, Point
    from underlay.plan import Plan

Kind = Literal["address", "broadcast", "link-local", "proxy-arp", "other-mac"]
STRANGER = "somebody outside the lab"


@dataclass(frozen=True)
class Unplanned:
    """A way that is there and wasn't asked for: ``end`` is reachable by ``address``.

    ``heard_by`` are the ends that heard it, ``answered`` those of them that got an answer when
    they asked for the address. ``interface`` is the end's, empty where nobody knows; ``brought``
    says of an address what it was made by; an event is one of ``check --after``.
    """

    kind: Kind
    end: str
    address: str
    interface: str
    mac: str
    heard_by: tuple[str, ...]
    answered: tuple[str, ...]
    brought: Literal["", "hand", "advertisement", "proxy", "event"] = ""


@dataclass(frozen=True)
class Looked:
    """What came of looking; ``blind`` says of each end that couldn't look why, by its name."""

    found: tuple[Unplanned, ...] = ()
    blind: tuple[tuple[str, str], ...] = ()


def looked_from(data: Mapping[str, Any] | None) -> Looked | None:
    """Return what an observation's JSON holds of it; raise KeyError or TypeError if it can't be."""
    if data is None:
        return None
    found = []
    for one in data["found"]:
        lists: dict[str, Any] = {name: tuple(one[name]) for name in ("heard_by", "answered")}
        found.append(Unplanned(**(one | lists)))
    return Looked(tuple(found), tuple((end, why) for end, why in data["blind"]))


def task(planned: Planned, plan: Plan, machine: str) -> dict[str, Any]:
    """Return what the probe of one machine is told, as on_node/unplanned.py reads it."""
    points = [point for point in planned.points if point.machine == machine]
    return {
        "points": [
            Spec(
                p.number, p.space, p.interface, p.sort, list(p.hears), list(p.controls), p.leads,
                p.address, list(p.questions), p.neighbour, list(p.next_ones), p.still,
            )
            for p in points
        ],
        "planned": {p.space: planned.addresses[p.space] for p in points},
        "alone": left_alone(plan),
    }  # fmt: skip


def looked(
    planned: Planned, documents: Mapping[str, Mapping[str, Any]], failed: Mapping[str, str]
) -> Looked:
    """Return what the probes' ``documents`` say of ways that aren't ``planned``.

    ``failed`` says why a machine gave no whole document.
    """
    return _Records(planned, documents, failed).looked()


class _Records:
    def __init__(
        self,
        planned: Planned,
        documents: Mapping[str, Mapping[str, Any]],
        failed: Mapping[str, str],
    ) -> None:
        self._planned = planned
        self._points = {point.number: point for point in planned.points}
        self._failed = failed
        self._rows: dict[int, Mapping[str, Any]] = {
            row[0]: row[3] or {"reason": "it was still undecided when its time was over"}
            for document in documents.values()
            for row in document["probes"]
            if row[1] == WORD
        }

    def looked(self) -> Looked:
        found = [*self._addresses(), *self._leaks(), *self._answers()]
        return Looked(tuple(found), tuple(self._blind()))

    def _addresses(self) -> Iterable[Unplanned]:
        """Addresses of an end's that nobody planned, and that others heard."""
        origins = {
            (number, address): (interface, for_a_while)
            for number, row in self._rows.items()
            for address, interface, for_a_while in row.get("strays", ())
        }
        for (number, address), hearers in self._heard(lambda flags: bool(flags & UNPLANNED)):
            interface, for_a_while = origins.get((number, address), ("", False))
            advertised = for_a_while and family_of(address) == 6
            yield self._finding(
                "address", number, address, hearers, interface,
                "advertisement" if advertised else "hand",
            )  # fmt: skip

    def _leaks(self) -> Iterable[Unplanned]:
        """What was sent to everybody and heard in another layer-2 domain, or behind isolation."""
        for (number, address), hearers in self._heard(lambda flags: not flags & UNPLANNED):
            kind: Kind = "link-local" if family_of(address) == 6 else "broadcast"
            yield self._finding(kind, number, address, hearers, self._points[number].interface)

    def _heard(
        self, wanted: Callable[[int], bool]
    ) -> list[tuple[tuple[int, str], list[tuple[Point, str]]]]:
        """Return (number, address) of senders, with the points that heard them and the MAC."""
        found: dict[tuple[int, str], list[tuple[Point, str]]] = defaultdict(list)
        for hearer, row in self._rows.items():
            for number, flags, address, mac in row.get("heard", ()):
                if wanted(flags) and number in self._points:
                    found[number, address].append((self._points[hearer], mac))
        return sorted(found.items())

    def _finding(
        self,
        kind: Kind,
        number: int,
        address: str,
        hearers: list[tuple[Point, str]],
        interface: str,
        brought: Literal["", "hand", "advertisement"] = "",
    ) -> Unplanned:
        names = tuple(dict.fromkeys(point.end for point, _ in hearers))
        answered = tuple(
            dict.fromkeys(
                point.end for point, _ in hearers if self._answerers(point.number, address)
            )
        )
        mac = hearers[0][1]
        return Unplanned(
            kind, self._points[number].end, address, interface, mac, names, answered, brought
        )

    def _answerers(self, number: int, address: str) -> list[str]:
        """Return the MAC addresses that answered a point's question for ``address``."""
        answers = self._rows.get(number, {}).get("answers", ())
        return [mac for asked, mac in answers if asked == address]

    def _answers(self) -> Iterable[Unplanned]:
        """Who answers ARP for nobody's address, or for a neighbour's with a MAC of no link of it.

        Whoever holds such an address has been found by it already.
        """
        strays = {one.address: one for one in self._addresses()}
        by_mac = {one.mac: one for one in strays.values()}
        found: dict[tuple[Kind, str, str], list[Point]] = defaultdict(list)
        for number in self._rows:
            point = self._points[number]
            for address in point.questions:
                for mac in self._answerers(number, address):
                    owners = self._planned.owners.get(address, ())
                    # A dummy interface's MAC address is chosen by its kernel, and its children's.
                    own = mac in owners or ("" in owners and mac not in self._planned.names)
                    if own or address in strays:
                        continue
                    kind: Kind = "other-mac" if owners else "proxy-arp"
                    found[kind, address, mac].append(point)
        for (kind, address, mac), points in sorted(found.items(), key=lambda item: item[0]):
            end, interface, proxies = self._of_mac(mac)
            if end == STRANGER and mac in by_mac:
                end, interface = by_mac[mac].end, by_mac[mac].interface
            asked = tuple(dict.fromkeys(point.end for point in points))
            brought: Literal["", "proxy"] = "proxy" if proxies else ""
            yield Unplanned(kind, end, address, interface, mac, asked, asked, brought)

    def _of_mac(self, mac: str) -> tuple[str, str, bool]:
        """Return whose a MAC address is, the interface, and whether that answers for others.

        A node shares its with its ipvlan children, which answer for nobody.
        """
        near = [point for point in self._planned.points if point.mac == mac]
        proxying = [p for p in near if self._rows.get(p.number, {}).get("proxies")]
        machines = [point for point in near if point.space == point.machine]
        chosen = next(iter([*proxying, *machines, *near]), None)
        if chosen is None:
            return STRANGER, "", False
        return chosen.end, chosen.interface, bool(proxying)

    def _blind(self) -> Iterable[tuple[str, str]]:
        """Name the ends that couldn't look: they heard nothing of what they have to hear."""
        said: dict[str, str] = {}
        for number, point in self._points.items():
            row = self._rows.get(number)
            if row is None:
                why = self._failed.get(point.machine, "its probe left it out")
                said.setdefault(point.end, f"{point.machine}: {why}")
            elif row.get("reason"):
                said.setdefault(point.end, str(row["reason"]))
            elif point.controls and not row.get("control"):
                said.setdefault(
                    point.end, f"{point.interface} heard nothing of what others sent to everybody"
                )
        return said.items()
