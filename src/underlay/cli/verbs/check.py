"""The verb ``check``: a lab's matrix, measured and judged; of a running lab, or of many files."""

from __future__ import annotations

import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from underlay.cli.console import err, out, people, print_json, progress
from underlay.cli.interrupt import reset_exit
from underlay.cli.lab_proof import prove_lab, show_proof
from underlay.cli.options import AsJson, LabOption, NotOption, OnlyOption, ProtocolOption
from underlay.cli.which_lab import SUFFIXES, resolve_lab, running_state
from underlay.errors import (
    EXIT_DIFFERS,
    EXIT_INTERRUPTED,
    BadInput,
    Interrupted,
    UnderlayError,
    listed,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from underlay.cluster.state.lab import LabState
    from underlay.lint import Loaded
    from underlay.plan import Plan
    from underlay.proof.choice import Choice, Chosen
    from underlay.proof.lab import Proof
    from underlay.proof.labs import LabResult, LabResults
    from underlay.verdict import Verdict

GROUP = "Labs"
ORDER = 30

# Of a lab in which no cell differs, and a statement of what is wanted is broken.
NOT_AS_WANTED = "not as wanted"


def command(
    what: Annotated[
        str | None,
        typer.Argument(help="A lab, or a folder of labs, to start anew."),
    ] = None,
    lab: LabOption = None,
    provider: Annotated[
        str | None, typer.Option(help="With FILE or DIR: what runs the nodes, uml by default.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="With FILE or DIR: leave the last lab up.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="What is reachable and not planned differs, too.")
    ] = False,
    only: OnlyOption = None,
    without: NotOption = None,
    protocol: ProtocolOption = None,
    as_json: AsJson = False,
) -> None:
    """Measure who reaches whom in a lab and compare it with the prediction.

    Every container probes every other one and every node, and the nodes probe the
    containers, by ICMP, TCP and UDP. A cell is reachable only if the destination
    named in it received the probe and its answer came back. Neighbour tables are
    flushed first. Where something differs, the lab is looked into, and what `underlay
    explain` would say of it follows. Exit code 0 means that all cells were measured
    and are as expected, 1 that a cell differs, 3 that something could not be measured.
    What the lab file expects, who must reach whom and who never, is held against the packets
    as well: a broken statement makes it 1, also where every cell is as predicted.

    After the cells it looks for what is there and wasn't asked for: addresses that the plan
    gives nobody, link-local addresses and broadcasts that get into another network, and ARP
    answers for addresses of nobody's. Each was heard as a frame, and is shown as reachable,
    not planned. With --strict that is a difference as well.

    For work on one thing, --only, --not and --protocol choose the cells that are shown and that
    count, of one lab. All are measured: who is silent is believed only if others heard them.

    Without FILE or DIR it is the lab that is up. A lab file, or all `*.yml` directly in
    a folder, are brought up in sandboxes of their own, which never touch a running lab:
    labs that need the same nodes are proven on one boot. Nothing is left up. One lab's matrix
    and causes are printed, of several a line each. Their nodes are started by Underlay itself,
    without Vagrant; `underlay up` is what Vagrant has to do with.

    Example:
      underlay check
      underlay check --lab docker-vlan --json
      underlay check --strict
      underlay check --only 'web* -> db' --protocol tcp:5432
      underlay check flat
      underlay check labs --json
    """
    from underlay.proof.choice import Choice

    choice = Choice(tuple(only or ()), tuple(without or ()), tuple(protocol or ()))
    if what is not None:
        if lab is not None:
            raise BadInput("--lab is for a lab that is up, FILE and DIR are not")
        code = _check_files(what, provider, choice, keep=keep, strict=strict, as_json=as_json)
        raise typer.Exit(code)
    if provider is not None or keep:
        raise BadInput("--provider and --keep need a FILE or DIR to start")
    raise typer.Exit(_check_running(running_state(lab), choice, strict=strict, as_json=as_json))


def _check_running(state: LabState, choice: Choice, *, strict: bool, as_json: bool) -> int:
    """Prove the lab that is up, print the result, and return the exit code."""
    from underlay.report.document import document
    from underlay.report.explanation import causes

    chosen = choice.of(state.plan()) if choice else None
    proof = prove_lab(state, strict=strict)
    verdict, explanation = proof.verdict, proof.explanation
    if chosen is not None:
        verdict, explanation = chosen.verdict(verdict), chosen.explanation(explanation)
    if as_json:
        print_json({**document(verdict), "causes": causes(explanation)})
    else:
        show_proof(state.plan(), verdict, explanation)
    if verdict.exit_code:
        _keep(state, proof)
    return verdict.exit_code


def _keep(state: LabState, proof: Proof) -> None:
    """Keep the cells, their causes and the nodes' logs, and say where, as the last line."""
    from underlay.cluster.state.run_folder import keep_run
    from underlay.report.document import document
    from underlay.report.explanation import causes

    documents = {"cells": document(proof.verdict), "causes": causes(proof.explanation)}
    folder = keep_run(state.lab, "check", documents, alive=state)
    if folder is not None:
        err.print(f"kept: {folder}")


def _check_files(
    what: str,
    provider: str | None,
    choice: Choice,
    *,
    keep: bool,
    strict: bool,
    as_json: bool,
) -> int:
    """Prove the labs that ``what`` means, print the results, and return the exit code.

    Raises BadInput where there is no such file or folder, a file in it can't be read, or cells of
    several labs are to be chosen.
    """
    from underlay.cluster.providers import DEFAULT
    from underlay.proof.labs import prove_labs

    began = time.monotonic()
    labs = _read_all(_files(what))
    if choice and len(labs) > 1:
        raise BadInput(
            f"--only, --not and --protocol choose cells of one lab, and {what} has {len(labs)}",
            hint=f"underlay check {shlex.quote(str(labs[0].file))} --only …",
        )
    chosen = choice.of(labs[0].plan) if choice else None
    named = f"{len(labs)} labs" if len(labs) > 1 else labs[0].plan.lab
    # The whole of one lab is read as that of a running one is; of many, a line each.
    whole = len(labs) == 1 and not as_json
    tell = _show_only_errors if whole else show_result

    done: dict[str, LabResult] = {}

    def show(result: LabResult) -> None:
        result = _narrowed(result, chosen) if chosen else result
        done[result.verdict.lab] = result
        tell(result)

    try:
        with progress(f"rendering {named}") as running:
            results = prove_labs(
                labs, provider or DEFAULT, running.step, show, keep=keep, strict=strict
            )
    except KeyboardInterrupt as interrupt:
        return _interrupted(labs, done, interrupt, as_json=as_json)
    seconds = round(time.monotonic() - began, 3)
    if chosen is not None:
        name = labs[0].plan.lab
        results.by_lab[name] = _narrowed(results.by_lab[name], chosen)
    if as_json:
        print_json(
            {
                "labs": [result_document(results.by_lab[loaded.plan.lab]) for loaded in labs],
                "boots": results.boots,
                "timings": {**results.timings, "total": seconds},
                "coverage": results.coverage(),
            }
        )
    if whole:
        _show_whole(labs[0].plan, results.by_lab[labs[0].plan.lab])
    people(as_json).print(f"{sum_line(results)} · {seconds:.1f} s")
    return results.exit_code


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

    message, hint = "interrupted", ""
    if isinstance(interrupt, Interrupted):
        message, hint = interrupt.message, interrupt.hint
    left = [loaded.plan.lab for loaded in labs if loaded.plan.lab not in done]
    if as_json:
        known = [
            result_document(done[loaded.plan.lab]) for loaded in labs if loaded.plan.lab in done
        ]
        print_json({"error": message, "hint": hint, "labs": known, "left": left})
    err.print(message)
    if len(labs) > 1:
        sums = sum_line(LabResults(dict(done))) if done else "none measured"
        err.print(f"{sums}; left: {listed(left)}" if left else sums)
    if hint:
        err.print(f"\nhint: {hint}")
    reset_exit()
    return EXIT_INTERRUPTED


def _narrowed(result: LabResult, chosen: Chosen) -> LabResult:
    """Return ``result`` with the chosen cells alone."""
    explanation = chosen.explanation(result.explanation) if result.explanation else None
    return replace(result, verdict=chosen.verdict(result.verdict), explanation=explanation)


def _show_whole(plan: Plan, result: LabResult) -> None:
    """Print one lab's matrix and causes; nothing of a lab that didn't come up, which was said."""
    if result.error is None:
        show_proof(plan, result.verdict, result.explanation)
        out.print()


def _show_only_errors(result: LabResult) -> None:
    """Say on stderr that a lab didn't come up, if it didn't."""
    if result.error is not None:
        show_result(result)


def _files(what: str) -> list[Path]:
    """Return the lab files that ``what`` means: those directly in a folder, or the one of a lab."""
    folder = Path(what).expanduser()
    if not folder.is_dir():
        return [resolve_lab(what)]
    files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    if not files:
        raise BadInput(f"there is no lab file directly in {what}", hint="they end in .yml")
    return files


def _read_all(files: Sequence[Path]) -> list[Loaded]:
    """Read all files, and say at once what is wrong with any of them."""
    from underlay.lint import load

    labs: dict[str, Loaded] = {}
    wrong = []
    for file in files:
        try:
            loaded = load(file)
        except UnderlayError as error:
            wrong.append("\n".join(filter(None, (error.message, error.detail))))
            continue
        name = loaded.plan.lab
        if name in labs:
            wrong.append(f"{file}: its name is {name}, as in {labs[name].file}")
        labs.setdefault(name, loaded)
    if wrong:
        raise BadInput("\n".join(wrong))
    return list(labs.values())


def result_document(result: LabResult) -> dict[str, Any]:
    """Return what ``--json`` prints about one of many labs."""
    from underlay.report.document import document
    from underlay.report.explanation import causes

    page = document(result.verdict)
    page["timings"] = {**page["timings"], **result.timings}
    page["causes"] = causes(result.explanation) if result.explanation else []
    if result.error is not None:
        page["error"] = result.error.message
        page["detail"] = result.error.detail
    return page


def show_result(result: LabResult) -> None:
    """Say on stderr how one lab went; it is printed while the others are still waited for."""
    from underlay.report.explanation import explanation_text
    from underlay.report.intent import intent_text, intent_words

    verdict, summary = result.verdict, result.verdict.summary
    spent = " · ".join(f"{phase} {seconds:.1f} s" for phase, seconds in result.timings.items())
    if result.error is not None:
        err.print(f"{verdict.lab}: not up: {result.error.message} · {spent}", style="bold")
        if result.error.detail:
            err.print(result.error.detail)
        return
    cells = f"{summary.cells} cells: {summary.as_expected} as expected"
    more = f", {summary.differs} differ, {summary.not_measured} not measured"
    beside = f", {summary.unplanned} unplanned" if summary.unplanned else ""
    beside += f", {wanted}" if (wanted := intent_words(verdict)) else ""
    err.print(f"{verdict.lab}: {cells}{more if verdict.exit_code else ''}{beside} · {spent}")
    if summary.statements_broken or summary.statements_not_measured:
        err.print(intent_text(verdict, width=min(err.width, 100)), end="")
    if result.explanation is not None:
        err.print(explanation_text(result.explanation, width=min(err.width, 100)), end="")


def sum_line(results: LabResults) -> str:
    """Return how many labs are as expected and how many aren't, in words, without the time."""
    from underlay.report.page import count

    words = [_outcome(result.verdict) for result in results.by_lab.values()]
    order = ("as expected", "differs", NOT_AS_WANTED, "not measured in full")
    found = [(words.count(word), word) for word in order if word in words]
    found = [(n, "differ" if word == "differs" and n > 1 else word) for n, word in found]
    labs = count(len(words), "lab")
    if len(found) == 1:
        line = f"{labs} {found[0][1]}"
    else:
        line = f"{labs}: {', '.join(f'{number} {words}' for number, words in found)}"
    # That one lab is booted once goes without saying.
    if len(words) < 2:
        return line
    return f"{line} · nodes booted {'once' if results.boots == 1 else f'{results.boots} times'}"


def _outcome(verdict: Verdict) -> str:
    """Return how a lab went, in words."""
    if verdict.exit_code == EXIT_DIFFERS:
        alone = verdict.summary.statements_broken and not verdict.summary.differs
        return NOT_AS_WANTED if alone else "differs"
    return "not measured in full" if verdict.exit_code else "as expected"
