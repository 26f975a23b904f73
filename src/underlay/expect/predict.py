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

from underlay.expect.ends import FAMILIES, Family, pairs, protocols
from underlay.expect.expectation import Expectation
from underlay.expect.filtering import Filtering
from underlay.expect.passages import Passages
from underlay.expect.path import Paths
from underlay.expect.value_cells import predict_values
from underlay.expect.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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

    def _reach(self) -> Iterator[Expectation]:
        asked = protocols(self.plan)
        for pair in pairs(self.plan):
            for protocol in asked:
                rule = self.filtering.rule(pair, protocol)
                yield Expectation(
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


def predict(plan: Plan) -> tuple[Expectation, ...]:
    """Return what should happen in every cell of ``plan``'s matrix, in the matrix's order."""
    return Prediction(plan).cells
