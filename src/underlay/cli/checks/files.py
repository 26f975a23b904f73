"""``check FILE|DIR``: labs are brought up in sandboxes of their own, measured, and ended."""

from __future__ import annotations

import shlex
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from underlay.cli.carried_over import tell_remarks
from underlay.cli.checks.how import show_comparison
from underlay.cli.console import err, out, people, print_document, progress
from underlay.cli.interrupt import reset_exit
from underlay.cli.lab_folder import dealt_to, files_of, read_all
from underlay.cli.lab_proof import show_captures, show_proof
from underlay.cli.lint_errors import refuse_wrong
from underlay.cli.pausing import wait_for_enter
from underlay.cli.recording import source_of_file
from underlay.errors import EXIT_INTERRUPTED, BadInput, Interrupted, listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from underlay.cli.checks.how import Earlier, How
    from underlay.lint import Loaded
    from underlay.plan import Plan
    from underlay.proof.choice import Choice
    from underlay.proof.result import LabResult
    from underlay.proof.runs.unrecorded import Unrecorded


def check_files(
    what: str,
    choice: Choice,
    run: Unrecorded,
    how: How,
    earlier: Earlier | None,
) -> int:
    """Prove the labs that ``what`` means, print the results, and return the exit code.

    Raises BadInput where there is no such file or folder, a file in it can't be read, or cells of
    several labs are to be chosen.
    """
    from underlay.cluster.providers import DEFAULT
    from underlay.proof.labs import prove_labs
    from underlay.proof.result import narrowed
    from underlay.report.comparison import baseline_document
    from underlay.report.results import results_document, sum_line

    began = time.monotonic()
    labs = read_all(files_of(what))
    if how.shard is not None:
        labs = dealt_to(labs, how.shard, how.provider, run)
    for loaded in labs:
        tell_remarks(loaded, str(loaded.file))
    if choice and len(labs) > 1:
        raise BadInput(
            f"--only, --not and --protocol choose cells of one lab, and {what} has {len(labs)}",
            hint=f"underlay check {shlex.quote(str(labs[0].file))} --only …",
        )
    chosen = choice.of(labs[0].plan) if choice else None
    by = how.provider or DEFAULT
    run.of_labs([source_of_file(one) for one in labs], by, chosen)
    refuse_wrong(labs, what)
    named = f"{len(labs)} labs" if len(labs) > 1 else labs[0].plan.lab
    # The whole of one lab is read as that of a running one is; of many, a line each.
    whole = len(labs) == 1 and not how.as_json and not how.quiet
    tell = _show_only_errors if whole else show_result
    plans = {one.plan.lab: one.plan for one in labs}
    done: dict[str, LabResult] = {}

    def show(result: LabResult) -> None:
        run.add(result)
        result = narrowed(result, chosen) if chosen else result
        done[result.verdict.lab] = result
        pauses = how.pause and result.error is None and result.verdict.exit_code
        # While it waits for Enter the lab is up.
        result = _up_now(result) if pauses else result
        tell(result)
        if pauses:
            if whole:
                _show_whole(plans[result.verdict.lab], result, wide=how.wide)
            wait_for_enter(plans[result.verdict.lab], running)

    try:
        with progress(f"rendering {named}") as running:
            results = prove_labs(
                labs, by, running.step, show, keep=how.keep, strict=how.strict, steps=run,
                options=("--provider", by) if how.provider else (),
                # Nothing goes on beside a lab that somebody looks at.
                jobs=1 if how.pause else how.jobs, beside=running.among,
            )  # fmt: skip
    except KeyboardInterrupt as interrupt:
        run.stopped_by(interrupt)
        return _interrupted(labs, done, interrupt, as_json=how.as_json)
    seconds = round(time.monotonic() - began, 3)
    timings = {**results.timings, "total": seconds}
    run.all_of(results, timings)
    if chosen is not None:
        name = labs[0].plan.lab
        results.by_lab[name] = narrowed(results.by_lab[name], chosen)
    compared = earlier.compared(run) if earlier else None
    if how.as_json:
        told = results_document(results, plans, timings)
        print_document("check", {**told, **baseline_document(compared)})
    if whole and not (how.pause and results.exit_code):
        _show_whole(labs[0].plan, results.by_lab[labs[0].plan.lab], wide=how.wide)
    people(how.as_json or how.quiet).print(f"{sum_line(results)} · {seconds:.1f} s")
    if compared and not how.as_json:
        show_comparison(compared)
    return compared.exit_code if compared else results.exit_code


def _interrupted(
    labs: Sequence[Loaded],
    done: Mapping[str, LabResult],
    interrupt: KeyboardInterrupt,
    *,
    as_json: bool,
) -> int:
    """Say what is known of the labs that were ``done`` and which are left; return the exit code.

    All that was started has ended by now.
    """
    from underlay.proof.labs import LabResults
    from underlay.report.results import interrupted_document, sum_line

    message, hint = "interrupted", ""
    if isinstance(interrupt, Interrupted):
        message, hint = interrupt.message, interrupt.hint
    left = [loaded.plan.lab for loaded in labs if loaded.plan.lab not in done]
    if as_json:
        plans = {loaded.plan.lab: loaded.plan for loaded in labs}
        print_document("check", interrupted_document(message, hint, done, plans))
    err.print(message)
    if len(labs) > 1:
        sums = sum_line(LabResults(dict(done))) if done else "none measured"
        err.print(f"{sums}; left: {listed(left)}" if left else sums)
    if hint:
        err.print(f"\nhint: {hint}")
    reset_exit()
    return EXIT_INTERRUPTED


def _show_whole(plan: Plan, result: LabResult, *, wide: bool) -> None:
    """Print one lab's matrix and causes; nothing of a lab that didn't come up, which was said."""
    if result.error is None:
        show_proof(plan, result.verdict, result.explanation, wide=wide)
        show_captures(result.captures)
        out.print()


def _up_now(result: LabResult) -> LabResult:
    """Return ``result`` as it is to be told while its lab is up."""
    if result.explanation is None:
        return result
    return replace(result, explanation=replace(result.explanation, keep_by=""))


def _show_only_errors(result: LabResult) -> None:
    """Say on stderr that a lab didn't come up, if it didn't."""
    if result.error is not None:
        show_result(result)


def show_result(result: LabResult) -> None:
    """Say on stderr how one lab went; it is printed while the others are still waited for."""
    from underlay.report.results import result_text
    from underlay.report.terminal import page_form

    width, _ = page_form(err)
    err.print(result_text(result, width=width), end="")
