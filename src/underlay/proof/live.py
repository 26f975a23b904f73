"""A network of machines that exist, proven as far as the rights go that one has there."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from underlay.errors import BadInput, count, listed
from underlay.expect import Prediction, machines
from underlay.expect.expectation import existing, warm
from underlay.faults import Scene
from underlay.observe.live import RATE, read_machines
from underlay.observe.live_probe import evidence_of, probe_machines
from underlay.observe.pinned import PATH
from underlay.proof.explain import explain
from underlay.proof.explanation import NOTHING
from underlay.proof.lab import Proof
from underlay.verdict import judge, with_intent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from underlay.cluster.inventory import Machine
    from underlay.cluster.machines import Ways
    from underlay.plan import Plan
    from underlay.verdict import Verdict

PROVIDER = "hosts"


def of_plan(plan: Plan, found: Sequence[Machine]) -> list[Machine]:
    """Return those machines of an inventory that are hosts of ``plan``, which its names say.

    The others are none of this lab's, and nobody connects to them. Raises BadInput where none is.
    """
    names = machines(plan)
    own = [machine for machine in found if machine.name in names]
    if not own:
        raise BadInput(
            f"the inventory names none of the hosts of {plan.lab}, which are {listed(names)}",
            hint=f"it names {listed(machine.name for machine in found)}; the names have to be the"
            " same in both",
        )
    return own


@dataclass(frozen=True)
class How:
    """How a network in use is measured: its ``rate``, in packets a second from each machine.

    With ``probe`` it is by the pinned program at ``path``, or where that is empty by one that
    travels along, and else as any user. With ``flush``
    neighbour tables are emptied, which the probe alone can. ``strict`` is as in ``prove``.
    """

    rate: float = RATE
    probe: bool = False
    flush: bool = False
    path: str = PATH
    strict: bool = False


def prove_machines(
    plan: Plan,
    ways: Ways,
    tell: Callable[[str], None],
    how: How,
    *,
    file: str = "",
    measured: Callable[[Verdict], None] | None = None,
) -> Proof:
    """Predict all cells of ``plan``, and measure and explain those that ``how`` allows.

    ``measured`` is handed the verdict before causes are looked for. Nothing is raised for a
    machine that isn't reached: it costs its own cells.
    """
    prediction = Prediction(plan)
    began = time.monotonic()
    expectations = existing(prediction.cells)
    predicted = time.monotonic()
    doing = "probing" if how.probe else "reading"
    tell(f"{doing} {count(len(ways.machines), 'machine')} of {plan.lab}")
    evidence = None
    if how.probe:
        observation, live = probe_machines(
            plan,
            ways,
            expectations=expectations,
            rate=how.rate,
            flush=how.flush,
            path=how.path,
        )
    else:
        found = read_machines(plan, ways, expectations=expectations, rate=how.rate)
        observation, live, evidence = found.observation, found.live, found.evidence
    timings = {
        "predict": round(predicted - began, 3),
        "measure": round(time.monotonic() - predicted, 3),
    }
    judged_by = expectations if live.flushed else warm(expectations)
    verdict = judge(plan.lab, PROVIDER, judged_by, observation, timings)
    verdict = replace(with_intent(verdict, plan), strict=how.strict, live=live)
    if measured is not None:
        measured(verdict)
    if not verdict.summary.differs:
        return Proof(verdict, NOTHING)
    tell(f"looking into the machines of {plan.lab}")
    evidence = evidence or evidence_of(plan, ways, how.path)
    # What couldn't be measured needs no other cause, and speaks against none. No verb changes
    # machines that exist, so cures name no lab.
    cells = (cell for cell in verdict.cells if cell.measured)
    unknown = frozenset(
        (cell.source, cell.destination, str(cell.protocol), int(cell.family))
        for cell in verdict.cells
        if not cell.measured
    )
    explanation = explain(Scene(prediction), cells, evidence, unknown)
    return Proof(verdict, replace(explanation, lab="", file=file))
