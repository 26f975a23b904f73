"""The differences of all labs that are compared, and what they come to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from underlay.expect import Prediction
from underlay.proof.difference.blocks import grouped
from underlay.proof.difference.cells import WHAT, compare
from underlay.proof.difference.keys import differing_keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from underlay.proof.difference.blocks import Group
    from underlay.proof.difference.cells import Difference, What
    from underlay.proof.difference.keys import KeyChange
    from underlay.proof.difference.labs import LabPair


@dataclass(frozen=True)
class LabDifference:
    """What changes in one lab. ``difference`` is None where only one side has the lab."""

    pair: LabPair
    difference: Difference | None
    keys: tuple[KeyChange, ...]

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The changed cells of reachability, in groups."""
        return tuple(grouped(self.difference)) if self.difference else ()

    @cached_property
    def counts(self) -> Mapping[What, int]:
        """How many cells became what; those of a lab that comes or goes are counted, too."""
        if self.difference is not None:
            return {what: self.difference.of(what) for what in WHAT}
        loaded = self.pair.old or self.pair.new
        assert loaded is not None
        prediction = Prediction(loaded.plan)
        reachable = sum(cell.reachable for cell in prediction.reach)
        rest = len(prediction.cells) - reachable
        there: Mapping[What, int] = dict.fromkeys(WHAT, 0)
        if self.pair.old:
            return {**there, "lost": reachable, "went": rest}
        return {**there, "gained": reachable, "came": rest}

    @property
    def cells(self) -> int:
        """How many cells there are, on either side."""
        return self.difference.cells if self.difference else sum(self.counts.values())

    @property
    def same(self) -> int:
        """How many cells are as before."""
        return self.cells - sum(self.counts.values())

    @property
    def any(self) -> bool:
        """Whether anything but the text is another."""
        return self.difference is None or self.difference.any


def lab_difference(pair: LabPair) -> LabDifference:
    """Return what changes from the old to the new lab of ``pair``."""
    if pair.old is None or pair.new is None:
        return LabDifference(pair, None, ())
    keys = tuple(differing_keys(pair.old.text, pair.new.text))
    return LabDifference(pair, compare(pair.old.plan, pair.new.plan), keys)
