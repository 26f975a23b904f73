"""Predicts every cell of the matrix from the plan alone.

Each end lives in a network namespace with links and routes (``world.py``). A request
goes source to destination and its answer comes back; each way the namespaces' own
routes choose links, and a rule says what becomes of a frame between two links of one
layer-2 domain (``path.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from underlay.expect.alike import alike
from underlay.expect.ends import FAMILIES, Family, Pairing, ends, pairs, protocols
from underlay.expect.expectation import Expectation
from underlay.expect.filtering import Filtering
from underlay.expect.passages import Passages
from underlay.expect.path import Paths
from underlay.expect.value_cells import predict_values
from underlay.expect.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from underlay.expect.alike import Alike
    from underlay.expect.ends import End, Pair, Protocol
    from underlay.plan import Plan


@dataclass(frozen=True)
class Prediction:
    """What should happen in every cell of ``plan``'s matrix, and what that is derived from.

    A command makes one and hands it on. Everything in it is made once, when it is asked for.

    Two containers with one address are predicted as if each were the only one:
    that is what the lab asks for, and the measurement shows what it gets.
    """

    plan: Plan

    @cached_property
    def paths(self) -> Mapping[Family, Paths]:
        """How packets travel, by address family; each has the world that it goes through."""
        return {family: Paths(World(self.plan, family)) for family in FAMILIES}

    @cached_property
    def filtering(self) -> Filtering:
        """What packet filters, and closed ports, make of a cell."""
        return Filtering(self.plan, self.paths)

    @cached_property
    def passages(self) -> Passages:
        """Which interfaces the packets of a cell pass."""
        return Passages(self.plan, self.paths)

    @cached_property
    def reach(self) -> tuple[Expectation, ...]:
        """The cells about reachability, in the matrix's order."""
        return tuple(self._reach())

    @cached_property
    def values(self) -> tuple[Expectation, ...]:
        """The cells of kind ``value``, as the checks ask for them."""
        return predict_values(self.plan, self.paths)

    @property
    def cells(self) -> tuple[Expectation, ...]:
        """All cells, in the order of the matrix: those of reachability first, then values."""
        return (*self.reach, *self.values)

    @cached_property
    def ends(self) -> tuple[End, ...]:
        """The ends of the matrix, in its order."""
        return ends(self.plan)

    @cached_property
    def protocols(self) -> tuple[Protocol, ...]:
        """By which protocols the cells about reachability are asked, in the matrix's order."""
        return protocols(self.plan)

    def alike(
        self, sources: Iterable[End] | None = None, destinations: Iterable[End] | None = None
    ) -> Iterator[Alike[Pair]]:
        """Yield the pairs of ``sources`` with ``destinations``, all that fare alike at once.

        Without either all ends are meant. IPv4 comes before IPv6.
        """
        asking = self.ends if sources is None else tuple(sources)
        asked = self.ends if destinations is None else tuple(destinations)
        for family, pairing in self.pairings.items():
            yield from alike(self.paths[family].kinds.of, pairing.pair, asking, asked)

    @cached_property
    def pairings(self) -> Mapping[Family, Pairing]:
        """What makes pairs of each address family that containers have addresses of."""
        own = {family for family in FAMILIES for end in self.ends if end.own(family)}
        return {family: Pairing(self.plan, family) for family in FAMILIES if family in own}

    def cell(self, pair: Pair, protocol: Protocol) -> Expectation:
        """Return the cell about reachability between a pair of ends."""
        rule = self.filtering.rule(pair, protocol)
        return Expectation(
            source=pair.source.name,
            destination=pair.destination.name,
            protocol=protocol,
            reachable=rule.reachable,
            stop=rule.stop,
            because=rule.because,
            reference=rule.reference,
            rule=rule.id,
            also=rule.also,
            arrives=rule.arrives,
            source_address=pair.source_address,
            destination_address=pair.destination_address,
            family=pair.family,
        )

    @property
    def count(self) -> int:
        """How many cells there are, those of kind ``value`` too."""
        return sum(one.count for one in self.alike()) * len(self.protocols) + len(self.values)

    def _reach(self) -> Iterator[Expectation]:
        for pair in pairs(self.plan):
            for protocol in self.protocols:
                yield self.cell(pair, protocol)


def predict(plan: Plan) -> tuple[Expectation, ...]:
    """Return what should happen in every cell of ``plan``'s matrix, in the matrix's order."""
    return Prediction(plan).cells
