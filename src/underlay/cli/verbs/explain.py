"""The verb ``explain``: why cells of a running lab differ from the prediction."""

from __future__ import annotations

import typer

from underlay.cli.console import out, print_json
from underlay.cli.lab_proof import prove_lab
from underlay.cli.options import AsJson, LabOption
from underlay.cli.which_lab import running_state

GROUP = "Labs"
ORDER = 60


def command(
    lab: LabOption = None,
    as_json: AsJson = False,
) -> None:
    """Say why cells of a running lab differ from the prediction.

    The lab is measured, and every node, container and the switch are looked into at
    once. The causes named are as few as account for the differing cells, each with
    what was seen, the cells, the cure and a source. What none accounts for is said
    to be unexplained, with what was ruled out. Statements of what is wanted that are broken
    follow, with the cells that break them, and then what is reachable and not planned, with
    what makes it. Exit codes are those of `check`.

    Example:
      underlay explain
      underlay explain --lab docker-vlan --json
    """
    from underlay.report.explanation import document, explanation_text
    from underlay.report.intent import intent_document, intent_text
    from underlay.report.origins import origins_document, origins_text
    from underlay.report.terminal import page_form, summary_line
    from underlay.report.unplanned import unplanned_document, unplanned_text

    state = running_state(lab)
    proof = prove_lab(state)
    verdict, explanation = proof.verdict, proof.explanation
    if as_json:
        beside = {
            "intent": intent_document(verdict),
            "unplanned": unplanned_document(verdict)["unplanned"],
            **origins_document(state.plan(), verdict),
        }
        print_json({"lab": state.lab, **document(explanation), **beside})
    else:
        width, _ = page_form(out)
        out.print(summary_line(verdict), end="")
        if verdict.as_predicted:
            out.print("nothing to explain: every cell is as expected")
        else:
            out.print()
            out.print(explanation_text(explanation, width=width), end="")
            out.print(origins_text(state.plan(), verdict, width=width), end="")
        out.print(intent_text(verdict, width=width), end="")
        out.print(unplanned_text(verdict, width=width), end="")
    raise typer.Exit(verdict.exit_code)
