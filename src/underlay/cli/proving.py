"""How ``check FILE`` and ``check DIR`` go through labs of their own, and what they say of them."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay.cli.console import err, people, print_json, progress
from underlay.cli.measuring import explained
from underlay.cli.which_lab import SUFFIXES, resolve_lab
from underlay.cluster.prepare import load_plan
from underlay.cluster.providers import DEFAULT
from underlay.cluster.suite import Asked, Brought, Suite, hand_over
from underlay.errors import EXIT_DIFFERS, EXIT_INFRASTRUCTURE, EXIT_OK, BadInput, UnderlayError
from underlay.proof.lab import RunningLab, measure_and_judge
from underlay.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.proof.explain import Explanation
    from underlay.verdict import Verdict


class Proof:
    """What became of each lab, in the order in which they were measured."""

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self.verdicts: dict[str, Verdict] = {}
        self.documents: dict[str, dict[str, Any]] = {}
        self.spent: dict[str, float] = {}

    def visit(self, brought: Brought) -> None:
        """Measure one lab, and say what was seen."""
        from underlay.report.document import document
        from underlay.report.explanation import causes

        state, explanation = brought.state, None
        if state is None:
            verdict = self._unmeasured(brought)
        else:
            began = time.monotonic()
            lab = RunningLab(state)
            verdict = measure_and_judge(lab, _silent)
            brought.timings["measure"] = round(time.monotonic() - began, 3)
            if verdict.exit_code:
                with suppress(UnderlayError):
                    explanation = explained(lab, verdict)
        found = document(verdict)
        found["timings"] = {**found["timings"], **brought.timings}
        found["causes"] = causes(explanation) if explanation else []
        if brought.error is not None:
            found["error"] = brought.error.message
            found["detail"] = brought.error.detail
        self.verdicts[verdict.lab] = verdict
        self.documents[verdict.lab] = found
        for phase, seconds in brought.timings.items():
            self.spent[phase] = round(self.spent.get(phase, 0.0) + seconds, 3)
        _say(verdict, brought, explanation)

    def _unmeasured(self, brought: Brought) -> Verdict:
        """All cells of a lab that did not come up: predicted, none of them measured."""
        from underlay.expect import predict
        from underlay.observe.observation import Observation

        plan = brought.asked.plan
        return judge(plan.lab, self.provider, predict(plan), Observation((), {}, {}))

    @property
    def exit_code(self) -> int:
        """Return 1 where any lab differs, else 3 where any wasn't measured whole."""
        codes = {verdict.exit_code for verdict in self.verdicts.values()}
        for code in (EXIT_DIFFERS, EXIT_INFRASTRUCTURE):
            if code in codes:
                return code
        return EXIT_OK if codes else EXIT_INFRASTRUCTURE

    def coverage(self) -> dict[str, list[str]]:
        """Return the labs in which each rule was measured."""
        found: dict[str, set[str]] = {}
        for lab, verdict in self.verdicts.items():
            for cell in verdict.cells:
                if cell.measured and cell.rule:
                    found.setdefault(cell.rule, set()).add(lab)
        return {rule: sorted(labs) for rule, labs in sorted(found.items())}


def prove(what: str, provider: str | None, *, keep: bool, as_json: bool) -> int:
    """Bring up and measure the labs that ``what`` means, print the result, return the exit code.

    Raises BadInput where there is no such file or folder, or a file in it can't be read.
    """
    from underlay.cluster.state.own_home import own_home

    began = time.monotonic()
    labs = _asked(_files(what))
    proof = Proof(provider or DEFAULT)
    with own_home() as home, progress(f"rendering {_count(labs)}") as running:
        suite = Suite(proof.provider, proof.visit, running.step)
        suite.render(labs)
        rendered = time.monotonic() - began
        groups = suite.groups(labs)
        if keep:
            _refuse_running(groups[-1][-1], home)
        for group in groups:
            kept = suite.prove(group, keep=keep and group is groups[-1])
        if kept is not None:
            hand_over(kept, home)
    timings = {"render": round(rendered, 3), **proof.spent}
    timings["total"] = round(time.monotonic() - began, 3)
    if as_json:
        order = [asked.plan.lab for asked in labs]
        print_json(
            {
                "labs": [proof.documents[lab] for lab in order],
                "boots": suite.boots,
                "timings": timings,
                "coverage": proof.coverage(),
            }
        )
    people(as_json).print(_last_line(proof, suite.boots, timings["total"]))
    return proof.exit_code


def _files(what: str) -> list[Path]:
    folder = Path(what).expanduser()
    if not folder.is_dir():
        return [resolve_lab(what)]
    found = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    if not found:
        raise BadInput(f"there is no lab file directly in {what}", hint="they end in .yml")
    return found


def _asked(files: Sequence[Path]) -> list[Asked]:
    """Read all files, and say at once what is wrong with any of them."""
    labs: dict[str, Asked] = {}
    wrong = []
    for file in files:
        try:
            plan = load_plan(file)
        except UnderlayError as error:
            wrong.append("\n".join(filter(None, (error.message, error.detail))))
            continue
        if plan.lab in labs:
            wrong.append(f"{file}: its name is {plan.lab}, as in {labs[plan.lab].file}")
        labs.setdefault(plan.lab, Asked(file, plan))
    if wrong:
        raise BadInput("\n".join(wrong))
    return list(labs.values())


def _refuse_running(last: Asked, home: Path) -> None:
    lab = last.plan.lab
    if (home / "labs" / lab).exists():
        raise BadInput(
            f"--keep would leave {lab} up, and a lab of that name is up",
            hint=f"underlay down --lab {lab}",
        )


def _say(verdict: Verdict, brought: Brought, explanation: Explanation | None) -> None:
    """Say on stderr how one lab went; it is printed while the others are still waited for."""
    from underlay.report.explanation import explanation_text

    summary = verdict.summary
    spent = " · ".join(f"{phase} {seconds:.1f} s" for phase, seconds in brought.timings.items())
    if brought.error is not None:
        err.print(f"{verdict.lab}: not up: {brought.error.message} · {spent}", style="bold")
        if brought.error.detail:
            err.print(brought.error.detail)
        return
    cells = f"{summary.cells} cells: {summary.as_expected} as expected"
    more = f", {summary.differs} differ, {summary.not_measured} not measured"
    err.print(f"{verdict.lab}: {cells}{more if verdict.exit_code else ''} · {spent}")
    if explanation is not None:
        err.print(explanation_text(explanation, width=min(err.width, 100)), end="")


def _last_line(proof: Proof, boots: int, seconds: float) -> str:
    codes = [verdict.exit_code for verdict in proof.verdicts.values()]
    return (
        f"{len(codes)} labs: {codes.count(EXIT_OK)} as expected,"
        f" {codes.count(EXIT_DIFFERS)} differ,"
        f" {codes.count(EXIT_INFRASTRUCTURE)} not measured whole · {boots} boots · {seconds:.1f} s"
    )


def _count(labs: Sequence[Asked]) -> str:
    return f"{len(labs)} labs" if len(labs) > 1 else labs[0].plan.lab


def _silent(_: str) -> None:
    """Say nothing: a line per lab is enough."""
