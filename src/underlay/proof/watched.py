"""A running lab that is measured again and again, and what changes from once to the next."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from underlay.proof.lab import RunningLab, measure_and_judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from underlay.cluster.state.lab import LabState
    from underlay.expect import Family
    from underlay.plan import Plan
    from underlay.proof.choice import Choice, Chosen
    from underlay.proof.explanation import Explanation
    from underlay.verdict import Cell, Verdict

Name = tuple[str, str, str, "Family"]


@dataclass(frozen=True)
class Change:
    """A cell of which something else was seen than the time before."""

    before: Cell
    now: Cell


@dataclass(frozen=True)
class Measurement:
    """One of many: its number, when it began, how long it took, and what changed since the last.

    ``anew`` says that there is nothing to compare it with: it is the first, or the lab was started
    with another plan since. ``whole`` has the cells as well that weren't chosen.
    """

    number: int
    at: datetime
    seconds: float
    verdict: Verdict
    changes: tuple[Change, ...]
    anew: bool
    whole: Verdict

    @property
    def unlike(self) -> tuple[Cell, ...]:
        """The cells that aren't as expected, those that weren't measured among them."""
        return tuple(cell for cell in self.verdict.cells if cell.differs or not cell.measured)


class Watch:
    """Measures the lab of ``state_of`` as ``check`` does, as often as it is asked to.

    ``state_of`` returns the lab's record, and is asked each time: the lab may be started anew
    meanwhile. ``choice`` is which cells are told; all are measured.
    """

    def __init__(self, state_of: Callable[[], LabState], choice: Choice) -> None:
        self._state_of, self._choice = state_of, choice
        self._lab: RunningLab | None = None
        self._plan: Plan | None = None
        self._chosen: Chosen | None = None
        self._last: Verdict | None = None
        self._number = 0

    @property
    def lab(self) -> RunningLab:
        """The lab as it is up now; raises what ``state_of`` and ``Choice.of`` raise."""
        state = self._state_of()
        plan = state.plan()
        if self._lab is None or plan != self._plan:
            lab = RunningLab(state)
            self._chosen = self._choice.of_prediction(lab.prediction) if self._choice else None
            self._lab, self._plan, self._last = lab, plan, None
        return self._lab

    def measure(self, tell: Callable[[str], None]) -> Measurement:
        """Measure once more, and compare; raises what ``lab`` and ``measure_and_judge`` raise."""
        lab = self.lab
        at, began = datetime.now(UTC), time.monotonic()
        whole = measure_and_judge(lab, tell)
        verdict = self._chosen.verdict(whole) if self._chosen is not None else whole
        before, self._last = self._last, verdict
        self._number += 1
        return Measurement(
            self._number,
            at,
            round(time.monotonic() - began, 3),
            verdict,
            changes(before, verdict) if before else (),
            before is None,
            whole,
        )

    def narrowed(self, explanation: Explanation) -> Explanation:
        """Return ``explanation``, which is of all cells, with what is about the chosen ones."""
        return self._chosen.explanation(explanation) if self._chosen else explanation


def changes(before: Verdict, now: Verdict) -> tuple[Change, ...]:
    """Return the cells of both that aren't seen as they were, in their order.

    That a packet was lost and resent, or took longer, is no change.
    """
    earlier = {_name(cell): cell for cell in before.cells}
    pairs = ((earlier.get(_name(cell)), cell) for cell in now.cells)
    return tuple(Change(was, cell) for was, cell in pairs if was and _seen(was) != _seen(cell))


def _name(cell: Cell) -> Name:
    return cell.source, cell.destination, str(cell.protocol), cell.family


def _seen(cell: Cell) -> tuple[object, ...]:
    """Return what of a cell counts: another word at the source about the same isn't a change."""
    return cell.observed, cell.answered_by, cell.differs
