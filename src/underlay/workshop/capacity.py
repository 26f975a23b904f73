"""How many seats fit on a machine: what one takes at most, and what is free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from underlay.cluster.providers.uml.sandbox import available_kib
from underlay.errors import BadInput
from underlay.lint import load

if TYPE_CHECKING:
    from underlay.plan import Plan
    from underlay.workshop.course import Course

# MiB that a seat takes beside its nodes' memory: for its first processes, and for each node its
# kernel's own and what it writes to its disk. See docs/workshop-seats.md.
ONCE, EACH = 32, 96


@dataclass(frozen=True)
class Need:
    """MiB that a seat needs at most, and the exercise whose lab is the one that does."""

    mib: int
    exercise: str
    nodes: int


def need(course: Course) -> Need:
    """Return what a seat of ``course`` needs when it is in the largest of its exercises."""
    found = []
    for exercise in course.exercises:
        plan = load(exercise.lab_file).plan
        found.append(Need(seat_mib(plan), exercise.name, len(plan.machines)))
    return max(found, key=lambda each: each.mib)


def seat_mib(plan: Plan) -> int:
    """Return the MiB that a seat takes at most while its lab is the one of ``plan``.

    A node's memory is fixed when it boots. It takes what it has touched, and gives nothing back.
    """
    return ONCE + sum(node.memory + EACH for node in plan.machines)


def refuse_too_many(needed: Need, seats: int) -> None:
    """Raise BadInput, with the sum, where the trainer's seat and ``seats`` more don't fit."""
    free = available_kib() >> 10
    count = seats + 1
    if count * needed.mib <= free:
        return
    fit = free // needed.mib - 1
    raise BadInput(
        f"{count} seats, one of them yours, need {count} × {needed.mib} = {count * needed.mib} MiB"
        f" of memory for {needed.exercise}, and {free} MiB are free",
        hint=f"--seats {fit}" if fit > 0 else "a machine with more memory, or --inventory",
    )
