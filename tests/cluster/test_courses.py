"""Exercises of courses prove themselves on real nodes, and one that lies is found out.

Those of a course share a boot, since their labs need the same nodes. In the full proof every
exercise of every course is proven, each with its wrong solutions, which are tried on nodes that are
made the exercise's lab anew for it. Every day one of the tests' own is, whose wrong solution solves
it, which is noticed; test_workshop_alone.py and test_seat_exercise.py play exercises daily.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.running import Checkout
from cluster.small_course import EXERCISE, write_course
from underlay.workshop.course import Course
from underlay.workshop.proving import Proofs, Proven, prove
from underlay.workshop.reading import courses, load_course

SHARES = {course.name: course for course in courses()}
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


@pytest.fixture(scope="module")
def shipped(here: Checkout, share: str) -> dict[str, Proven]:
    """Return what became of each exercise of a share."""
    return {one.exercise: one for one in proven(SHARES[share]).proven}


@pytest.mark.all
@pytest.mark.parametrize(
    ("share", "exercise"), EVERY, ids=["/".join(one) for one in EVERY], scope="module"
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
