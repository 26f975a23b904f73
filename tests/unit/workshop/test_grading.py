"""What a seat has done, by its journal: whose work a stage is, and what it took."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from course_folder import EXERCISE, course_in
from underlay.cli.workshop_actions.told import reasons
from underlay.workshop.course import Course
from underlay.workshop.grading import Check, SeatGrade, StageGrade, graded
from underlay.workshop.reading import load_course
from underlay.workshop.seat import Entry
from underlay.workshop.standing import standing

TWO = (
    EXERCISE
    + """\
  - title: And again
    goal: Everybody reaches everybody.
    answer: {question: Who?, accept: [eth1]}
    hints: [Who is silent?, Look at eth1.]
"""
)
BEGUN = [("begin", 0, ""), ("begin", 0, "ok")]
SOLVED = {"of": "skip"}


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return load_course(course_in(tmp_path, exercise=TWO))


def of(course: Course, *said: Any, now: float | None = None) -> SeatGrade:
    """Return the grade for a journal of words, a minute apart."""
    entries = [
        Entry(60.0 * at, word, "left", stage, result, *detail)
        for at, (word, stage, result, *detail) in enumerate(said)
    ]
    return graded(course, 1, entries, now=now)


def hows(grade: SeatGrade) -> list[str]:
    return [stage.how for stage in grade.stages]


def test_nobody_was_there(course: Course) -> None:
    grade = of(course)
    assert hows(grade) == ["not begun", "not begun"]
    assert (grade.own, grade.skipped, grade.hints, grade.resets, grade.minutes) == (0, 0, 0, 0, 0)


def test_a_lab_that_only_boots_has_begun_nothing(course: Course) -> None:
    assert hows(of(course, ("begin", 0, ""))) == ["not begun", "not begun"]


def test_a_stage_is_open_until_a_check_finds_it_done(course: Course) -> None:
    checked = [("check", 0, ""), ("check", 0, "open", {"red": 2, "cells": ["a → b (icmp): why"]})]
    grade = of(course, *BEGUN, *checked)
    assert hows(grade) == ["open", "not begun"]
    assert grade.stages[0].last_check == Check(180.0, "open", 2, ("a → b (icmp): why",))
    grade = of(course, *BEGUN, *checked, ("check", 0, ""), ("check", 0, "done"))
    assert hows(grade) == ["done", "not begun"]
    assert (grade.own, grade.stages[0].checks) == (1, 2)


def test_a_solution_that_was_run_is_nobodys_own(course: Course) -> None:
    skipped = [("skip", 0, ""), ("skip", 0, "ok"), ("check", 0, "", SOLVED)]
    grade = of(course, *BEGUN, *skipped, ("check", 0, "done", SOLVED))
    assert hows(grade) == ["skipped", "not begun"]
    assert (grade.own, grade.skipped) == (0, 1)
    assert (grade.stages[0].checks, grade.stages[0].last_check) == (0, None), "nobody's own"
    assert reasons(grade.stages[0]) == ["skipped"]


def test_of_a_skipped_stage_the_last_own_check_says_why(course: Course) -> None:
    own = [("check", 0, "open", {"red": 2}), ("skip", 0, "ok"), ("check", 0, "done", SOLVED)]
    stage = of(course, *BEGUN, *own).stages[0]
    assert (stage.checks, stage.last_check) == (1, Check(120.0, "open", 2))
    assert reasons(stage) == ["skipped", "2 red cells"]
    # What is measured after the solution was run says nothing of who sits there.
    stage = of(course, *BEGUN, *own, ("check", 0, "done")).stages[0]
    assert (stage.checks, stage.last_check) == (2, Check(120.0, "open", 2))


def test_what_was_done_before_it_was_skipped_stays_ones_own(course: Course) -> None:
    grade = of(course, *BEGUN, ("check", 0, "done"), ("skip", 0, "ok"), ("check", 0, "done"))
    assert hows(grade) == ["done", "not begun"]


def test_a_solution_that_failed_counts_as_none(course: Course) -> None:
    grade = of(course, *BEGUN, ("skip", 0, ""), ("skip", 0, "failed"), ("check", 0, "done"))
    assert hows(grade) == ["done", "not begun"]


def test_minutes_are_those_in_the_stage_and_stop_when_it_is_done(course: Course) -> None:
    said = [*BEGUN, ("enter", 0, "ok"), ("check", 0, "done"), ("stage", 1, ""), ("stage", 1, "ok")]
    grade = of(course, *said, ("answer", 1, "wrong"), ("answer", 1, "right"))
    assert [stage.minutes for stage in grade.stages] == [1.0, 2.0]
    assert of(course, *said, now=60.0 * 15).stages[1].minutes == 10.0, "until now"
    assert of(course, *said, now=60.0 * 15).stages[0].minutes == 1.0, "which is done"


def test_nobodys_time_passes_before_somebody_is_there(course: Course) -> None:
    night = 60.0 * 60 * 12
    assert of(course, *BEGUN, now=night).stages[0].minutes == 0.0
    entered = [*BEGUN, ("enter", 0, "ok")]
    assert of(course, *entered, now=60.0 * 7).stages[0].minutes == 5.0
    assert of(course, *BEGUN, ("hint", 0, "ok"), now=60.0 * 7).stages[0].minutes == 5.0, "a word"
    early = [("begin", 0, ""), ("enter", 0, "ok"), ("begin", 0, "ok")]
    assert of(course, *early, now=60.0 * 7).stages[0].minutes == 5.0, "who waits for the boot"


def test_a_boot_is_nobodys_time(course: Course) -> None:
    grade = of(course, ("begin", 0, ""), ("hint", 0, "ok"), ("hint", 0, "ok"), ("begin", 0, "ok"))
    assert grade.stages[0].minutes == 0.0


def test_hints_resets_and_wrong_answers_are_counted(course: Course) -> None:
    helped = [("hint", 0, "ok"), ("hint", 0, "ok"), ("reset", 0, ""), ("reset", 0, "ok")]
    on = [("check", 0, "done"), ("stage", 1, "ok"), ("answer", 1, "wrong"), ("hint", 1, "ok")]
    grade = of(course, *BEGUN, *helped, *on)
    assert [(one.hints, one.resets, one.wrong_answers) for one in grade.stages] == [
        (2, 1, 0),
        (1, 0, 1),
    ]
    assert (grade.hints, grade.resets) == (3, 1)
    assert [one.of_hints for one in grade.stages] == [2, 2]


def test_what_a_guard_noticed_stays_although_it_was_taken_back(course: Course) -> None:
    said = {"noticed": ["It stays where it is."]}
    grade = of(course, *BEGUN, ("check", 0, "open", said), ("check", 0, "done"))
    assert grade.stages[0].noticed == ("It stays where it is.",)
    assert grade.stages[0].last_check == Check(180.0, "done")


@pytest.mark.parametrize(
    ("check", "reasons"),
    [
        (Check(0, "done"), []),
        (Check(0, "failed"), ["the lab could not be measured"]),
        (Check(0, "open", red=1, cells=("a → b (icmp): why",)), ["1 red cell: a → b (icmp)"]),
        (
            Check(0, "open", red=9, cells=tuple("abcdef")),
            ["9 red cells: a; b; c; d and 5 more"],
        ),
        (Check(0, "open", red=2), ["2 red cells"]),
        (
            Check(0, "open", broken=("a -> b: 2 cells",), noticed=("No.",), unplanned=1, unsure=2),
            [
                "not kept: a -> b: 2 cells",
                "noticed: No.",
                "1 reachable without being planned",
                "2 not measured",
            ],
        ),
    ],
)
def test_a_check_says_what_it_has_against_the_stage(check: Check, reasons: list[str]) -> None:
    assert list(check.reasons) == reasons


def test_a_stage_that_the_course_has_no_more_counts_for_nothing(course: Course) -> None:
    entries = [Entry(0, "begin", "gone", 0, "ok"), Entry(60, "check", "gone", 0, "done")]
    grade = graded(course, 1, entries)
    assert hows(grade) == ["not begun", "not begun"]


def test_where_a_seat_is(course: Course, tmp_path: Path) -> None:
    from underlay.workshop.seat import Seat

    seat = Seat(course, 7, tmp_path / "07").make()
    here = standing(seat, 0)
    assert (here.stage, here.title, here.whole) == (None, "", True)
    seat.write("begin", "left", 0)
    assert not standing(seat, 0).whole
    seat.write("begin", "left", 0, "ok")
    seat.write("check", "left", 0, "done")
    seat.write("stage", "left", 1, "ok")
    here = standing(seat, 0)
    assert isinstance(here.stage, StageGrade)
    assert (here.title, here.stage.number, here.stages, here.grade.own) == ("Left alone", 1, 2, 1)
