"""``workshop list``: the courses that are here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.cli.console import out, print_document
from underlay.cli.workshop_actions.asked import Asked

if TYPE_CHECKING:
    from underlay.workshop.course import Course


def run(asked: Asked) -> None:
    """Print the shipped courses with their exercises; raise CourseError for one that is wrong."""
    from underlay.workshop.reading import courses

    found = courses()
    if asked.as_json:
        print_document("workshop", {"courses": [_document(course) for course in found]})
        return
    for number, course in enumerate(found):
        if number:
            out.print()
        out.print(course.name, style="bold", end="")
        out.print(f"  {course.title}, {course.minutes} minutes")
        out.print(f"  {course.description}")
        width = max(len(one.name) for one in course.exercises)
        for one in course.exercises:
            stages = f", {len(one.stages)} stages" if len(one.stages) > 1 else ""
            out.print(f"    {one.name:{width}}  {one.minutes:3} min  {one.title}{stages}")
    out.print("\nnext: underlay workshop try COURSE", style="dim")


def _document(course: Course) -> dict[str, object]:
    return {
        "course": course.name,
        "folder": str(course.folder),
        "title": course.title,
        "description": course.description,
        "minutes": course.minutes,
        "exercises": [
            {
                "exercise": one.name,
                "title": one.title,
                "minutes": one.minutes,
                "stages": len(one.stages),
            }
            for one in course.exercises
        ],
    }
