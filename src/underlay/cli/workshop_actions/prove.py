"""``workshop prove``: whether a course's exercises are as they say, with packets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from underlay.cli.console import err, out, progress
from underlay.cli.workshop_actions.asked import Asked
from underlay.report.page import count

if TYPE_CHECKING:
    from underlay.workshop.course import Course
    from underlay.workshop.proving import Proven


def run(asked: Asked) -> None:
    """Judge the course's files and then prove its exercises; exit with 1 where one isn't so.

    Raises CourseError where the files can't be used.
    """
    from underlay.workshop.before_boot import course_problems
    from underlay.workshop.proving import prove
    from underlay.workshop.reading import CourseError, find_course, load_course

    course = load_course(find_course(asked.needed_course("prove")))
    chosen = [course.exercise(asked.exercise)] if asked.exercise else list(course.exercises)
    if problems := course_problems(course):
        raise CourseError(problems, course.folder)
    if asked.no_nodes:
        _say_read(course)
        return
    with progress(f"proving {course.name}") as running:
        proofs = prove(chosen, running.step, _show)
    right = sum(not one.problems for one in proofs.proven)
    of = count(len(proofs.proven), "exercise")
    so = "is as it says" if len(proofs.proven) == 1 else "are as they say"
    out.print(f"{right} of {of} {so}, on {count(proofs.boots, 'boot')}")
    if proofs.exit_code:
        raise typer.Exit(proofs.exit_code)


def _say_read(course: Course) -> None:
    stages = sum(len(one.stages) for one in course.exercises)
    hints = sum(len(stage.hints) for one in course.exercises for stage in one.stages)
    minutes = sum(one.minutes for one in course.exercises)
    out.print(
        f"{course.name}: {count(len(course.exercises), 'exercise')}, {count(stages, 'stage')}, "
        f"{count(hints, 'hint')}, "
        f"{minutes} of {course.minutes} minutes; nothing is wrong with the files"
    )


def _show(one: Proven) -> None:
    """Say how one exercise went, while the others are still waited for."""
    stages = count(one.stages, "stage")
    if not one.problems:
        out.print(f"✓ {one.exercise}: {stages}, {one.cells} cells, {one.seconds:.0f} s")
        return
    out.print(f"✗ {one.exercise}: {stages}")
    for problem in one.problems:
        out.print(f"    {problem}")
    err.print("")
