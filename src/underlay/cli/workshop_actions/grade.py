"""``workshop grade``: what each seat has done, and why it counts as that."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING

from rich.text import Text

from underlay.cli.console import out, print_document
from underlay.cli.workshop_actions.amiss import say_amiss
from underlay.cli.workshop_actions.asked import Asked
from underlay.errors import BadInput, count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.report.documents.workshop import GradedSeat, GradedStage

COLUMNS = (
    "seat", "exercise", "stage", "title", "how", "hints", "of_hints", "checks", "resets",
    "wrong_answers", "minutes", "noticed", "reasons",
)  # fmt: skip
# Characters that a spreadsheet takes for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def run(asked: Asked) -> None:
    """Print the grades of all learners' seats; raise BadInput where no such workshop is up."""
    from underlay.cli.workshop_actions.told import grade_document
    from underlay.workshop.grading import grade
    from underlay.workshop.record import running_workshop
    from underlay.workshop.seat import TRAINER

    refuse(asked)
    workshop = running_workshop(asked.course)
    say_amiss(workshop)
    seats = workshop.all_seats()
    grades = [grade_document(grade(seat)) for seat in seats if seat.number != TRAINER]
    if asked.as_json:
        title = seats[0].course.title
        print_document("workshop", {"workshop": workshop.name, "title": title, "grades": grades})
    else:
        show(asked, grades)


def refuse(asked: Asked) -> None:
    """Raise BadInput where two things are asked for at once."""
    if asked.as_json and asked.as_csv:
        raise BadInput("stdout takes either the document or the table", hint="--json or --csv")


def show(asked: Asked, grades: Iterable[GradedSeat]) -> None:
    """Print ``grades`` for people, or as the table that was ``asked`` for."""
    if asked.as_csv:
        _table(grades)
        return
    for one in grades:
        _show(one)


def _table(grades: Iterable[GradedSeat]) -> None:
    written = csv.writer(sys.stdout, lineterminator="\n")
    written.writerow(COLUMNS)
    for grade in grades:
        for stage in grade["stages"]:
            texts = {"noticed": "; ".join(stage["noticed"]), "reasons": "; ".join(stage["reasons"])}
            row = {**stage, **texts, "seat": grade["seat"]}
            written.writerow([_plain(row[column]) for column in COLUMNS])
    sys.stdout.flush()


def _plain(value: object) -> object:
    """Return a value of a table so that no spreadsheet takes a text for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _show(grade: GradedSeat) -> None:
    skipped = f", {grade['skipped']} skipped" if grade["skipped"] else ""
    stages, hints = count(len(grade["stages"]), "stage"), count(grade["hints"], "hint")
    head = f"{grade['done']} of {stages}{skipped}, {hints}, {grade['minutes']:.0f} min"
    out.print(Text.assemble((grade["seat"], "bold"), f"  {head}"))
    for stage in grade["stages"]:
        if stage["how"] != "not begun":
            _show_stage(stage)


def _show_stage(stage: GradedStage) -> None:
    of = [f"{stage['minutes']:.0f} min", f"{stage['hints']} of {count(stage['of_hints'], 'hint')}"]
    of += [count(stage["checks"], "check")]
    of += [count(stage["resets"], "reset")] if stage["resets"] else []
    wrong = stage["wrong_answers"]
    of += [count(wrong, "wrong answer")] if wrong else []
    place = f"{stage['exercise']} {stage['stage']}"
    out.print(f"  {stage['how']:<8} {place}: {stage['title']} ({', '.join(of)})")
    for reason in stage["reasons"] if stage["how"] in ("open", "skipped") else ():
        # That it was skipped stands in front.
        if reason != stage["how"]:
            out.print(f"           {reason}")
    for sentence in stage["noticed"]:
        out.print(f"           a guard noticed: {sentence}")
