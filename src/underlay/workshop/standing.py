"""Where each seat is at this moment, for whoever has an eye on all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from underlay.workshop.grading import SeatGrade, graded
from underlay.workshop.seat import progress_of

if TYPE_CHECKING:
    from underlay.workshop.grading import StageGrade
    from underlay.workshop.seat import Seat


@dataclass(frozen=True)
class Standing:
    """Where a seat is: the ``stage`` that it is in is None before the first exercise.

    ``title`` is the exercise's, which has so many ``stages``. ``whole`` is false while its lab
    boots, and after that was cut short.
    """

    number: int
    title: str
    stages: int
    stage: StageGrade | None
    whole: bool
    finished: bool
    grade: SeatGrade


def standing(seat: Seat, now: float) -> Standing:
    """Return where ``seat`` is at ``now``, in seconds since 1970."""
    entries = seat.entries()
    at, grade = progress_of(entries), graded(seat.course, seat.number, entries, now=now)
    here = next(
        (one for one in grade.stages if (one.exercise, one.number) == (at.exercise, at.stage)), None
    )
    exercise = seat.course.exercise(at.exercise) if here else None
    return Standing(
        number=seat.number,
        title=exercise.title if exercise else "",
        stages=len(exercise.stages) if exercise else 0,
        stage=here,
        whole=at.whole,
        finished=at.finished,
        grade=grade,
    )
