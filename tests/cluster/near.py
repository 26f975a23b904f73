"""A lab measured and explained in this very process, for proofs of a hundred faults.

What the verbs do, without starting an interpreter for each: `exec`, `check` and `explain`.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.running import Lab
from underlay.cluster.access import run_in
from underlay.cluster.state.lab import LabState, read_state
from underlay.faults import RUNNING, Cell, Scene
from underlay.observe.evidence import Evidence
from underlay.proof.lab import RunningLab, explained, measure_and_judge
from underlay.verdict import SAYS_NOTHING
from underlay.verdict import Cell as Judged

STEP_DEADLINE = 60.0


@dataclass(frozen=True)
class Looked:
    """One look at a lab: cells that differ or weren't measured, and what explains them.

    ``found`` is every fault that the evidence shows and that would change a cell, with its place,
    whether a cell was wrong or not: in a lab that is green there are never causes to name.
    """

    judged: tuple[Judged, ...]
    evidence: Evidence
    causes: list[list[object]]
    differing: set[Cell]
    unmeasured: set[Cell]
    astray: set[Cell]
    unexplained: tuple[Cell, ...]
    found: list[tuple[str, str]]

    @property
    def wrong(self) -> set[tuple[str, str, str]]:
        """The cells that aren't as expected, by the names that a matrix has for them."""
        return {(s, d, f"{p}6" if family == 6 else p) for s, d, p, family in self.astray}


def state_of(lab: Lab) -> LabState:
    """Return the record of a lab that is up."""
    state = read_state(lab.name)
    assert state is not None, f"{lab.name} is not up"
    return state


def shell(lab: Lab, target: str, script: str) -> str:
    """Run a shell script as root in ``target``, as `exec` does; fail where it fails."""
    done = run_in(state_of(lab), target, ["sh", "-euc", script], deadline=STEP_DEADLINE)
    assert done.returncode == 0, f"{target}: {script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def look(lab: Lab) -> Looked:
    """Measure the lab, look into it whatever was measured, and explain."""
    state = state_of(lab)
    running = RunningLab(state)
    verdict = measure_and_judge(running, lambda _: None)
    found, evidence = explained(running, verdict, lambda _: None)
    scene = Scene(running.prediction)
    findings = [finding for fault in RUNNING for finding in fault.find(scene, evidence)]
    return Looked(
        judged=verdict.cells,
        evidence=evidence,
        causes=[[c.finding.fault.id, c.where, c.sureness, len(c.cells)] for c in found.causes],
        differing={name(cell) for cell in verdict.cells if cell.differs},
        unmeasured={name(cell) for cell in verdict.cells if not cell.measured},
        astray={name(cell) for cell in verdict.cells if is_astray(cell)},
        unexplained=found.unexplained,
        found=[(f.fault.id, str(f.place)) for f in findings if f.effect.every],
    )


def is_astray(cell: Judged) -> bool:
    """Whether something else came of a cell than expected, and not only of its source's others.

    It isn't where only the place of its silence is another, or where silence says nothing.
    """
    if not cell.measured:
        return cell.reason not in SAYS_NOTHING
    return cell.expected != cell.observed


def name(cell: Judged) -> Cell:
    """Return a judged cell's name."""
    return cell.source, cell.destination, str(cell.protocol), int(cell.family)
