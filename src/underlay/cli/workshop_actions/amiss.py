"""What is amiss with a workshop as a whole, and by which command that ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.cli.console import err

if TYPE_CHECKING:
    from underlay.workshop.record import Workshop

NOBODY = "nobody can come in: the ssh server doesn't run"


def amiss(workshop: Workshop) -> list[str]:
    """Return a sentence for each thing that is amiss with ``workshop``."""
    from underlay.workshop import room, sign_in

    name = workshop.name
    if unfinished := room.unfinished(workshop):
        if room.at_work(name):
            return [unfinished]
        again = f"underlay workshop up {_called(workshop)} --seats {workshop.seats}"
        return [f"{unfinished}; `{again}` ends it, and begins anew"]
    if sign_in.find(workshop.folder) is None:
        return [f"{NOBODY}; `underlay workshop seats {name}` starts it again"]
    return []


def _called(workshop: Workshop) -> str:
    """Return by which word its course is found again."""
    from underlay.workshop.reading import shipped

    folder = workshop.course_folder
    return folder.name if folder.parent == shipped().resolve() else str(folder)


def say_amiss(workshop: Workshop) -> None:
    """Print the same on stderr, whatever has stdout."""
    for sentence in amiss(workshop):
        err.print(sentence, style="red")
