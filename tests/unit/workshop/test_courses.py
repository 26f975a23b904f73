"""Every shipped course keeps what a course has to keep, as far as that shows without a node."""

from __future__ import annotations

import re

import pytest

from underlay.lint import load
from underlay.workshop import words
from underlay.workshop.before_boot import course_problems
from underlay.workshop.course import FEWEST_HINTS, Course, Exercise
from underlay.workshop.reading import courses

CODE = re.compile("`([^`]+)`")
COURSES = courses()
every_course = pytest.mark.parametrize("course", COURSES, ids=lambda one: one.name)
every_exercise = pytest.mark.parametrize(
    "exercise",
    [exercise for course in COURSES for exercise in course.exercises],
    ids=lambda one: f"{one.folder.parent.name}/{one.name}",
)


def test_there_are_courses() -> None:
    assert COURSES


@every_course
def test_nothing_is_wrong_with_a_course(course: Course) -> None:
    assert [str(one) for one in course_problems(course)] == []


@every_course
def test_its_minutes_are_enough(course: Course) -> None:
    assert sum(one.minutes for one in course.exercises) <= course.minutes


@every_exercise
def test_an_exercise_helps_and_ends(exercise: Exercise) -> None:
    for stage in exercise.stages:
        assert len(stage.hints) >= FEWEST_HINTS
        assert stage.solve or stage.answer
        assert stage.wrong or stage.answer
    assert exercise.story_text.strip()
    assert exercise.aha_text.strip()


@every_exercise
def test_the_last_hint_is_what_to_type(exercise: Exercise) -> None:
    """Each command of it is a line of the seat's shell, and of one that exists in its lab."""
    places = words.places_of(load(exercise.lab_file).plan)
    for stage in exercise.stages:
        typed = [split for one in CODE.findall(stage.hints[-1]) if (split := words.split(one))]
        lines = [line for line in typed if line[0] in words.WORDS]
        assert lines, f"{stage.title}: {stage.hints[-1]}"
        for line in lines:
            if line[0] in words.OF_THE_LAB:
                assert words.command_lines(line, places)
        if stage.solve:
            where = {line[1] for line in lines if line[0] == "exec"}
            assert {deed.on for deed in stage.solve} <= where, stage.hints[-1]
            # Nothing is left for a learner to put before it: no bare command of a node's.
            assert all(line in lines for line in typed if len(line) > 1), stage.hints[-1]


@every_exercise
def test_a_story_asks_something(exercise: Exercise) -> None:
    assert "?" in exercise.story_text


@every_exercise
def test_its_lab_passes_lint_and_has_lean_nodes(exercise: Exercise) -> None:
    loaded = load(exercise.lab_file)
    assert [str(one.message) for one in loaded.errors] == []
    # What needs full nodes is an exception that says so here.
    profiles = {node.profile for node in loaded.plan.nodes}
    assert profiles == {"lean"} or exercise.name in FULL


# Exercises whose runtime lean nodes don't have.
FULL: set[str] = set()
