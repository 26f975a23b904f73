"""The verb ``predict``: the matrix that is to be expected of a lab, without a node."""

from __future__ import annotations

from underlay.cli.carried_over import remarks, tell_remarks
from underlay.cli.console import out, print_document
from underlay.cli.lint_errors import tell_errors
from underlay.cli.options import AsJson, LabFile, NotOption, OnlyOption, ProtocolOption, Wide
from underlay.cli.which_lab import DEFAULT_LAB, resolve_lab

GROUP = "Files"
ORDER = 22


def command(
    lab: LabFile = None,
    only: OnlyOption = None,
    without: NotOption = None,
    protocol: ProtocolOption = None,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Print the matrix that is to be expected of a lab, without starting a node.

    That is what `check` compares packets with: who reaches whom, and for what isn't reachable
    the rules by which it isn't, each with its reason and the source that says so. With --json
    each cell has them. A lab with errors of lint is predicted as it is written, and they are
    named: it may do less than is predicted. stderr says how much of a fleet's files it hasn't.
    Exit code 0; 2 where the file can't be read as a lab.

    Example:
      underlay predict
      underlay predict docker-vlan
      underlay predict labs/coreos.yml --json
    """
    from underlay.expect import Prediction, ends
    from underlay.lint import load
    from underlay.proof.choice import Choice
    from underlay.report.found_errors import found_document
    from underlay.report.prediction import prediction_document, prediction_text
    from underlay.report.terminal import page_form

    loaded = load(resolve_lab(lab))
    prediction = Prediction(loaded.plan)
    choice = Choice(tuple(only or ()), tuple(without or ()), tuple(protocol or ()))
    chosen = choice.of_prediction(prediction) if choice else None
    if as_json:
        said = list(remarks(loaded.carried))
        beside = {"findings": found_document(loaded.errors), "remarks": said}
        print_document("predict", {**prediction_document(prediction, chosen), **beside})
        tell_errors(loaded, lab or DEFAULT_LAB)
    else:
        width, plain = page_form(out)
        page = prediction_text(
            *(prediction, ends(loaded.plan), chosen, loaded),
            width=width,
            ascii_only=plain,
            wide=wide,
        )
        out.print(page, end="")
    tell_remarks(loaded, lab or DEFAULT_LAB)
