"""What a seat has done, and why it counts as that: made from the journal and the course alone.

Nothing is measured here. A stage is somebody's own where a check found it done and its solution
was never run; what the last check had against it is told as the check told it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from underlay.workshop import seat as journal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.workshop.course import Course
    from underlay.workshop.seat import Entry, Seat

How = Literal["not begun", "open", "done", "skipped"]
# Times in the journal are in seconds.
MINUTE = 60.0
# Red cells that a reason names.
NAMED = 4


@dataclass(frozen=True)
class Check:
    """What a check came to: when it ended, and in words and numbers what it had against the stage.

    ``result`` is ``done``, ``open``, or ``failed`` where the lab could not be measured.
    """

    time: float
    result: str
    red: int = 0
    cells: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    noticed: tuple[str, ...] = ()
    unplanned: int = 0
    unsure: int = 0

    @property
    def reasons(self) -> tuple[str, ...]:
        """What it had against the stage, in words; nothing where that is done."""
        if self.result == "failed":
            return ("the lab could not be measured",)
        found = []
        if self.red:
            # Who asks whom; what became of it stands in the journal.
            named = [cell.partition(": ")[0] for cell in self.cells[:NAMED]]
            told = [f"{self.red} red {_cell(self.red)}", *(["; ".join(named)] if named else [])]
            more = f" and {self.red - len(named)} more" if self.red > len(named) > 0 else ""
            found.append(": ".join(told) + more)
        found += [f"not kept: {text}" for text in self.broken]
        found += [f"noticed: {text}" for text in self.noticed]
        if self.unplanned:
            found.append(f"{self.unplanned} reachable without being planned")
        if self.unsure:
            found.append(f"{self.unsure} not measured")
        return tuple(found)


@dataclass(frozen=True)
class StageGrade:
    """One stage of one seat: ``number`` counts from 0.

    ``minutes`` are those from when somebody was there first until it was done. ``last_check`` is
    the last before its solution was run, if that was. ``noticed`` is what guards have noticed in
    any of its checks, and ``wrong_answers`` how often something else than the right answer was
    given.
    """

    exercise: str
    number: int
    title: str
    how: How
    hints: int = 0
    of_hints: int = 0
    checks: int = 0
    resets: int = 0
    wrong_answers: int = 0
    minutes: float = 0.0
    last_check: Check | None = None
    noticed: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeatGrade:
    """A seat, with all stages of the course in their order."""

    number: int
    stages: tuple[StageGrade, ...]

    @property
    def own(self) -> int:
        """How many stages were done by whoever sits there."""
        return self._many("done")

    @property
    def skipped(self) -> int:
        """How many stages the solution was run for."""
        return self._many("skipped")

    @property
    def hints(self) -> int:
        """How many hints were shown."""
        return sum(one.hints for one in self.stages)

    @property
    def resets(self) -> int:
        """How many times a stage was begun anew."""
        return sum(one.resets for one in self.stages)

    @property
    def minutes(self) -> float:
        """How many minutes were spent in all stages."""
        return sum(one.minutes for one in self.stages)

    def _many(self, how: How) -> int:
        return sum(one.how == how for one in self.stages)


@dataclass
class _Account:
    """What the journal says of one stage, while it is read."""

    since: float | None = None
    seconds: float = 0.0
    begun: bool = False
    done: bool = False
    skipped: bool = False
    hints: int = 0
    checks: int = 0
    resets: int = 0
    wrong_answers: int = 0
    last_check: Check | None = None
    noticed: dict[str, None] = field(default_factory=dict)

    def rest(self, at: float) -> None:
        """Stop counting time, until the stage is begun again."""
        if self.since is not None:
            self.seconds += max(0.0, at - self.since)
            self.since = None

    def take(self, entry: Entry, *, is_there: bool) -> None:
        """Note what one line of the journal says of the stage; whether somebody sits there."""
        if entry.word in _BEGINS and entry.result == "ok":
            self.begun = True
        if is_there and self.begun and self.since is None and not self.done:
            self.since = entry.time
        if entry.word == journal.RESET and entry.result == "ok":
            self.resets += 1
        elif entry.word == journal.SKIP and entry.result == "ok":
            # What was done before the solution was asked for stays somebody's own.
            self.skipped = self.skipped or not self.done
        elif entry.word == journal.HINT:
            self.hints += 1
        elif entry.word == journal.ANSWER and entry.result == "wrong":
            self.wrong_answers += 1
        elif entry.word == journal.CHECK and entry.result:
            self._take_check(entry)

    def _take_check(self, entry: Entry) -> None:
        # Who has the solution run has asked for it, and not for the check of it.
        if entry.detail.get("of") != journal.SKIP:
            self.checks += 1
            check = _check(entry)
            self.noticed |= dict.fromkeys(check.noticed)
            if not self.skipped:
                self.last_check = check
        if entry.result == "done":
            self.done = True
            self.rest(entry.time)

    @property
    def how(self) -> How:
        """How it stands with the stage."""
        if self.skipped:
            return "skipped"
        return "done" if self.done else "open" if self.begun else "not begun"


_BEGINS = (journal.BEGIN, journal.STAGE, journal.RESET)


def grade(seat: Seat, *, now: float | None = None) -> SeatGrade:
    """Return what ``seat`` has done.

    The stage that is open is counted until the last line of its journal, or until ``now``, in
    seconds since 1970.
    """
    return graded(seat.course, seat.number, seat.entries(), now=now)


def graded(
    course: Course, number: int, entries: Iterable[Entry], *, now: float | None = None
) -> SeatGrade:
    """Return what the seat ``number`` of ``course`` has done whose journal says ``entries``."""
    accounts: dict[tuple[str, int], _Account] = {}
    here: tuple[str, int] | None = None
    # An exercise is begun for a seat, too, before anybody sits there.
    last, is_there = 0.0, False
    for entry in entries:
        place, last = (entry.exercise, entry.stage), entry.time
        if entry.word in _BEGINS and here not in (None, place):
            accounts[here].rest(entry.time)
        account = accounts.setdefault(place, _Account())
        is_there = is_there or entry.word != journal.BEGIN
        account.take(entry, is_there=is_there)
        here = place
    for account in accounts.values():
        account.rest(last if now is None else now)
    stages = [
        _stage(accounts.get((exercise.name, at), _Account()), exercise.name, at, stage)
        for exercise in course.exercises
        for at, stage in enumerate(exercise.stages)
    ]
    return SeatGrade(number, tuple(stages))


def _stage(account: _Account, exercise: str, number: int, stage: Any) -> StageGrade:
    return StageGrade(
        exercise=exercise,
        number=number,
        title=stage.title,
        how=account.how,
        hints=account.hints,
        of_hints=len(stage.hints),
        checks=account.checks,
        resets=account.resets,
        wrong_answers=account.wrong_answers,
        minutes=round(account.seconds / MINUTE, 1),
        last_check=account.last_check,
        noticed=tuple(account.noticed),
    )


def _check(entry: Entry) -> Check:
    told = entry.detail
    return Check(
        time=entry.time,
        result=entry.result,
        red=int(told.get("red", 0)),
        cells=tuple(told.get("cells", ())),
        broken=tuple(told.get("broken", ())),
        noticed=tuple(told.get("noticed", ())),
        unplanned=int(told.get("unplanned", 0)),
        unsure=int(told.get("unsure", 0)),
    )


def _cell(number: int) -> str:
    return "cell" if number == 1 else "cells"
