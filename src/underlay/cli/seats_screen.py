"""All seats of a workshop on one screen: 20 lines, which 80 columns are enough for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from rich.table import Table
from rich.text import Text

from underlay.workshop.seat import TRAINER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.workshop.standing import Standing

Sign = Literal["ok", "bad", "away", ""]
HEADS = ("seat", "exercise", "stage", "last check", "min", "hints", "done")
STYLES: dict[Sign, str] = {"ok": "green", "bad": "bold red", "away": "dim", "": ""}
# Columns of the exercise's title and of the last check, beyond which they are cut.
TITLE, CHECK = 26, 20
HOUR, MINUTE = 3600, 60
NARROW = 80


def cells(one: Standing, now: float) -> tuple[str, ...]:
    """Return what stands in the line of a seat."""
    name = f"{one.number:02d}" + ("*" if one.number == TRAINER else "")
    done = f"{one.grade.own}+{one.grade.skipped}" if one.grade.skipped else f"{one.grade.own}"
    done += f"/{len(one.grade.stages)}"
    here = one.stage
    if here is None:
        return name, "not begun", "", "booting" if not one.whole else "", "", "", done
    stage = f"{here.number + 1}/{one.stages}"
    hints = f"{here.hints}/{here.of_hints}"
    return name, one.title, stage, last_check(one, now), f"{here.minutes:.0f}", hints, done


def last_check(one: Standing, now: float) -> str:
    """Return in a few words what a seat's last check came to, and how long ago that was."""
    if not one.whole:
        return "booting"
    check = one.stage.last_check if one.stage else None
    if one.stage and one.stage.how == "skipped":
        return "skipped"
    if check is None:
        return "none yet"
    ago = _ago(now - check.time)
    if check.result == "done":
        return f"● done, {ago}"
    if check.result == "failed":
        return f"! failed, {ago}"
    for number, word in (
        (len(check.noticed), "noticed"),
        (check.red, "red"),
        (len(check.broken), "not kept"),
        (check.unplanned, "unplanned"),
        (check.unsure, "unsure"),
    ):
        if number:
            return f"✗ {number} {word}, {ago}"
    return f"✗ open, {ago}"


def sign(one: Standing) -> Sign:
    """Return how a seat's line is to look: what the last check came to, or that nothing is done."""
    check = one.stage.last_check if one.stage else None
    if one.stage is None or not one.whole:
        return "away"
    if check is None or one.stage.how == "skipped":
        return ""
    return "ok" if check.result == "done" else "bad"


def screen(
    title: str,
    standings: Sequence[Standing],
    now: float,
    *,
    live: bool = False,
    wrong: Sequence[str] = (),
) -> Table:
    """Return the table of all seats; ``live`` says that it is drawn again and again.

    Above it stands what is ``wrong`` with the workshop.
    """
    table = Table(
        box=None, pad_edge=False, padding=(0, 1, 0, 0), title_justify="left", title_style="bold"
    )
    table.title = Text("".join(f"{sentence}\n" for sentence in wrong), style="red")
    table.title.append(
        f"{title} · {sum_of(standings)}" + (" · Ctrl-C ends" if live else ""), "bold"
    )
    for head in HEADS:
        widest = {"exercise": TITLE, "last check": CHECK}.get(head)
        right = "right" if head in ("min", "hints", "done") else "left"
        table.add_column(
            head,
            max_width=widest,
            no_wrap=True,
            overflow="ellipsis",
            justify=right,  # type: ignore[arg-type]
        )
    for one in standings:
        shown = [Text(text) for text in cells(one, now)]
        shown[3].stylize(STYLES[sign(one)])
        table.add_row(*shown, style="dim" if sign(one) == "away" else "")
    return table


def sum_of(standings: Sequence[Standing]) -> str:
    """Return how far all learners are together, in a line."""
    learners = [one for one in standings if one.number != TRAINER]
    seats = "1 seat" if len(learners) == 1 else f"{len(learners)} seats"
    done = sum(one.grade.own for one in learners)
    skipped = sum(one.grade.skipped for one in learners)
    of = sum(len(one.grade.stages) for one in learners)
    return f"{seats} and your own, {done} of {of} stages done, {skipped} skipped"


def _ago(seconds: float) -> str:
    if seconds < MINUTE:
        return "now"
    if seconds < HOUR:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds / HOUR:.0f} h"
