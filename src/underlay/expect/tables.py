"""Which rule decides between two links: the switch's tables and each driver's, asked in turn.

The tables stand with the drivers (drivers/) and with the switch (stations.py). Broadcast and
multicast are one here: the underlay's bridges flood both, and a child takes a group's frames if
it takes broadcasts.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

from underlay.drivers import DRIVERS
from underlay.drivers.rule import Fact, Relation, Rule, first
from underlay.expect import routing, stations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from underlay.expect.world import Link, World

# By driver; what the switch and the machines do stands under no name.
TABLES: dict[Literal["reach", "broadcast"], dict[str, tuple[Rule, ...]]] = {
    "reach": {"": stations.RULES, **{name: one.reach for name, one in DRIVERS.items()}},
    "broadcast": {
        "": stations.BROADCAST,
        **{name: one.broadcast for name, one in DRIVERS.items()},
    },
}


def decide(
    about: Literal["reach", "broadcast"],
    drivers: Iterable[str],
    link: Link,
    other: Link,
    facts: frozenset[Fact],
) -> Rule | None:
    """Return the rule for a frame from ``link`` to ``other``, both in one layer-2 domain.

    The tables of ``drivers`` are asked in turn, and of several that speak of the two the
    first that forbids something decides. None stands for two links that no table speaks of.
    """
    asked = tuple(dict.fromkeys(drivers))
    return _decided(about, asked, relation(link, other), link.mode, other.mode, facts)


@cache
def _decided(
    about: Literal["reach", "broadcast"],
    drivers: tuple[str, ...],
    between: Relation,
    source: str,
    destination: str,
    facts: frozenset[Fact],
) -> Rule | None:
    allowing: Rule | None = None
    for driver in drivers:
        try:
            rule = first(TABLES[about][driver], between, source, destination, facts)
        except LookupError:
            continue
        if not rule.reachable:
            return rule
        allowing = allowing or rule
    return allowing


def broadcast_rule(world: World, link: Link, other: Link, check: str = "broadcast") -> Rule:
    """Return the rule that says whether ``other`` hears what ``link`` sends to everybody.

    Both are in one layer-2 domain. ``check`` is multicast for what goes to a group.
    """
    overlay = world.overlay(link)
    # As the frame meets them: who sends it, the switch, and who may take it.
    asked = (link.driver, "", overlay.driver if overlay else "", other.driver)
    to_group = bool(overlay.group) if overlay else check == "multicast"
    found = set(facts(world, link, other, to_group=to_group))
    # To a group frames go with the group's MAC address: no ARP, and the node keeps its copy.
    found -= {"tunnel taken"} if to_group else set()
    return decide("broadcast", asked, link, other, frozenset(found)) or routing.refused()


def facts(
    world: World, link: Link, other: Link, *, to_group: bool, answered: bool = False
) -> Iterator[Fact]:
    """Yield what is so besides modes: of lists, and of the switch on the way to ``other``.

    ``to_group`` says that multicast is sent, or is what the two begin with. What is ``answered``
    goes both ways.
    """
    ways = [(link, other), (other, link)] if answered else [(link, other)]
    overlay, segment = world.overlay(link), world.carrier(link)
    if any(to.mode == "source" and by.mac not in to.allow for by, to in ways):
        yield "unlisted"
    # In an overlay's own frames the addresses are the nodes', which are let in.
    wire = segment if overlay is None else None
    kept_out = bool(wire and wire.locked) and any(world.is_foreign(by) for by, _ in ways)
    siblings = together(link, other)
    # What a locked port doesn't let in, it can't send back either.
    if wire and wire.reflects and not (siblings and kept_out):
        yield "hairpin"
    if siblings:
        return
    if any(world.tunnel_is_taken(one) for one in (link, other)):
        yield "tunnel taken"
    if segment is None:
        return
    if segment.isolated and link.port and other.port:
        yield "isolated"
    if kept_out:
        yield "locked"
    if to_group and segment.swallows_multicast:
        yield "no multicast"


def forget_decisions() -> None:
    """Have every table asked again, for a test that changes a rule."""
    _decided.cache_clear()


def together(link: Link, other: Link) -> bool:
    """Whether two links sit on one parent."""
    return (link.node, link.parent) == (other.node, other.parent)


def relation(link: Link, other: Link) -> Relation:
    """Return what two links of one layer-2 domain are to each other."""
    on_one_parent = together(link, other)
    if link.driver and other.driver:
        return "siblings" if on_one_parent else "across"
    if link.driver:
        return "to own parent" if on_one_parent else "to other node"
    if other.driver:
        return "from own parent" if on_one_parent else "from other node"
    return "stations"
