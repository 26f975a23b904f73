"""What becomes of an exercise in a seat: begun, checked, helped along, reset and gone on from.

Each word is written to the journal before it does anything, and after. So whatever was cut short,
by whatever cause, shows there: the seat isn't whole, and ``reset`` makes it so. One process works
on one seat at a time, and it must work on no other meanwhile: the seat's home is the process's.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from underlay.errors import BadInput, Infrastructure, UnderlayError
from underlay.expect import Prediction
from underlay.faults import Scene
from underlay.storage import locks
from underlay.workshop import seat as words
from underlay.workshop.booting import boot_lab, end_labs, running
from underlay.workshop.checking import StageResult, judged
from underlay.workshop.deeds import carry_out, do, take_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from underlay.cluster.state.lab import LabState
    from underlay.workshop.course import Answer, Deed, Exercise, Stage
    from underlay.workshop.seat import Progress, Seat

    Tell = Callable[[str], None]

__all__ = [
    "Hint", "Skipped", "StageResult", "answer", "begin", "check", "hint", "next_", "reset", "skip",
]  # fmt: skip

# Longer than a seat's lab takes to boot where many do so at once.
PATIENCE = 600.0
OK, FAILED = "ok", "failed"
# Cells of a check that the journal names; all of them are counted.
KEPT = 8
RIGHT, WRONG = "right", "wrong"


@dataclass(frozen=True)
class Hint:
    """A hint: its ``text``, which of how many it is, and whether all have been shown before."""

    text: str
    number: int
    of: int
    again: bool = False


@dataclass(frozen=True)
class Skipped:
    """What skipping a stage came to: ``deeds`` were done, and ``answer`` was right, if any."""

    result: StageResult
    deeds: tuple[Deed, ...] = ()
    answer: str = ""


def begin(seat: Seat, exercise: Exercise, tell: Tell) -> None:
    """Begin ``exercise`` in ``seat``: boot its lab afresh, and set up its first stage.

    What was up there ends. Raises what booting raises; then ``reset`` is another try.
    """
    with _turn(seat, tell), _written(seat, words.BEGIN, exercise.name, 0):
        _brought_to(seat, exercise, 0, tell)


def reset(seat: Seat, tell: Tell) -> None:
    """Bring back the state with which the current stage began, on freshly booted nodes.

    The solutions of the stages before it are run. Raises BadInput before the first exercise.
    """
    with _turn(seat, tell):
        exercise, number = _place(seat)
        with _written(seat, words.RESET, exercise.name, number):
            _brought_to(seat, exercise, number, tell)


def check(seat: Seat, tell: Tell) -> StageResult:
    """Return how it stands with the current stage, by packets.

    Raises BadInput before the first exercise, and Infrastructure where the seat isn't whole.
    """
    with _turn(seat, tell), seat.at_home():
        exercise, number = _place(seat)
        _refuse_broken(seat)
        return _checked(seat, running(seat), exercise, number, tell)


def hint(seat: Seat) -> Hint:
    """Return the next hint of the current stage; the last one again once all were shown."""
    exercise, number = _place(seat)
    hints = exercise.stages[number].hints
    shown = seat.progress().hints.get((exercise.name, number), 0)
    if shown >= len(hints):
        return Hint(hints[-1], len(hints), len(hints), again=True)
    seat.write(words.HINT, exercise.name, number, OK, number=shown + 1)
    return Hint(hints[shown], shown + 1, len(hints))


def answer(seat: Seat, text: str, tell: Tell) -> tuple[bool, StageResult | None]:
    """Take an answer to the current stage's question; return whether it is right.

    With a right one, how it stands with the stage comes along. Raises BadInput where nothing is
    asked.
    """
    with _turn(seat, tell), seat.at_home():
        exercise, number = _place(seat)
        asked = exercise.stages[number].answer
        if asked is None:
            raise BadInput(
                "this stage takes no answer: the question in the story is to think about",
                hint="mend it, and then  check  shows whether it is mended",
            )
        _refuse_broken(seat)
        state = running(seat)
        with _failing(seat, words.ANSWER, exercise.name, number), _kept_quiet("asking the lab"):
            right = right_answers(state, asked)
        is_right = _plain(text) in right
        seat.write(words.ANSWER, exercise.name, number, RIGHT if is_right else WRONG, text=text)
        return is_right, _checked(seat, state, exercise, number, tell) if is_right else None


def skip(seat: Seat, tell: Tell) -> Skipped:
    """Run the solution of the current stage, and return what it was and how it stands then.

    Where it asks something, that counts as answered.
    """
    with _turn(seat, tell), seat.at_home():
        exercise, number = _place(seat)
        _refuse_broken(seat)
        state = running(seat)
        one = exercise.stages[number]
        with _written(seat, words.SKIP, exercise.name, number):
            tell("running the solution")
            with _kept_quiet("the solution of this stage"):
                # What is right is asked of the lab before it is changed, as a learner would.
                right = shown_answers(state, one.answer) if one.answer else []
                do(state, one.solve)
        result = _checked(seat, state, exercise, number, tell, of=words.SKIP)
        return Skipped(result, one.solve, right[0] if right else "")


def next_(seat: Seat, tell: Tell) -> tuple[Exercise, int] | None:
    """Go on from a stage that is done: to the next one, or to the next exercise.

    Returns where the seat is then, None behind the last exercise, where its lab is ended. Raises
    BadInput where the stage isn't done.
    """
    with _turn(seat, tell), seat.at_home():
        at = seat.progress()
        if at.exercise:
            exercise, number = _place(seat)
            if not _is_done(at, exercise, number):
                raise BadInput("this stage isn't done yet", hint="check  says how it stands")
            if number + 1 < len(exercise.stages):
                with _written(seat, words.STAGE, exercise.name, number + 1):
                    _set_up(running(seat), exercise.stages[number + 1], tell)
                return exercise, number + 1
            following = seat.course.after(exercise.name)
        else:
            following = seat.course.exercises[0]
        if following is None:
            end_labs(seat)
            return None
    begin(seat, following, tell)
    return following, 0


def right_answers(state: LabState, asked: Answer) -> list[str]:
    """Return what counts as right now, as it is compared: what is seen in the lab, or written."""
    return [_plain(one) for one in shown_answers(state, asked)]


def shown_answers(state: LabState, asked: Answer) -> list[str]:
    """Return what counts as right now, as it is seen or written."""
    seen = [carry_out(state, asked.on, asked.run)] if asked.on and asked.run else []
    return [" ".join(one.split()) for one in (*seen, *asked.accept) if one.strip()]


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _checked(
    seat: Seat, state: LabState, exercise: Exercise, number: int, tell: Tell, **asked: Any
) -> StageResult:
    """Judge a stage; ``of`` in ``asked`` is the word that did so, where it wasn't the learner."""
    place = (exercise.name, number)
    seat.write(words.CHECK, *place, **asked)
    at = seat.progress()
    answered = place in at.answered or place in at.skipped
    try:
        result = judged(state, exercise, number, tell, answered=answered)
    except BaseException:
        seat.write(words.CHECK, *place, FAILED, **asked)
        raise
    told = "done" if result.done else "open"
    seat.write(words.CHECK, *place, told, **(_told(result) | asked))
    if result.done and result.is_last and exercise.name not in at.done:
        seat.write(words.DONE, *place, OK)
    return result


