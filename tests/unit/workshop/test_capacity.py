"""How many seats fit: the sum, and what is said where they don't."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.cluster.prepare import load_plan
from underlay.errors import BadInput
from underlay.storage import paths
from underlay.workshop import capacity, seating
from underlay.workshop.capacity import EACH, ONCE, Need, refuse_too_many, seat_mib
from underlay.workshop.course import Course
from underlay.workshop.reading import courses


def free(monkeypatch: pytest.MonkeyPatch, mib: int) -> None:
    monkeypatch.setattr(capacity, "available_kib", lambda: mib << 10)


def test_the_trainers_seat_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 3000)
    refuse_too_many(Need(1000, "half", 2), 2)
    with pytest.raises(BadInput) as refused:
        refuse_too_many(Need(1000, "half", 2), 3)
    assert refused.value.message == (
        "4 seats, one of them yours, need 4 × 1000 = 4000 MiB of memory for half,"
        " and 3000 MiB are free"
    )
    assert refused.value.hint == "--seats 2"


@pytest.mark.parametrize("mib", [999, 1999])
def test_where_not_even_one_fits_beside_the_trainers(
    mib: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, mib)
    with pytest.raises(BadInput) as refused:
        refuse_too_many(Need(1000, "half", 2), 1)
    assert refused.value.hint.startswith("a machine with more memory")


def test_a_seat_takes_what_its_nodes_may(tmp_path: Path) -> None:
    plan = load_plan(paths.root() / "labs" / "lean.yml")
    assert plan.switch is None
    assert seat_mib(plan) == ONCE + sum(node.memory + EACH for node in plan.nodes)


@pytest.mark.parametrize("course", courses(), ids=lambda course: course.name)
def test_a_course_needs_what_its_largest_exercise_does(course: Course) -> None:
    needed = capacity.need(course)
    plans = {one.name: load_plan(one.lab_file) for one in course.exercises}
    assert needed.mib == max(map(seat_mib, plans.values())) == seat_mib(plans[needed.exercise])


def test_a_course_that_seats_would_see_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    (course, *_) = courses()
    seating.refuse_shown(course)
    # As if it lay below /usr: this folder is where the programs are.
    monkeypatch.setattr(seating, "SHOWN", (str(course.folder.parent),))
    seating.refuse_shown(course)  # Underlay itself is covered
    monkeypatch.setattr(paths, "root", lambda: Path("/nonexistent"))
    with pytest.raises(BadInput, match="lies where seats see"):
        seating.refuse_shown(course)
