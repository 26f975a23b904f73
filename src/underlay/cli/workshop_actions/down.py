"""``workshop down``: nothing of a workshop is left."""

from __future__ import annotations

import time

from underlay.cli.console import out, print_document, progress
from underlay.cli.workshop_actions.asked import Asked


def run(asked: Asked) -> None:
    """End a workshop with all of its seats, also one that a killed command has left half."""
    from underlay.workshop.record import named_workshop
    from underlay.workshop.room import down

    if asked.inventory is not None:
        from underlay.cli.workshop_actions.on_servers import run_down

        run_down(asked)
        return
    name = named_workshop(asked.course)
    began = time.monotonic()
    with progress(f"ending the workshop {name}") as running:
        down(name, running.step)
    seconds = round(time.monotonic() - began, 3)
    if asked.as_json:
        print_document("workshop", {"course": name, "seconds": seconds})
        return
    out.print(f"{name}: down, {seconds:.1f} s")
