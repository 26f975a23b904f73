"""A running lab proven: predicted, measured, judged, and what differs explained.

This page is the project in one sentence. ``prove`` reads as its table of contents: what
should happen is predicted from the plan, packets say what does, each cell is judged, and
where any isn't as expected the lab is looked into for causes.
"""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.access import spawn_as_root, start_at_switch
from underlay.cluster.beyond import has_own, look
from underlay.cluster.providers import provider
from underlay.cluster.spans import span
from underlay.cluster.state.lab import unfinished
from underlay.cluster.state.lock import turn
from underlay.errors import Infrastructure, UnderlayError, count
from underlay.expect import Prediction
from underlay.expect.unplanned import planned
from underlay.observe import measure
from underlay.observe.commands import gather_command
from underlay.observe.evidence import gather
from underlay.plan import SWITCH
from underlay.proof.explanation import NOTHING
from underlay.verdict import judge, with_intent

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from underlay.cluster.state.lab import LabState
    from underlay.observe import Probes
    from underlay.observe.evidence import Evidence
    from underlay.plan import Plan
    from underlay.proof.explanation import Explanation
    from underlay.verdict import Verdict


@dataclass(frozen=True)
class RunningLab:
    """A running lab and what should happen in it: predicted once, when that is first asked for."""

    state: LabState

    @cached_property
    def prediction(self) -> Prediction:
        """The prediction of the lab's plan."""
        return Prediction(self.state.plan())


@dataclass(frozen=True)
class Proof:
    """A lab's verdict, and why cells of it aren't as expected; no causes where all are."""

    verdict: Verdict
    explanation: Explanation


def prove(
    state: LabState,
    tell: Callable[[str], None],
    *,
    strict: bool = False,
    measured: Callable[[Verdict], None] | None = None,
) -> Proof:
    """Prove the running lab of ``state``; ``tell`` is handed a line about each step.

    With ``strict`` what isn't planned counts as a difference; only cells are explained.
    ``measured`` is handed the verdict before causes are looked for, which takes its time. Raises
    what ``measure_and_judge`` and ``explain_running`` raise.
    """
    lab = RunningLab(state)
    verdict = replace(measure_and_judge(lab, tell), strict=strict)
    if measured is not None:
        measured(verdict)
    return Proof(verdict, explain_running(lab, verdict, tell))


def measure_and_judge(
    lab: RunningLab, tell: Callable[[str], None], probes: Probes | None = None
) -> Verdict:
    """Predict every cell of a running lab, measure it and judge the difference.

    ``probes`` are those of its machines where they were started before. Raises Infrastructure where
    the lab's nodes are on the way to another lab.
    """
    state = lab.state
    if unfinished(state.folder).exists():
        raise Infrastructure(
            f"the switch to {state.lab} was cut short",
            hint=f"underlay switch {shlex.quote(state.file)} --lab {state.lab}",
        )
    pace = provider(state.provider).pace(state.folder)
    plan = lab.prediction.plan
    began = time.monotonic()
    expectations = lab.prediction.cells
    asked_for = planned(lab.prediction)
    predicted = time.monotonic()
    what = f"measuring {count(len(expectations), 'cell')} of {state.lab}"
    # Two measurements at once would flush each other's neighbour tables.
    with turn(state.lab, tell), span(state.folder, "host", "measure"):
        tell(what)
        observation = measure(
            plan,
            spawn_as_root(state),
            expectations=expectations,
            planned=asked_for,
            pace=pace,
            probes=probes,
        )
        beyond = look(plan, state.folder, [n.name for n in plan.nodes]) if has_own(plan) else None
    timings = {
        "predict": round(predicted - began, 3),
        "measure": round(time.monotonic() - predicted, 3),
    }
    verdict = judge(state.lab, state.provider, expectations, observation, timings)
    if beyond is not None:
        verdict = replace(verdict, strangers=beyond.strangers)
    return with_intent(verdict, wanted_now(state, plan))


def wanted_now(state: LabState, plan: Plan) -> Plan:
    """Return ``plan``, that of the running lab of ``state``, with what its file expects by now.

    Statements make nothing on the nodes, so that a new one needs no other lab. Those that the lab
    was started with hold where the file is gone or wrong, or leads to another plan otherwise.
    """
    if state.text_is_noted():
        return plan
    from underlay.lint import load

    try:
        loaded = load(Path(state.file))
    except UnderlayError:
        return plan
    now = loaded.plan
    if now.without_intent != plan.without_intent:
        return plan
    # What files of hosts say is in none of the lab file's lines.
    if now == plan and not loaded.hosts:
        state.note_text(loaded.text.content)
    return replace(plan, intent=now.intent, labels=now.labels)


def explain_running(lab: RunningLab, verdict: Verdict, tell: Callable[[str], None]) -> Explanation:
    """Look into a running lab where cells of ``verdict`` aren't as predicted, and return why."""
    if verdict.as_predicted:
        return NOTHING
    tell(f"looking into {lab.state.lab}")
    return explained(lab, verdict, tell)[0]


def explained(
    lab: RunningLab, verdict: Verdict, tell: Callable[[str], None]
) -> tuple[Explanation, Evidence]:
    """Return why cells of ``verdict`` differ in a running lab, and what was gathered to tell.

    Where something counts packets that isn't understood, all cells are asked again between two
    looks: only what rises with them has anything to do with them.
    """
    # The catalogue of faults is a third of what there is to import, and most labs are as predicted.
    from underlay.faults import Scene
    from underlay.proof.explain import explain

    scene, evidence = Scene(lab.prediction), gather_evidence(lab)
    found = explain(scene, verdict.cells, evidence)
    if found.counts:
        measure_and_judge(lab, tell)
        evidence = replace(gather_evidence(lab), earlier=evidence)
        found = explain(scene, verdict.cells, evidence)
    return replace(found, file=lab.state.file), evidence


def gather_evidence(lab: RunningLab) -> Evidence:
    """Return what nodes, containers, external hosts and the switch of a running lab show."""
    return look_into(lab.state, lab.prediction.plan)


def look_into(state: LabState, plan: Plan, *, brief: bool = False) -> Evidence:
    """Return what is seen of the running lab of ``state``; ``brief`` is interfaces alone."""
    spawn = spawn_as_root(state)

    def start(name: str) -> subprocess.Popen[bytes]:
        arguments = gather_command(plan, name, brief=brief)
        return start_at_switch(state, arguments) if name == SWITCH else spawn(name, arguments)

    return gather(plan, start, pace=provider(state.provider).pace(state.folder), brief=brief)
