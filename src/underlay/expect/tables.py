"""Which rule decides between two links: the switch's tables and each driver's, asked in turn."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

from underlay.drivers import DRIVERS
from underlay.drivers.rule import first
from underlay.expect import stations

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.drivers.rule import Fact, Relation, Rule
    from underlay.expect.world import Link

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
