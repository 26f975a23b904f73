"""The verb ``explain``: why cells of a running lab differ from the prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.console import out, print_json
from underlay.cli.measuring import explained, measured
from underlay.cli.which_lab import running_state

if TYPE_CHECKING:
    pass


def command(
    lab: Annotated[
        str | None, typer.Option("--lab", help="The running lab; not needed for the only one.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document on stdout.")
    ] = False,
) -> None:
    """Say why cells of a running lab differ from the prediction.

    The lab is measured, and every node, container and the switch are looked into at
    once. The causes named are as few as account for the differing cells, each with
    what was seen, the cells, the cure and a source. What none accounts for is said
    to be unexplained, with what was ruled out. Exit codes are those of `check`.

    Example:
      underlay explain
      underlay explain --lab docker-vlan --json
    """
    from underlay.proof.lab import RunningLab
    from underlay.report.explanation import document, explanation_text
    from underlay.report.terminal import summary_line

    state = running_state(lab)
    running = RunningLab(state)
    verdict = measured(running)
    explanation = explained(running, verdict)
    if as_json:
        print_json({"lab": state.lab, **document(explanation)})
    else:
        out.print(summary_line(verdict), end="")
        if verdict.exit_code == 0:
            out.print("nothing to explain: every cell is as expected")
        else:
            out.print()
            out.print(explanation_text(explanation, width=min(out.width, 100)), end="")
    raise typer.Exit(verdict.exit_code)
