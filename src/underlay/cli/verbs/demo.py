"""The verb ``demo``: from nothing to a proven matrix of the default lab."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from underlay.cli.console import err, out, print_document
from underlay.cli.lab_proof import measure_lab, show_matrix
from underlay.cli.options import AsJson, Timings
from underlay.cli.verbs import up
from underlay.cluster.providers import DEFAULT
from underlay.errors import EXIT_OK

if TYPE_CHECKING:
    from pathlib import Path

    from underlay.cluster.state.lab import LabState
    from underlay.verdict import Verdict

GROUP = "Labs"
ORDER = 10

NEXT = """
The lab stays up. Next (`underlay` is ./underlay in the checkout):
  underlay status                                  who is where, with which address
  underlay ssh core-01                             a shell on a node
  underlay exec lannet-1a -- ping -c 1 20.1.1.129  from one node's container to another's
  underlay exec core-02 -- ip link set eth1 down   break something,
  underlay check                                   see which cells say so, and why
  underlay down                                    leave nothing behind
"""


def command(
    timings: Timings = False,
    as_json: AsJson = False,
) -> None:
    """Start the default lab, measure its matrix and leave it running.

    Vagrant boots three Debian nodes in the manner of CoreOS: user core, CNI macvlan on eth1
    and CNI ipvlan on eth2, written by cloud-config. The first run builds the nodes' image,
    which takes about a minute. The last line names a page with the lab's picture and its matrix,
    for a browser. The exit code is that of ``check``.

    Example:
      underlay demo
      underlay demo --timings
    """
    began = time.monotonic()
    state, phases = up.start(None, DEFAULT, force=False)
    verdict = measure_lab(state)
    total = round(time.monotonic() - began, 3)
    if as_json:
        from underlay.cluster.spans import start_spans
        from underlay.report import timeline
        from underlay.report.document import document

        page = document(verdict)
        page["timings"] = {**phases, **page["timings"], "total": total}
        if timings:
            page["spans"] = timeline.document(start_spans(state))
        print_document("demo", page)
        raise typer.Exit(verdict.exit_code)
    show_matrix(state.plan(), verdict)
    page_of_it = _page(state, verdict)
    spent = " · ".join(f"{phase.replace('_', ' ')} {s:.1f} s" for phase, s in phases.items())
    err.print(f"{spent} · in all {total:.1f} s", style="dim")
    if timings:
        up.show_timeline(state)
    if verdict.exit_code == EXIT_OK:
        out.print(NEXT.rstrip())
    out.print(f"\nThe same to look at, in any browser: {page_of_it}", soft_wrap=True)
    raise typer.Exit(verdict.exit_code)


def _page(state: LabState, verdict: Verdict) -> Path:
    """Write the run as a page into the lab's folder, which `down` takes away, and say where."""
    from underlay.cli.recording import recorded_in, source_of
    from underlay.proof.choice import Choice
    from underlay.proof.result import LabResult

    page = state.folder / "matrix.html"
    with recorded_in(None, None, page, of="running", strict=False, choice=Choice()) as run:
        if run.kept:
            run.of_labs([source_of(state)], state.provider)
        run.add(LabResult(verdict))
    return page