def _told(result: StageResult) -> dict[str, Any]:
    """Return what the journal keeps of a check: how much is against it, and what guards noticed."""
    return {
        "red": len(result.red),
        "cells": list(result.red[:KEPT]),
        "broken": list(result.broken),
        "noticed": list(result.noticed),
        "unplanned": len(result.unplanned),
        "unsure": len(result.unsure),
    }


def _is_done(at: Progress, exercise: Exercise, number: int) -> bool:
    last = at.last_check
    place = (exercise.name, number)
    return last is not None and (last.exercise, last.stage) == place and last.result == "done"


def _brought_to(seat: Seat, exercise: Exercise, number: int, tell: Tell) -> LabState:
    """Boot the lab afresh and do all that comes before stage ``number``, and its own set-up."""
    with seat.at_home():
        state = boot_lab(seat, exercise, tell)
        scene = scene_of(state)
        tell("setting the exercise up")
        with _kept_quiet("setting the exercise up"):
            take_steps(state, scene, exercise.setup)
            for stage in exercise.stages[:number]:
                take_steps(state, scene, stage.setup)
                do(state, stage.solve)
            take_steps(state, scene, exercise.stages[number].setup)
        return state


def _set_up(state: LabState, stage: Stage, tell: Tell) -> None:
    if stage.setup:
        tell("setting the next stage up")
        with _kept_quiet("setting the next stage up"):
            take_steps(state, scene_of(state), stage.setup)


def scene_of(state: LabState) -> Scene:
    """Return where faults can be in a running lab."""
    return Scene(Prediction(state.plan()))


def _place(seat: Seat) -> tuple[Exercise, int]:
    at = seat.progress()
    if not at.exercise:
        raise BadInput("no exercise has begun here", hint="next  begins the first one")
    return seat.course.exercise(at.exercise), at.stage


def _refuse_broken(seat: Seat) -> None:
    if not seat.progress().whole:
        raise BadInput("what was done here last has not come to its end", hint="reset")


class KeptQuiet(Infrastructure):
    """A step has failed, and what it was is the journal's to say: a learner must not read it."""


@contextmanager
def _kept_quiet(what: str) -> Iterator[None]:
    """Have what fails in the block say no more than ``what`` it was: steps name the cause."""
    try:
        yield
    except UnderlayError as error:
        hint = "tell your trainer: the seat's journal says why; reset  is another try"
        raise KeptQuiet(f"{what} has failed", hint=hint) from error


@contextmanager
def _turn(seat: Seat, tell: Tell) -> Iterator[None]:
    """Let one process at a time work on the seat."""
    busy = f"is at work on {seat.name}"
    with locks.held(seat.folder / "turn", busy, deadline=PATIENCE, waiting=tell):
        yield


@contextmanager
def _written(seat: Seat, word: str, exercise: str, stage: int) -> Iterator[None]:
    """Write to the journal that ``word`` begins, and how it ends."""
    seat.write(word, exercise, stage)
    with _failing(seat, word, exercise, stage):
        yield
    seat.write(word, exercise, stage, OK)


@contextmanager
def _failing(seat: Seat, word: str, exercise: str, stage: int) -> Iterator[None]:
    """Write to the journal why the block has failed, with all that a learner isn't told."""
    try:
        yield
    except UnderlayError as error:
        cause = error.__cause__ if isinstance(error, KeptQuiet) else error
        told = cause if isinstance(cause, UnderlayError) else error
        seat.write(word, exercise, stage, FAILED, error=told.message, detail=told.detail)
        raise
