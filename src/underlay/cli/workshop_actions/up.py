"""``workshop up``: the seats, booted, each in a sandbox of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from underlay.cli.console import err, out, print_document, progress
from underlay.cli.workshop_actions.asked import Asked
from underlay.errors import EXIT_INFRASTRUCTURE, BadInput
from underlay.workshop.seat import TRAINER

if TYPE_CHECKING:
    from underlay.workshop.record import Workshop
    from underlay.workshop.seating import Seated


def run(asked: Asked) -> None:
    """Bring a workshop up, and say what became of each seat.

    Exits with 3 where a seat could not be booted; the others are up.
    """
    from underlay.workshop import sign_in
    from underlay.workshop.reading import find_course, load_course
    from underlay.workshop.seating import up

    name = asked.needed_course("up")
    found = find_course(name)
    if asked.seats is None:
        hint = f"underlay workshop up {name} --seats 8"
        raise BadInput("`underlay workshop up` needs --seats N, beside your own", hint=hint)
    if asked.inventory is not None:
        from underlay.cli.workshop_actions.on_servers import run_up

        run_up(asked, name, asked.seats)
        return
    course = load_course(found)
    began = time.monotonic()
    many = counted(asked.seats, asked.seats)
    with progress(f"bringing {many} of {course.name} up") as running:
        listen, port = asked.listen or "", sign_in.PORT if asked.port is None else asked.port
        room, seated = up(course, asked.seats, running.step, listen=listen, port=port)
    seconds = time.monotonic() - began
    failed = [each for each in seated if each.error]
    if asked.as_json:
        print_document("workshop", document(room, seated, seconds))
    else:
        show(room, seated, seconds)
    if failed:
        raise typer.Exit(EXIT_INFRASTRUCTURE)


def counted(good: int, of: int, *, own: bool = True) -> str:
    """Return in words how many seats are up, and whether the trainer's is."""
    many = f"{good} seat{'' if of == 1 else 's'}" if good == of else f"{good} of {of} seats"
    return f"{many} and your own" if own else f"{many}, but not your own"


def document(room: Workshop, seated: list[Seated], seconds: float) -> dict[str, object]:
    """Return what `up` prints as JSON."""
    return {
        "course": room.name,
        "folder": str(room.folder),
        "unlimited": list(room.unlimited),
        "seats": [
            {
                "seat": each.seat.name,
                "up": each.error is None,
                "seconds": each.seconds,
                "error": each.error.message if each.error else "",
            }
            for each in seated
        ],
        "seconds": round(seconds, 3),
    }


def show(room: Workshop, seated: list[Seated], seconds: float) -> None:
    """Print the same for people."""
    good = {each.seat.number for each in seated if each.error is None}
    many = counted(len(good - {TRAINER}), room.seats, own=TRAINER in good)
    out.print(f"{room.name} is up: {many}, {seconds:.1f} s")
    for each in seated:
        if each.error:
            err.print(f"  {each.error.message}", style="red", markup=False)
    for words in room.unlimited:
        err.print(f"not limited for a seat: {words}", style="dim", markup=False)
    out.print("next: underlay workshop seats · watch · grade · down", style="dim")
