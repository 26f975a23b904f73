"""The verb ``explain``: why cells differ from the prediction, of a lab, machines or a saved run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.console import err, out, print_document
from underlay.cli.lab_proof import prove_lab
from underlay.cli.on_machines import asked_machines, how_asked
from underlay.cli.options import (
    PROBE_PATH,
    RATE,
    AsJson,
    FlushOption,
    InventoryOption,
    LabOption,
    LimitOption,
    ProbeOption,
    ProbePathOption,
    RateOption,
    SudoOption,
)
from underlay.cli.which_lab import running_state
from underlay.cli.wrapping import hanging
from underlay.errors import EXIT_INFRASTRUCTURE, BadInput

if TYPE_CHECKING:
    from rich.text import Text

    from underlay.cli.on_machines import OnMachines
    from underlay.plan import Plan
    from underlay.proof.result import LabResult

GROUP = "Labs"
ORDER = 60


def command(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="A run that `check --save` kept; with --inventory a lab file.",
        ),
    ] = None,
    lab: LabOption = None,
    inventory: InventoryOption = None,
    pattern: LimitOption = None,
    rate: RateOption = RATE,
    probe: ProbeOption = False,
    probe_path: ProbePathOption = PROBE_PATH,
    by_sudo: SudoOption = False,
    flush: FlushOption = False,
    as_json: AsJson = False,
) -> None:
    """Say why cells of a running lab, or of a saved run, differ from the prediction.

    The lab is measured, and every node, container and the switch are looked into at
    once. The causes named are as few as account for the differing cells, each with
    what was seen, the cells, the cure and a source. What none accounts for is said
    to be unexplained, with what was ruled out. Statements of what is wanted that are broken
    follow, with the cells that break them, and then what is reachable and not planned, with
    what makes it. With FILE nothing is measured or looked into: it says what was found then, on
    any machine, with what `check --after` did to the lab, and how far a run came that ended early.
    Exit codes are those of `check`.

    With --inventory FILE is a lab of machines that exist, which are measured and looked into as
    `check -i` does, with the same options, and left as they are: with --sudo or --probe from inside
    the containers, without either by what any user there may read. What these rights don't show is
    said, and an unreachable machine costs its own cells. Cures are lines for root there; no verb
    runs them.

    Example:
      underlay explain
      underlay explain --lab docker-vlan --json
      underlay explain run.json
      underlay explain guests.yml -i inventory.yml --sudo
    """
    how = how_asked(
        inventory, pattern, rate, probe=probe, path=probe_path, by_sudo=by_sudo, flush=flush
    )
    if inventory is not None and how is not None:
        what = str(run) if run is not None else None
        machines = asked_machines(inventory, pattern, how, what, {"--lab": lab}, "explain")
        raise typer.Exit(_on_machines(str(what), machines, as_json=as_json))
    if run is not None and lab is not None:
        raise BadInput("--lab is for a lab that is up, and FILE is a run")
    code = _running(lab, as_json=as_json) if run is None else _saved(run, as_json=as_json)
    raise typer.Exit(code)


def _running(lab: str | None, *, as_json: bool) -> int:
    from underlay.proof.result import LabResult

    state = running_state(lab)
    proof = prove_lab(state)
    return _told(LabResult(proof.verdict, proof.explanation), state.plan(), as_json=as_json)


def _on_machines(what: str, machines: OnMachines, *, as_json: bool) -> int:
    from underlay.cli.checks.machines import what_would_measure_more
    from underlay.cli.on_machines import lab_of_machines
    from underlay.proof.result import LabResult

    loaded = lab_of_machines(what)
    proof = machines.prove(loaded)
    code = _told(LabResult(proof.verdict, proof.explanation), loaded.plan, as_json=as_json)
    if hint := what_would_measure_more(proof.verdict, machines):
        err.print(f"\nhint: {hint}", markup=False, soft_wrap=True)
    return code


def _told(result: LabResult, plan: Plan, *, as_json: bool) -> int:
    from underlay.report.explained import explained_document, explained_text
    from underlay.report.terminal import page_form

    if as_json:
        print_document("explain", explained_document(result, plan))
    else:
        width, plain = page_form(out)
        _show(explained_text(result, plan, width=width, ascii_only=plain))
    return result.verdict.exit_code


def _saved(file: Path, *, as_json: bool) -> int:
    from underlay.proof.runs.file import read_run
    from underlay.report.explained import run_explained_document, run_explained_text
    from underlay.report.run import Told
    from underlay.report.terminal import page_form

    told = Told(read_run(file.expanduser()))
    if as_json:
        print_document("explain", run_explained_document(told))
    else:
        width, plain = page_form(out)
        _show(run_explained_text(told, width=width, ascii_only=plain))
    code = told.results.exit_code
    early = told.run.reached != "the end"
    return code or (EXIT_INFRASTRUCTURE if early else 0)


def _show(text: Text) -> None:
    out.print(hanging(text, out), end="")
