"""The verb ``demo``: from nothing to a proven matrix of the default lab."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from underlay.cli import timeline
from underlay.cli.console import err, out, print_json
from underlay.cli.measuring import measured, show
from underlay.cli.verbs import up
from underlay.errors import EXIT_OK

NEXT = """
The lab stays up. Next (`underlay` is ./underlay in the checkout):
  underlay status                                  who is where, with which address
  underlay ssh core-01                             a shell on a node
  underlay exec lannet-1a -- ping -c 1 20.1.1.129  from one node's container to another's
  underlay exec core-02 -- ip link set eth1 down   break something …
  underlay check                                   … and see which cells say so
  underlay down                                    leave nothing behind
"""


def command(
    timings: Annotated[
        bool, typer.Option("--timings", help="Show as a timeline where the time went.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document on stdout.")
    ] = False,
) -> None:
    """Start the default lab, measure its matrix and leave it running.

    Three CoreOS-style nodes, CNI macvlan on eth1 and CNI ipvlan on eth2, written by
    cloud-config. The first run builds the nodes' image, which takes about a minute.
    The exit code is that of ``check``.

    Example:
      underlay demo
      underlay demo --timings
    """
    from underlay.proof.lab import RunningLab

    began = time.monotonic()
    state, phases = up.start(None, "uml", force=False)
    verdict = measured(RunningLab(state))
    total = round(time.monotonic() - began, 3)
    if as_json:
        from underlay.report.document import document

        judged = document(verdict)
        judged["timings"] = {**phases, **judged["timings"], "total": total}
        if timings:
            judged["spans"] = timeline.document(state)
        print_json(judged)
        raise typer.Exit(verdict.exit_code)
    show(state, verdict)
    spent = " · ".join(f"{phase.replace('_', ' ')} {s:.1f} s" for phase, s in phases.items())
    err.print(f"{spent} · in all {total:.1f} s", style="dim")
    if timings:
        timeline.show(state)
    if verdict.exit_code == EXIT_OK:
        out.print(NEXT.rstrip())
    raise typer.Exit(verdict.exit_code)
