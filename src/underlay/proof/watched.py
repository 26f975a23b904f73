"""A running lab that is measured again and again, and what changes from once to the next."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Timer
from typing import TYPE_CHECKING

from underlay.cluster.access import spawn_as_root
from underlay.errors import UnderlayError
from underlay.expect import machines
from underlay.observe import Probes
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
# Seconds before a measurement in which its probes are started: some times what that takes.
AHEAD = 2.0


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
        self._ahead: Timer | None = None
        self._probes: Probes | None = None

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
        self._settle()
        try:
            whole = measure_and_judge(lab, tell, self._probes)
        finally:
            self.close()
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

    def ahead(self, seconds: float) -> None:
        """Have the probes ready for a measurement in so many ``seconds``.

        They are what it would wait for first: a program has to start on each machine.
        """
        self._ahead = Timer(max(0.0, seconds - AHEAD), self._start)
        self._ahead.daemon = True
        self._ahead.start()

    def close(self) -> None:
        """End probes that wait for a measurement."""
        self._settle()
        if self._probes is not None:
            self._probes.end()
            self._probes = None

    def _settle(self) -> None:
        """Have no probes started from now on."""
        if self._ahead is not None:
            self._ahead.cancel()
            # An interrupt may have come while it was started: it finds itself cancelled then.
            with suppress(RuntimeError):
                self._ahead.join()
            self._ahead = None

    def _start(self) -> None:
        # The measurement itself says what is wrong with the lab.
        with suppress(OSError, UnderlayError):
            if self._lab is not None and self._plan is not None:
                spawn = spawn_as_root(self._lab.state)
                self._probes = Probes(machines(self._plan), spawn)

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
