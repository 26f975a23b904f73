"""``workshop prove``: whether a course's exercises are as they say, with packets."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from underlay.cli.console import err, out, people, print_document, progress
from underlay.cli.workshop_actions.asked import Asked
from underlay.errors import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from underlay.report.documents.workshop import ProvenCourse, ProvenExercise
    from underlay.workshop.course import Course, Exercise
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
        if asked.as_json:
            print_document("workshop", _read_document(course, chosen))
        else:
            _say_read(course)
        return
    told, began = people(asked.as_json), time.monotonic()
    with progress(f"proving {course.name}") as running:
        proofs = prove(chosen, running.step, lambda one: _show(one, told))
    if asked.as_json:
        document: ProvenCourse = {
            "course": course.name,
            "boots": proofs.boots,
            "seconds": round(time.monotonic() - began, 3),
            "exercises": [_document(one) for one in proofs.proven],
        }
        print_document("workshop", document)
    else:
        right = sum(not one.problems for one in proofs.proven)
        of = count(len(proofs.proven), "exercise")
        so = "is as it says" if len(proofs.proven) == 1 else "are as they say"
        out.print(f"{right} of {of} {so}, on {count(proofs.boots, 'boot')}")
    if proofs.exit_code:
        raise typer.Exit(proofs.exit_code)


def _document(one: Proven) -> ProvenExercise:
    return {
        "exercise": one.exercise,
        "result": "not known" if one.down else "not so" if one.problems else "proven",
        "problems": list(one.problems),
        "stages": one.stages,
        "cells": one.cells,
        "seconds": one.seconds,
        "fresh": one.fresh,
    }


def _read_document(course: Course, chosen: Sequence[Exercise]) -> ProvenCourse:
    return {
        "course": course.name,
        "boots": 0,
        "seconds": 0.0,
        "exercises": [
            {
                "exercise": one.name,
                "result": "read",
                "problems": [],
                "stages": len(one.stages),
                "cells": 0,
                "seconds": 0.0,
                "fresh": False,
            }
            for one in chosen
        ],
    }


def _say_read(course: Course) -> None:
    stages = sum(len(one.stages) for one in course.exercises)
    hints = sum(len(stage.hints) for one in course.exercises for stage in one.stages)
    minutes = sum(one.minutes for one in course.exercises)
    out.print(
        f"{course.name}: {count(len(course.exercises), 'exercise')}, {count(stages, 'stage')}, "
        f"{count(hints, 'hint')}, "
        f"{minutes} of {course.minutes} minutes; nothing is wrong with the files"
    )


def _show(one: Proven, told: Console) -> None:
    """Say how one exercise went, while the others are still waited for."""
    stages = count(one.stages, "stage")
    if not one.problems:
        told.print(f"✓ {one.exercise}: {stages}, {one.cells} cells, {one.seconds:.0f} s")
        return
    told.print(f"✗ {one.exercise}: {stages}")
    for problem in one.problems:
        told.print(f"    {problem}")
    err.print("")
