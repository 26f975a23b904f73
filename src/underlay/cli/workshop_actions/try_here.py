"""``workshop try``: one seat in this terminal, for somebody alone."""

from __future__ import annotations

import typer

from underlay.cli.console import out, progress
from underlay.cli.workshop_actions.asked import Asked


def run(asked: Asked) -> None:
    """Have a seat's words in this terminal; its lab ends with them.

    The exit code is that of the last word. Raises CourseError where the course can't be used.
    """
    from underlay.cli.seat_shell import play
    from underlay.cluster.state.separate import separate_state
    from underlay.storage import paths
    from underlay.workshop.reading import find_course, load_course
    from underlay.workshop.seat import TRAINER, Seat
    from underlay.workshop.stage import begin

    course = load_course(find_course(asked.needed_course("try")))
    exercise = course.exercise(asked.exercise) if asked.exercise else course.exercises[0]
    with separate_state():
        here = paths.home()
        # A command that is killed takes its lab along, and the next one removes its folder.
        seat = Seat(course, TRAINER, here / "seat", stays=False, elsewhere=here).make()
        with progress(f"booting {exercise.name}") as running:
            begin(seat, exercise, running.step)
        out.print("`help` shows the words, `exit` leaves, and the lab ends then\n", style="dim")
        code = play(seat)
    if code:
        raise typer.Exit(code)
