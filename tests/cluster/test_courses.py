"""Exercises of courses prove themselves on real nodes, and one that lies is found out.

Those of a course share a boot, since their labs need the same nodes. In the full proof every
exercise of every course is proven, each with its wrong solutions, which are tried on nodes that are
made the exercise's lab anew for it. Every day some of one course are, which together have whatever
an exercise can be made of, and the first one's wrong solution is tried. That one that solves an
exercise all the same is noticed is shown daily, below.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cluster.running import Checkout
from cluster.small_course import EXERCISE, write_course
from underlay.workshop.course import Course, Exercise
from underlay.workshop.proving import Proofs, Proven, prove
from underlay.workshop.reading import courses, load_course

SHARES = {course.name: course for course in courses()}
# A fault of the catalogue and one by hand, stages that ask, statements, cells that may be red, too,
# and what nobody planned.
DAILY = {
    "find-the-fault": (
        "half-of-the-room", "must-it-be-so", "the-wrong-drawer", "four-but-not-six", "one-for-all",
    ),
}  # fmt: skip
EVERY = [(share, one.name) for share, course in SHARES.items() for one in course.exercises]
SOLVE = 'run: "iptables -D INPUT -j DROP"'
WRONG = 'on: core-01, run: "ip link set eth1 down; ip link set eth1 up"'
RED = '"web-1b <-> web-1a, web-1c"'
# What is changed of an exercise that is as it says, and what is said of it then.
TWINS = {
    "unsolved": (SOLVE, 'run: "true"', "is not done once it is solved: web-1a → web-1b (icmp)"),
    "unsolvable": (SOLVE, 'run: "false"', "a step of the exercise failed on web-1b with exit code"),
    "unnamed": (RED, '"web-1a <-> web-1b"', "red cells that it doesn't name: web-1b → web-1c"),
    "not-red": (RED, f'{RED}, "web-1a -> web-1c"', "aren't red when it begins: web-1a → web-1c"),
    "not-wrong": (WRONG, f"on: web-1b, {SOLVE}", "is done after its wrong solution, too"),
    "blind": ("run: ip -4", "run: true || ip -4", "no guard notices the breach: web-1b with"),
    "jumpy": ("run: ip -4", "run: false && ip -4", "begins with a guard that notices something"),
    "mute": ("run: cat /sys", "run: true /sys", "has no right answer: its command prints nothing"),
}


def proven(course: Course) -> Proofs:
    return prove(course.exercises, lambda _: None, lambda _: None)


def without_wrong(exercise: Exercise) -> Exercise:
    """Return ``exercise`` without its stages' wrong solutions."""
    stages = tuple(stage.model_copy(update={"wrong": ()}) for stage in exercise.stages)
    return exercise.model_copy(update={"stages": stages})


@pytest.fixture(scope="module")
def shipped(here: Checkout, share: str, request: pytest.FixtureRequest) -> dict[str, Proven]:
    """Return what became of each exercise of a share."""
    course = SHARES[share]
    if not request.config.getoption("--all"):
        first, *others = map(course.exercise, DAILY[share])
        course = replace(course, exercises=(first, *map(without_wrong, others)))
    return {one.exercise: one for one in proven(course).proven}


def parts(exercise: Exercise) -> set[str]:
    """Return what an exercise is made of: kinds of steps, and keys of its own and of its stages."""
    keys = {key for stage in exercise.stages for key in stage.model_fields_set}
    steps = [*exercise.setup, *(step for stage in exercise.stages for step in stage.setup)]
    return {*exercise.model_fields_set, *keys, *(step.kind for step in steps)}


def test_the_exercises_of_every_day_have_all_that_exercises_are_made_of() -> None:
    every = {one.name: parts(one) for course in courses() for one in course.exercises}
    daily = [every[name] for names in DAILY.values() for name in names]
    assert set().union(*daily) == set().union(*every.values())


@pytest.mark.parametrize(
    ("share", "exercise"),
    [
        pytest.param(*one, marks=() if one[1] in DAILY.get(one[0], ()) else pytest.mark.all)
        for one in EVERY
    ],
    ids=["/".join(one) for one in EVERY],
    scope="module",
)
def test_an_exercise_is_as_it_says(shipped: dict[str, Proven], exercise: str) -> None:
    assert shipped[exercise].problems == ()


@pytest.mark.parametrize(
    "names",
    [
        # What is red and isn't named is found out daily in test_workshop_alone.py.
        ("not-wrong",),
        pytest.param(tuple(TWINS), marks=pytest.mark.all),
    ],
    ids=["some", "all"],
)
def test_an_exercise_that_lies_is_found_out(
    here: Checkout, tmp_path: Path, names: tuple[str, ...]
) -> None:
    exercises = {}
    for name in names:
        before, after, _ = TWINS[name]
        assert before in EXERCISE
        exercises[name] = EXERCISE.replace(before, after)
    found = proven(load_course(write_course(tmp_path, exercises)))
    said = {one.exercise: "\n".join(one.problems) for one in found.proven}
    assert set(said) == set(names)
    for name, text in said.items():
        assert TWINS[name][2] in text, f"{name}: {text}"
    assert found.exit_code == 1


# What lies is tried on its own as well: that is so daily, above.
@pytest.mark.all
def test_what_fails_on_shared_nodes_is_tried_on_its_own(here: Checkout, tmp_path: Path) -> None:
    # It stumbles over what the first one has left in a place that no lab's files are in.
    first = EXERCISE.replace(SOLVE, 'run: "iptables -D INPUT -j DROP; touch /run/was-here"')
    second = EXERCISE.replace(SOLVE, 'run: "test ! -e /run/was-here && iptables -D INPUT -j DROP"')
    found = proven(load_course(write_course(tmp_path, {"first": first, "second": second})))
    assert [(one.exercise, one.problems, one.fresh) for one in found.proven] == [
        ("first", (), False),
        ("second", (), True),
    ]
    # One for both, and one for each part of the second.
    assert found.boots == 3
