"""All seats of a workshop on one screen: 20 lines, which 80 columns are enough for."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from rich.console import Group
from rich.table import Table
from rich.text import Text

from underlay.workshop.seat import TRAINER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.report.documents.workshop import WatchedSeat

Sign = Literal["ok", "bad", "away", ""]
HEADS = ("seat", "exercise", "stage", "last check", "min", "hints", "done")
STYLES: dict[Sign, str] = {"ok": "green", "bad": "bold red", "away": "dim", "": ""}
# Columns of the exercise's title and of the last check, beyond which they are cut.
TITLE, CHECK = 26, 20
HOUR, MINUTE = 3600, 60
NARROW = 80


def cells(one: WatchedSeat, now: float) -> tuple[str, ...]:
    """Return what stands in the line of a seat."""
    name = one["seat"].replace("seat-", "") + ("*" if is_trainers(one) else "")
    done = f"{one['done']}+{one['skipped']}" if one["skipped"] else f"{one['done']}"
    done += f"/{one['of']}"
    if not one["stage"]:
        return name, "not begun", "", "booting" if not one["whole"] else "", "", "", done
    stage = f"{one['stage']}/{one['stages']}"
    hints, minutes = f"{one['hints']}/{one['of_hints']}", f"{one['minutes']:.0f}"
    return name, one["title"], stage, last_check(one, now), minutes, hints, done


def is_trainers(one: WatchedSeat) -> bool:
    """Whether a seat is the trainer's own, on whatever server."""
    return one["seat"].endswith(f"seat-{TRAINER:02d}")


def last_check(one: WatchedSeat, now: float) -> str:
    """Return in a few words what a seat's last check came to, and how long ago that was."""
    if not one["whole"]:
        return "booting"
    check = one["last_check"]
    if one["how"] == "skipped":
        return "skipped"
    if check is None:
        return "none yet"
    ago = _ago(now - datetime.fromisoformat(check["at"]).timestamp())
    if check["result"] == "done":
        return f"● done, {ago}"
    if check["result"] == "failed":
        return f"! failed, {ago}"
    for number, word in (
        (len(check["noticed"]), "noticed"),
        (check["red"], "red"),
        (len(check["broken"]), "not kept"),
        (check["unplanned"], "unplanned"),
        (check["unsure"], "unsure"),
    ):
        if number:
            return f"✗ {number} {word}, {ago}"
    return f"✗ open, {ago}"


def sign(one: WatchedSeat) -> Sign:
    """Return how a seat's line is to look: what the last check came to, or that nothing is done."""
    check = one["last_check"]
    if not one["stage"] or not one["whole"]:
        return "away"
    if check is None or one["how"] == "skipped":
        return ""
    return "ok" if check["result"] == "done" else "bad"


def screen(
    title: str,
    seats: Sequence[WatchedSeat],
    now: float,
    *,
    live: bool = False,
    wrong: Sequence[str] = (),
) -> Group:
    """Return the table of all seats; ``live`` says that it is drawn again and again.

    Above it stands what is ``wrong`` with the workshop, and one line about all of it: where that is
    too long for the screen, the course's title is cut.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    about = f"{sum_of(seats)} · {title}" + (" · Ctrl-C ends" if live else "")
    above = [Text(sentence, style="red") for sentence in wrong]
    above.append(Text(about, style="bold", no_wrap=True, overflow="ellipsis"))
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
    for one in seats:
        shown = [Text(text) for text in cells(one, now)]
        shown[3].stylize(STYLES[sign(one)])
        table.add_row(*shown, style="dim" if sign(one) == "away" else "")
    return Group(*above, table)


def sum_of(seats: Sequence[WatchedSeat]) -> str:
    """Return how far all learners are together, in a line."""
    learners = [one for one in seats if not is_trainers(one)]
    many = "1 seat" if len(learners) == 1 else f"{len(learners)} seats"
    done = sum(one["done"] for one in learners)
    skipped = sum(one["skipped"] for one in learners)
    of = sum(one["of"] for one in learners)
    return f"{many} and your own, {done} of {of} stages done, {skipped} skipped"


def _ago(seconds: float) -> str:
    if seconds < MINUTE:
        return "now"
    if seconds < HOUR:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds / HOUR:.0f} h"
