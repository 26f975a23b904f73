"""The cells of one measurement, each with the number that every node and packet knows it by.

Numbers are made here and nowhere else: what tells nodes their cells and what reads their
answers are handed the same value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from underlay.expect import pairs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.expect import Expectation, Pair
    from underlay.plan import Plan


@dataclass(frozen=True)
class AskedPair:
    """A pair that is asked by each protocol; ``cold`` pairs are asked before all others."""

    number: int
    pair: Pair
    cold: bool


@dataclass(frozen=True)
class AskedValue:
    """A cell of kind value, with what is expected there."""

    number: int
    wanted: Expectation


@dataclass(frozen=True)
class Asked:
    """All that is asked, in the matrix's order. Pairs and values are numbered apart.

    What tells them apart in a packet is the protocol, or a check's word.
    """

    pairs: tuple[AskedPair, ...]
    values: tuple[AskedValue, ...]

    @property
    def families(self) -> set[int]:
        """The address families that occur.

        Nodes may have IPv6 in a segment where no container has it: they hear its multicast.
        """
        return {one.pair.family for one in self.pairs} | {v.wanted.family for v in self.values}

    @property
    def phases(self) -> tuple[str, ...]:
        """The names of the phases, in order: cold cells are probed first and alone.

        Checks come last: what they send may teach neighbours and the switch.
        """
        reach = ("cold", "others") if any(one.cold for one in self.pairs) else ("others",)
        return (*reach, *dict.fromkeys(value.wanted.protocol for value in self.values))


def numbered(plan: Plan, expectations: Iterable[Expectation]) -> Asked:
    """Return what is asked of the cells of ``plan``, of which ``expectations`` are predicted."""
    predicted = tuple(expectations)
    cold = {(e.source, e.destination, e.family) for e in predicted if e.cold}
    return Asked(
        tuple(
            AskedPair(n, pair, (pair.source.name, pair.destination.name, pair.family) in cold)
            for n, pair in enumerate(pairs(plan))
        ),
        tuple(
            AskedValue(n, wanted)
            for n, wanted in enumerate(e for e in predicted if e.kind == "value")
        ),
    )
