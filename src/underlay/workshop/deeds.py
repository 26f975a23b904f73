"""What is done to a seat's lab: by its course, as a step, or as a learner would, as a deed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.cluster.access import run_in
from underlay.cluster.process import tail
from underlay.errors import Infrastructure
from underlay.faults import running_fault
from underlay.faults.choosing import choose_place
from underlay.faults.record import inject, mend

if TYPE_CHECKING:
    from collections.abc import Iterable
    from subprocess import CompletedProcess

    from underlay.cluster.state.lab import LabState
    from underlay.faults.scene import Scene
    from underlay.workshop.course import Deed, Step

DEADLINE = 60.0
SHOWN = 5


def take_steps(state: LabState, scene: Scene, steps: Iterable[Step]) -> None:
    """Do ``steps`` to the running lab of ``state``, whose plan is that of ``scene``.

    Raises BadInput for a fault that doesn't fit, Infrastructure where a step fails.
    """
    for step in steps:
        if step.fault:
            fault = running_fault(step.fault)
            inject(state, scene, fault, choose_place(scene, fault, step.node, step.container))
        elif step.mend:
            mend(state)
        else:
            carry_out(state, step.on or "", step.run or "")


def do(state: LabState, deeds: Iterable[Deed]) -> None:
    """Do ``deeds``; raise Infrastructure where one fails."""
    for deed in deeds:
        carry_out(state, deed.on, deed.run)


def attempt(state: LabState, deeds: Iterable[Deed]) -> None:
    """Do ``deeds`` as far as they can be done: who tries something wrong may see it fail."""
    for deed in deeds:
        done(state, deed.on, deed.run)


def carry_out(state: LabState, target: str, script: str) -> str:
    """Run ``script`` by sh in ``target`` and return what it prints.

    Raises Infrastructure, with what it says, where it exits with another code than 0.
    """
    ended = done(state, target, script)
    if ended.returncode:
        raise Infrastructure(
            f"a step of the exercise failed on {target} with exit code {ended.returncode}",
            detail=tail(f"{script.strip()}\n{ended.stderr.strip()}", SHOWN),
            hint="underlay workshop prove COURSE EXERCISE  shows whether it does so on a fresh lab",
        )
    return ended.stdout


def done(state: LabState, target: str, script: str) -> CompletedProcess[str]:
    """Run ``script`` by sh in ``target`` and return how it ended."""
    return run_in(state, target, ["sh", "-euc", script], deadline=DEADLINE)
