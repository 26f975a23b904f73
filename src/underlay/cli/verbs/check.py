"""The verb ``check``: the running lab's matrix, measured and judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.console import err, out, print_json
from underlay.cli.measuring import explained, measured, show
from underlay.cli.which_lab import running_state
from underlay.errors import BadInput

if TYPE_CHECKING:
    from underlay.cluster.state.lab import LabState
    from underlay.proof.explain import Explanation
    from underlay.verdict import Verdict


def command(
    what: Annotated[
        str | None,
        typer.Argument(help="A lab, or a folder of labs, to start anew."),
    ] = None,
    lab: Annotated[
        str | None, typer.Option("--lab", help="The running lab; not needed for the only one.")
    ] = None,
    provider: Annotated[
        str | None, typer.Option(help="With FILE or DIR: what runs the nodes, uml by default.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="With FILE or DIR: leave the last lab up.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document on stdout.")
    ] = False,
) -> None:
    """Measure who reaches whom in a lab and compare it with the prediction.

    Every container probes every other one and every node, and the nodes probe the
    containers, by ICMP, TCP and UDP. A cell is reachable only if the destination
    named in it received the probe and its answer came back. Neighbour tables are
    flushed first. Where something differs, the lab is looked into, and what `underlay
    explain` would say of it follows. Exit code 0 means that all cells were measured
    and are as expected, 1 that a cell differs, 3 that something could not be measured.

    Without FILE or DIR it is the lab that is up. A lab file, or all `*.yml` directly in
    a folder, are brought up in sandboxes of their own, which never touch a running lab:
    labs that need the same nodes are proven on one boot. Nothing is left up.

    Example:
      underlay check
      underlay check --lab docker-vlan --json
      underlay check flat
      underlay check labs --json
    """
    if what is not None:
        from underlay.cli.proving import prove

        if lab is not None:
            raise BadInput("--lab is for a lab that is up, FILE and DIR are not")
        raise typer.Exit(prove(what, provider, keep=keep, as_json=as_json))
    if provider is not None or keep:
        raise BadInput("--provider and --keep need a FILE or DIR to start")
    from underlay.proof.lab import RunningLab

    state = running_state(lab)
    running = RunningLab(state)
    verdict = measured(running)
    explanation = None
    if verdict.exit_code:
        explanation = explained(running, verdict)
    if as_json:
        from underlay.report.document import document
        from underlay.report.explanation import causes

        print_json({**document(verdict), "causes": causes(explanation) if explanation else []})
    else:
        show(state, verdict)
        if explanation:
            from underlay.report.explanation import explanation_text

            out.print()
            out.print(explanation_text(explanation, width=min(out.width, 100)), end="")
    if verdict.exit_code:
        _keep(state, verdict, explanation)
    raise typer.Exit(verdict.exit_code)


def _keep(state: LabState, verdict: Verdict, explanation: Explanation | None) -> None:
    """Keep the cells, their causes and the nodes' logs, and say where, as the last line."""
    from underlay.cluster.state.run_folder import keep_run
    from underlay.report.document import document
    from underlay.report.explanation import causes

    found = {"cells": document(verdict), "causes": causes(explanation) if explanation else []}
    folder = keep_run(state.lab, "check", found, alive=state)
    if folder is not None:
        err.print(f"kept: {folder}")
