"""``check --after``: a lab is measured, something happens to it, and it is measured again."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cli.console import err, out, people, print_document, progress
from underlay.cli.error_lines import error_lines
from underlay.cli.lab_proof import prove_lab, show_proof
from underlay.cli.lint_errors import refuse_wrong
from underlay.cli.recording import source_of, source_of_file
from underlay.cli.which_lab import resolve_lab, running_state
from underlay.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from underlay.cluster.state.lab import LabState
    from underlay.errors import Infrastructure
    from underlay.plan import Plan
    from underlay.proof.after import Asked, Outcome
    from underlay.proof.result import LabResult
    from underlay.proof.runs.saving import Source
    from underlay.proof.runs.unrecorded import Unrecorded

# s that silent cells are asked for, at least and at most: more than a day is a slip.
LEAST, MOST = 0.0, 86400.0


def events_asked_for(words: Sequence[str], healing: float) -> list[Asked]:
    """Return the events that ``--after`` names, each with its file.

    Raises BadInput for a word that is none, for a file that isn't there, and for a ``healing`` that
    is no time to wait.
    """
    from underlay.proof.after import asked_for

    if not LEAST <= healing <= MOST:
        raise BadInput(
            f"--healing {healing:g}: expected seconds from {LEAST:g} to {MOST:g}",
            hint="underlay check LAB --after recreate --healing 60",
        )
    return asked_for(words)


def check_running(
    lab: str | None,
    events: Sequence[Asked],
    run: Unrecorded,
    *,
    healing: float,
    strict: bool,
    as_json: bool,
) -> int:
    """Have ``events`` happen to the lab that is up; print what became of it, return the exit code.

    The lab stays as the last event has left it.
    """
    from underlay.proof.result import LabResult
    from underlay.report.results import lab_document

    state = running_state(lab)
    _refuse(state.provider, events, state.plan())
    _of_labs(run, source_of(state), events, state.provider)
    run.reach("measuring")
    proof = prove_lab(state, strict=strict, measured=run.measured)
    first = LabResult(proof.verdict, proof.explanation)
    run.add(first)
    _tell_before(first)
    with progress(f"measuring {state.lab}") as running:
        outcome, result = _happened(state, first, events, healing, run, running.step)
    run.add(result)
    plan, failed = outcome.plan, outcome.failed
    if as_json:
        print_document("check", lab_document(result, plan))
    else:
        _show(plan, result)
    return _told(failed, run) if failed else result.exit_code


def check_file(
    what: str,
    provider: str | None,
    events: Sequence[Asked],
    run: Unrecorded,
    *,
    healing: float,
    keep: bool,
    strict: bool,
    as_json: bool,
) -> int:
    """Bring the lab of a file up, have ``events`` happen to it, and leave it up only with ``keep``.

    Raises BadInput for a folder: what happens to one lab says nothing of another.
    """
    from underlay.cluster.providers import DEFAULT
    from underlay.lint import load
    from underlay.proof.labs import prove_labs
    from underlay.report.results import result_text, results_document, sum_line
    from underlay.report.terminal import page_form

    if Path(what).expanduser().is_dir():
        raise BadInput(
            f"--after is for one lab, and {what} is a folder", hint="underlay check FILE --after …"
        )
    began = time.monotonic()
    loaded = load(resolve_lab(what))
    by = provider or DEFAULT
    _refuse(by, events, loaded.plan)
    _of_labs(run, source_of_file(loaded), events, by)
    refuse_wrong([loaded], what)
    outcomes: list[Outcome] = []

    def then(state: LabState, result: LabResult) -> tuple[LabState, LabResult]:
        run.add(result)
        _tell_before(result)
        outcome, result = _happened(state, result, events, healing, run, running.step)
        outcomes.append(outcome)
        return outcome.state, result

    with progress(f"rendering {loaded.plan.lab}") as running:
        results = prove_labs(
            [loaded], by, running.step, run.add, keep=keep, strict=strict, steps=run, then=then,
            options=[*(("--provider", by) if provider else ()), *_words(events)],
        )  # fmt: skip
    seconds = round(time.monotonic() - began, 3)
    timings = {**results.timings, "total": seconds}
    run.all_of(results, timings)
    if as_json:
        # An upgrade has made another plan of it: what it was predicted from is in that one.
        plans = dict.fromkeys(results.by_lab, outcomes[0].plan if outcomes else loaded.plan)
        print_document("check", results_document(results, plans, timings))
    for result in results.by_lab.values():
        if result.error is not None:
            err.print(result_text(result, width=page_form(err)[0]), end="")
        elif not as_json:
            _show(outcomes[0].plan, result)
            out.print()
    people(as_json).print(f"{sum_line(results)} · {seconds:.1f} s")
    failed = outcomes[0].failed if outcomes else None
    return _told(failed, run) if failed else results.exit_code


def _words(events: Sequence[Asked]) -> list[str]:
    """Return ``events`` as the command line names them."""
    return [word for one in events for word in ("--after", one.words)]


def _happened(
    state: LabState,
    result: LabResult,
    events: Sequence[Asked],
    healing: float,
    run: Unrecorded,
    tell: Callable[[str], None],
) -> tuple[Outcome, LabResult]:
    """Have ``events`` happen; return what the lab is then.

    What is known after each of them is kept in ``run`` at once.
    """
    from underlay.proof.after import after

    began = time.monotonic()

    def known(outcome: Outcome) -> LabResult:
        same = outcome.verdict is result.verdict
        why = outcome.explanation or (result.explanation if same else None)
        timings = {**result.timings, "events": round(time.monotonic() - began, 3)}
        return replace(
            result,
            verdict=outcome.verdict,
            explanation=why,
            timings=timings,
            after=outcome.events,
        )

    def keep(outcome: Outcome) -> None:
        happened = events[len(outcome.events) - 1]
        if happened.file is not None:
            run.becomes(source_of_file(happened.loaded))
        run.add(known(outcome))
        run.reach("measuring")

    outcome = after(state, result.verdict, events, tell, limit=healing, keep=keep)
    return outcome, known(outcome)


def _refuse(name: str, events: Sequence[Asked], plan: Plan) -> None:
    """Raise BadInput where nodes of the provider ``name`` and of ``plan`` can't do what is asked.

    Nothing has happened to them by then: an event that is refused amid others leaves a lab halfway.
    """
    from underlay.cluster.providers import provider
    from underlay.cluster.requirements.usr_image import refuse_unfit

    for one in events:
        if one.event == "reboot":
            provider(name).refuse_to_reboot()
        elif one.image is not None:
            provider(name).refuse_to_update(plan)
    # Images take seconds to read, and are nobody's business where nodes take none.
    for one in events:
        if one.image is not None:
            refuse_unfit(one.image)


def _of_labs(run: Unrecorded, own: Source, events: Sequence[Asked], provider: str) -> None:
    """Say that ``run`` is of the lab as it is, and of those other ones that upgrades lead to."""
    upgrades = [one.loaded for one in events if one.file is not None]
    for loaded in upgrades:
        refuse_wrong([loaded], str(loaded.file))
    others = [source_of_file(loaded) for loaded in upgrades]
    # A new version of the lab has its name: the run is of it once it is there (Recording.becomes).
    run.of_labs([own, *(one for one in others if one.plan.lab != own.plan.lab)], provider)


def _tell_before(result: LabResult) -> None:
    """Say on stderr how the lab stood before anything happened to it."""
    summary = result.verdict.summary
    told = f"{summary.cells} cells: {summary.as_expected} as expected"
    more = f", {summary.differs} differ, {summary.not_measured} not measured"
    err.print(f"before: {told}{more if result.verdict.exit_code else ''}")


def _told(failed: Infrastructure, run: Unrecorded) -> int:
    """Say on stderr why an event failed, below what is known; return the exit code."""
    run.stopped_by(failed)
    for line in error_lines(f"error: {failed.message}", failed.detail, failed.hint):
        err.print(line)
    return failed.exit_code


def _show(plan: Plan, result: LabResult) -> None:
    """Print what became of a lab, then how it is now."""
    from underlay.report.after import after_text
    from underlay.report.terminal import page_form

    width, plain = page_form(out)
    out.print(after_text(result.after, width=width, ascii_only=plain), end="")
    out.print()
    show_proof(plan, result.verdict, result.explanation)
