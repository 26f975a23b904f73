"""Many labs proven on as few boots as their nodes allow, several side by side.

What ``proof/lab.py`` does with one lab that is up, ``prove_labs`` does with each of many lab
files. One that doesn't come up, or can't be looked into, doesn't keep the others from being
proven: it counts as not measured.
"""

from __future__ import annotations

import shlex
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

from underlay.cluster.providers import provider
from underlay.cluster.state.separate import separate_state
from underlay.cluster.suite import Suite, hand_over
from underlay.errors import EXIT_DIFFERS, EXIT_INFRASTRUCTURE, EXIT_OK, BadInput, UnderlayError
from underlay.expect import predict
from underlay.observe.observation import Observation
from underlay.proof.captured import ask_again
from underlay.proof.explanation import NOTHING
from underlay.proof.lab import RunningLab, explain_running, measure_and_judge
from underlay.proof.result import LabResult
from underlay.proof.workers import Workers, enough_workers, units_of
from underlay.verdict import judge, with_intent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from underlay.cluster.state.lab import LabState
    from underlay.cluster.suite import Brought
    from underlay.lint import Loaded
    from underlay.proof.captured import Captured
    from underlay.proof.workers import Say
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
    """What became of each lab, those of one boot together, and on how many boots.

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

    def in_order(self, labs: Iterable[str]) -> None:
        """Have what became of the labs in the order of ``labs``, whoever was done first."""
        self.by_lab = {lab: self.by_lab[lab] for lab in labs if lab in self.by_lab}

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
    jobs: int | None = None,
    beside: Callable[[str], None] | None = None,
) -> LabResults:
    """Bring up the ``labs`` in sandboxes of their own, prove each, and leave none of them up.

    ``tell`` is handed a line about each step, and ``show`` each result as soon as it is there.
    With ``keep`` the last lab stays up, where every verb finds it; BadInput is raised where a
    lab of that name is up already. With ``strict`` what isn't planned counts as a difference.
    ``steps`` is told what is done by now. ``then`` is done with each lab that was measured, and
    returns its state and its result from then on. ``options`` are words of the command line that
    belong to how the labs are made: an explanation names them where it says how one is kept.

    At most ``jobs`` labs are at work at once, by default as many as there are processors and memory
    for; of one after the other where the provider can do no more, or something is done ``then``.
    Where several are, ``beside`` is handed the lines in place of ``tell``.
    """
    results = LabResults()
    stays: Loaded | None = None

    def take(brought: Brought, result: LabResult) -> None:
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

    def visit(brought: Brought) -> None:
        take(brought, prove_brought(brought, provider_name, tell, steps))

    def visit_beside(brought: Brought, say: Say) -> None:
        lab = brought.loaded.plan.lab
        telling = _said_by(say, lab, beside or tell)
        told = _SaidSteps(steps, say) if steps is not None else None
        result = prove_brought(brought, provider_name, telling, told)
        say(partial(take, brought, result))

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
        number = 1 if then is not None else _workers(provider_name, jobs)
        units = units_of(groups, number) if number > 1 else []
        if len(units) > 1:
            workers = Workers(suite, provider(provider_name), units, min(number, len(units)))
            workers.run(visit_beside, beside or tell, stays)
            kept, results.boots = workers.kept, workers.boots
        else:
            kept = None
            for group in groups:
                kept = suite.prove(group, keep=keep and group is groups[-1])
            results.boots = suite.boots
        if kept is not None:
            hand_over(kept, home)
    results.in_order(loaded.plan.lab for group in groups for loaded in group)
    return results


def _workers(provider_name: str, jobs: int | None) -> int:
    if not provider(provider_name).side_by_side:
        return 1
    return jobs or enough_workers()


def _said_by(say: Say, lab: str, tell: Callable[[str], None]) -> Callable[[str], None]:
    """Return what has the main thread ``tell`` a line about ``lab``."""
    return lambda words: say(partial(tell, f"{lab}: {words}"))


class _SaidSteps:
    """Has the main thread tell ``steps`` what a worker comes to."""

    def __init__(self, steps: Steps, say: Say) -> None:
        self.captures = steps.captures
        self._steps, self._say = steps, say

    def reach(self, reached: Step) -> None:
        self._say(partial(self._steps.reach, reached))

    def measured(self, verdict: Verdict) -> None:
        self._say(partial(self._steps.measured, verdict))


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
