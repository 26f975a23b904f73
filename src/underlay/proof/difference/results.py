"""The differences of all labs that are compared, and what they come to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from underlay.expect import Prediction
from underlay.expect.intent import stands_of
from underlay.proof.difference.alone import keys_of_groups
from underlay.proof.difference.blocks import grouped
from underlay.proof.difference.cells import WHAT, compare
from underlay.proof.difference.errors import errors_of
from underlay.proof.difference.keys import differing_keys
from underlay.proof.difference.statements import changed_statements

if TYPE_CHECKING:
    from collections.abc import Mapping

    from underlay.expect import Expectation
    from underlay.expect.intent import Judged
    from underlay.lint import Loaded
    from underlay.proof.difference.alone import GroupKeys
    from underlay.proof.difference.blocks import Group
    from underlay.proof.difference.cells import Difference, Side, What
    from underlay.proof.difference.errors import NewLabError
    from underlay.proof.difference.keys import KeyChange
    from underlay.proof.difference.labs import LabPair
    from underlay.proof.difference.proving import LabProof
    from underlay.proof.difference.statements import StatementChange


@dataclass(frozen=True)
class LabDifference:
    """What changes in one lab. ``difference`` is None where only one side has the lab.

    ``proof`` is what packets say of it, where both labs were measured.
    """

    pair: LabPair
    difference: Difference | None
    keys: tuple[KeyChange, ...]
    proof: LabProof | None = None

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
        reachable = sum(
            one.count
            for one in prediction.alike()
            for protocol in prediction.protocols
            if prediction.cell(one.first, protocol).reachable
        )
        rest = prediction.count - reachable
        there: Mapping[What, int] = dict.fromkeys(WHAT, 0)
        if self.pair.old:
            return {**there, "lost": reachable, "went": rest}
        return {**there, "gained": reachable, "came": rest}

    @cached_property
    def group_keys(self) -> tuple[GroupKeys, ...] | None:
        """For each group which of the keys make it; None where that isn't tried."""
        if self.pair.old is None or not self.groups:
            return ()
        return keys_of_groups(self.pair.old, self.keys, self.groups, self.cells)

    @cached_property
    def intent(self) -> tuple[Judged[Expectation], ...]:
        """How it stands with the new lab's statements by the new lab's prediction."""
        return _stands(self.pair.new, self.difference.new if self.difference else None)

    @cached_property
    def intent_before(self) -> Mapping[str, str]:
        """How it stood with the old lab's statements, by their text."""
        stands = _stands(self.pair.old, self.difference.old if self.difference else None)
        return {one.statement.text: one.word for one in stands}

    @cached_property
    def statements(self) -> tuple[StatementChange, ...]:
        """The statements of what is wanted that went, came or changed."""
        now = self.difference.new.prediction if self.difference else None
        return changed_statements(self.pair.old, self.pair.new, self.intent_before, now)

    @cached_property
    def errors(self) -> tuple[NewLabError, ...]:
        """The errors that lint finds in the new lab.

        Not looked for where both labs are of one text and no files of hosts: none can be new.
        """
        old, new = self.pair.old, self.pair.new
        alike = old and new and old.text.content == new.text.content and not new.hosts
        return () if alike else errors_of(old, new)

    @property
    def new_errors(self) -> int:
        """How many errors lint finds in the new lab that the old one hasn't."""
        return sum(one.new for one in self.errors)

    @property
    def breaks_intent(self) -> bool:
        """Whether the new lab's prediction is against a statement, of its own or of the old lab."""
        own = any(one.word != "kept" for one in self.intent)
        return own or any(change.loses for change in self.statements)

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
        """Whether anything but the text is another; a statement that only comes loses nothing."""
        cells = self.difference is None or self.difference.any
        return cells or any(change.what != "came" for change in self.statements)


def _stands(loaded: Loaded | None, side: Side | None) -> tuple[Judged[Expectation], ...]:
    if loaded is None or not loaded.plan.intent:
        return ()
    return stands_of(side.prediction if side else Prediction(loaded.plan))


def lab_difference(pair: LabPair) -> LabDifference:
    """Return what changes from the old to the new lab of ``pair``."""
    if pair.old is None or pair.new is None:
        return LabDifference(pair, None, ())
    keys = tuple(differing_keys(pair.old.text, pair.new.text))
    return LabDifference(pair, compare(pair.old.plan, pair.new.plan), keys)
