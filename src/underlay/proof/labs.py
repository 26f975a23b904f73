"""Many labs proven one after the other, on as few boots as their nodes allow.

What ``proof/lab.py`` does with one lab that is up, ``prove_labs`` does with each of many lab
files. One that doesn't come up, or can't be looked into, doesn't keep the others from being
proven: it counts as not measured.
"""

from __future__ import annotations

import shlex
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol

from underlay.cluster.state.separate import separate_state
from underlay.cluster.suite import Suite, hand_over
from underlay.errors import EXIT_DIFFERS, EXIT_INFRASTRUCTURE, EXIT_OK, BadInput, UnderlayError
from underlay.expect import predict
from underlay.observe.observation import Observation
from underlay.proof.captured import ask_again
from underlay.proof.explanation import NOTHING
from underlay.proof.lab import RunningLab, explain_running, measure_and_judge
from underlay.proof.result import LabResult
from underlay.verdict import judge, with_intent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from underlay.cluster.state.lab import LabState
    from underlay.cluster.suite import Brought
    from underlay.lint import Loaded
    from underlay.proof.captured import Captured
    from underlay.verdict import Verdict

    Then = Callable[[LabState, "LabResult"], tuple[LabState, "LabResult"]]


# What is done to a lab, or to all of them, one after the other.
Step = Literal["rendering", "bringing up", "measuring"]


class Steps(Protocol):
    """Who is told of the steps of a proof as they come; ``captures`` says whether any is kept."""

    captures: bool

    def reach(self, reached: Step) -> None:
        """Take note of what is done from now on."""

    def measured(self, verdict: Verdict) -> None:
        """Take note of a verdict, before causes are looked for."""


@dataclass
class LabResults:
    """What became of each lab, in the order in which they were proven, and on how many boots.

    ``timings`` are the seconds of all labs together, by phase.
    """

    by_lab: dict[str, LabResult] = field(default_factory=dict)
    boots: int = 0
    timings: dict[str, float] = field(default_factory=dict)

    def add(self, result: LabResult) -> None:
        """Take in what became of one more lab."""
        self.by_lab[result.verdict.lab] = result
        for phase, seconds in result.timings.items():
            self.timings[phase] = round(self.timings.get(phase, 0.0) + seconds, 3)

    @property
    def exit_codes(self) -> list[int]:
        """The exit code of each lab."""
        return [result.exit_code for result in self.by_lab.values()]

    @property
    def exit_code(self) -> int:
        """1 where any lab differs; else 3 where one wasn't measured whole, or there was none."""
        for code in (EXIT_DIFFERS, EXIT_INFRASTRUCTURE):
            if code in self.exit_codes:
                return code
        return EXIT_OK if self.by_lab else EXIT_INFRASTRUCTURE

    def coverage(self) -> dict[str, list[str]]:
        """Return the labs in which each rule of the prediction was measured."""
        labs_of: dict[str, set[str]] = {}
        for lab, result in self.by_lab.items():
            for cell in result.verdict.cells:
                if cell.measured and cell.rule:
                    labs_of.setdefault(cell.rule, set()).add(lab)
        return {rule: sorted(labs) for rule, labs in sorted(labs_of.items())}


def prove_labs(
    labs: Sequence[Loaded],
    provider_name: str,
    tell: Callable[[str], None],
    show: Callable[[LabResult], None],
    *,
    keep: bool = False,
    strict: bool = False,
    steps: Steps | None = None,
    then: Then | None = None,
    options: Sequence[str] = (),
) -> LabResults:
    """Bring up the ``labs`` in sandboxes of their own, prove each, and leave none of them up.

    ``tell`` is handed a line about each step, and ``show`` each result as soon as it is there.
    With ``keep`` the last lab stays up, where every verb finds it; BadInput is raised where a
    lab of that name is up already. With ``strict`` what isn't planned counts as a difference.
    ``steps`` is told what is done by now. ``then`` is done with each lab that was measured, and
    returns its state and its result from then on. ``options`` are words of the command line that
    belong to how the labs are made: an explanation names them where it says how one is kept.
    """
    results = LabResults()
    stays: Loaded | None = None

    def visit(brought: Brought) -> None:
        result = prove_brought(brought, provider_name, tell, steps)
        result = replace(result, verdict=replace(result.verdict, strict=strict))
        if brought.loaded is not stays:
            result = _ended(result, brought.loaded, options)
        if then is not None and brought.state is not None:
            brought.state, result = then(brought.state, result)
            if brought.loaded is not stays:
                result = _ended(result, brought.loaded, options)
        results.add(result)
        show(result)
        if steps is not None:
            steps.reach("bringing up")

    began = time.monotonic()
    with separate_state() as home:
        suite = Suite(provider_name, visit, tell)
        if steps is not None:
            steps.reach("rendering")
        suite.render(labs)
        if steps is not None:
            steps.reach("bringing up")
        results.timings["render"] = round(time.monotonic() - began, 3)
        groups = suite.groups(labs)
        if keep:
            stays = groups[-1][-1]
            _refuse_running(stays, home)
        kept = None
        for group in groups:
            kept = suite.prove(group, keep=keep and group is groups[-1])
        if kept is not None:
            hand_over(kept, home)
    results.boots = suite.boots
    return results


def prove_brought(
    brought: Brought,
    provider_name: str,
    tell: Callable[[str], None],
    steps: Steps | None = None,
) -> LabResult:
    """Prove one lab that was brought up, or say of all its cells that they weren't measured."""
    if brought.state is None:
        plan = brought.loaded.plan
        unseen = judge(plan.lab, provider_name, predict(plan), Observation((), {}, {}))
        verdict = with_intent(unseen, plan)
        return LabResult(verdict, error=brought.error, timings=brought.timings)
    began = time.monotonic()
    # The line that is shown for each lab is enough: no others about its measurement.
    lab = RunningLab(brought.state)
    if steps is not None:
        steps.reach("measuring")
    verdict = measure_and_judge(lab, lambda _: None)
    if steps is not None:
        steps.measured(verdict)
    timings = {**brought.timings, "measure": round(time.monotonic() - began, 3)}
    explanation = None
    if verdict.exit_code:
        with suppress(UnderlayError):
            explanation = explain_running(lab, verdict, tell)
    captures: tuple[Captured, ...] = ()
    if steps is not None and steps.captures:
        with suppress(UnderlayError):
            captures = ask_again(lab, verdict, explanation, tell)
    return LabResult(verdict, explanation, brought.error, timings, captures)


def _ended(result: LabResult, loaded: Loaded, options: Sequence[str]) -> LabResult:
    """Return ``result`` with what can be run where the lab of a file has been ended.

    Nothing is to be run where all is as it should be, or where the lab could not be looked into.
    """
    verdict = result.verdict
    explanation = NOTHING if verdict.as_predicted else result.explanation
    fine = verdict.as_predicted and not (verdict.unplanned or verdict.strangers)
    if result.error is not None or explanation is None or fine or not loaded.file.is_file():
        return result
    upgrades = [one.file for one in result.after if one.file and one.error is None]
    file = [str(loaded.file), *upgrades][-1]
    words = ["underlay", "check", str(loaded.file), *options, "--keep"]
    told = replace(explanation, lab=verdict.lab, file=file, keep_by=shlex.join(words))
    return replace(result, explanation=told)


def _refuse_running(last: Loaded, home: Path) -> None:
    lab = last.plan.lab
    if (home / "labs" / lab).exists():
        raise BadInput(
            f"--keep would leave {lab} up, and a lab of that name is up",
            hint=f"underlay down --lab {lab}",
        )
