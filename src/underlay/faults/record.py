"""What ``break`` has done to a running lab, recorded before it is done, so that ``mend`` can.

The record holds the undoing commands themselves: it outlives a crash and a change of the code.
It says also whether the fault was brought about as a whole. Where `break` was cut short or
failed, that isn't known, and a step that takes back what was never done mustn't keep `mend`
from returning to green.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from underlay.cluster.access import run_in
from underlay.errors import EXIT_NOT_RUN, BadInput, Infrastructure
from underlay.faults import restore
from underlay.faults.fault import Fault, Place
from underlay.faults.step import Step
from underlay.observe.on_node.gather import documents
from underlay.plan import SWITCH
from underlay.storage.writing import write_whole

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from underlay.cluster.state.lab import LabState
    from underlay.faults.scene import Scene

STEP_DEADLINE = 60.0
# What a shell ends with where a program isn't there.
NOT_FOUND = 127


@dataclass(frozen=True)
class Broken:
    """One fault that was put in: its id, where, and the steps that take it out.

    ``whole`` says that all steps that bring it about have succeeded. Without, some may have.
    """

    fault: str
    where: str
    undo: tuple[Step, ...]
    whole: bool = True


def recorded(state: LabState) -> list[Broken]:
    """Return what is broken in a lab on purpose, in the order in which it was."""
    try:
        rows = json.loads(_file(state).read_text())
    except FileNotFoundError:
        return []
    return [
        Broken(
            row["fault"],
            row["where"],
            tuple(Step(s["target"], s["script"], tuple(s["arguments"])) for s in row["undo"]),
            row.get("whole", True),
        )
        for row in rows
    ]


def inject(state: LabState, scene: Scene, fault: Fault, place: Place) -> Broken:
    """Record how to undo ``fault`` at ``place``, then bring it about.

    Raises BadInput where it is there already: what would be saved then is what is broken. Raises
    Infrastructure where a step fails, after having undone what was done. Only where that fails,
    too, something stays recorded.
    """
    before = recorded(state)
    if any((one.fault, one.where) == (fault.id, str(place)) for one in before):
        raise BadInput(
            f"{fault.id} is at {place} already",
            hint=f"underlay mend --lab {state.lab}  undoes it",
        )
    saved = [_saved(state, target) for target in fault.keeps(scene, place) if target != SWITCH]
    steps = (*fault.undo(scene, place), *saved)
    begun = Broken(fault.id, str(place), steps, whole=False)
    _write(state, [*before, begun])
    try:
        for step in fault.inject(scene, place):
            _run(state, step)
    except Infrastructure as error:
        try:
            undo(state, begun)
        except Infrastructure:
            # Why it can't be undone is what `mend` says; here it matters why it can't be done.
            raise error from None
        _write(state, before)
        raise Infrastructure(
            f"{error.message}, so nothing was broken",
            detail=error.detail,
            hint=f"underlay check --lab {state.lab}",
        ) from error
    broken = replace(begun, whole=True)
    _write(state, [*before, broken])
    return broken


def mend(state: LabState) -> list[Broken]:
    """Undo all that is recorded, the last first; return what was.

    What can't be undone stays recorded and doesn't keep the rest from it. Raises
    Infrastructure, with the first reason, once everything else is undone.
    """
    left = recorded(state)
    mended: list[Broken] = []
    failed: list[Infrastructure] = []
    for broken in reversed(left):
        try:
            undo(state, broken)
        except Infrastructure as error:
            failed.append(error)
            continue
        mended.append(broken)
        _write(state, [one for one in left if not any(one is done for done in mended)])
    if failed:
        raise failed[0]
    return mended


def undo(state: LabState, broken: Broken) -> None:
    """Run the steps that take a fault out; raise Infrastructure where one fails.

    Of a fault that may not be there as a whole, a step is passed over whose program or container
    isn't there: what can't take it back can't have brought it about.
    """
    for step in broken.undo:
        done = _carried_out(state, step)
        if done.returncode in (EXIT_NOT_RUN, NOT_FOUND) and not broken.whole:
            continue
        _prove(state, step, done)


def _run(state: LabState, step: Step) -> str:
    done = _carried_out(state, step)
    _prove(state, step, done)
    return done.stdout


def _carried_out(state: LabState, step: Step) -> CompletedProcess[str]:
    arguments = ["sh", "-euc", step.script, "sh", *step.arguments]
    return run_in(state, step.target, arguments, deadline=STEP_DEADLINE)


def _prove(state: LabState, step: Step, done: CompletedProcess[str]) -> None:
    if done.returncode:
        raise Infrastructure(
            f"a step failed in {step.target} with exit code {done.returncode}",
            detail=f"{step.script.strip()}\n{done.stderr.strip()}",
            hint=f"underlay mend --lab {state.lab}; where that fails, underlay down and up",
        )


def _saved(state: LabState, target: str) -> Step:
    """Return the step that gives ``target`` the addresses and routes that it has now."""
    links, fours, sixes = documents(_run(state, Step(target, restore.SHOW)))
    # Both families call their default route so, and ip takes the word for IPv4's.
    sixes = [{**row, "dst": "::/0"} if row["dst"] == "default" else row for row in sixes]
    return restore.step(target, links, [*fours, *sixes])


def _write(state: LabState, broken: list[Broken]) -> None:
    file = _file(state)
    if not broken:
        file.unlink(missing_ok=True)
        return
    write_whole(file, json.dumps([asdict(entry) for entry in broken], indent=2) + "\n")


def _file(state: LabState) -> Path:
    return state.folder / "broken.json"
