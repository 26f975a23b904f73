"""The verb ``mend``: takes back what ``break`` has done, and proves that the lab is green."""

from __future__ import annotations

import typer

from underlay.cli.console import out, print_document, progress
from underlay.cli.lab_proof import measure_lab
from underlay.cli.options import AsJson, LabOption
from underlay.cli.which_lab import running_state

GROUP = "Faults"
ORDER = 30


def command(
    lab: LabOption = None,
    as_json: AsJson = False,
) -> None:
    """Undo all that `break` has done to a running lab, and measure it.

    What to undo was recorded before it was done, so this works after a crash, too.
    The last fault is undone first. Exit codes are those of `check`: 0 means that the
    lab is green again.

    Example:
      underlay mend
      underlay mend --lab docker-vlan --json
    """
    from underlay.cluster.state.lock import turn
    from underlay.faults.record import mend
    from underlay.report.terminal import summary_line

    state = running_state(lab)
    with progress(f"mending {state.lab}") as running, turn(state.lab, running.step):
        mended = mend(state)
    verdict = measure_lab(state)
    if as_json:
        print_document(
            "mend",
            {
                "lab": state.lab,
                "mended": [{"fault": one.fault, "where": one.where} for one in mended],
                "green": verdict.exit_code == 0,
            },
        )
    else:
        for one in mended:
            out.print(f"mended: {one.fault} at {one.where}")
        if not mended:
            out.print("nothing was broken on purpose")
        out.print(summary_line(verdict), end="")
        if verdict.exit_code:
            out.print("next: underlay explain")
    raise typer.Exit(verdict.exit_code)
