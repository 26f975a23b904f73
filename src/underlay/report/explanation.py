"""An explanation for people, and as JSON values."""

from __future__ import annotations

import shlex
import textwrap
from typing import TYPE_CHECKING, Any

from rich.text import Text

from underlay.errors import count
from underlay.report.pasted import commands, ended_words
from underlay.storage.seated import in_seat, typed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.faults import Cell
    from underlay.proof.explanation import Cause, Explanation

LINES_SHOWN = 4
RULES_SHOWN = 3
REPORT = (
    "Where the lab is as it was made, that is a defect of the prediction. Please report it, with "
    "the lab file, what `underlay explain --json` prints, and a node's kernel (`uname -r`)."
)
REPORT_IN_SEAT = (
    "Where nobody has changed the lab, that is a defect of the prediction: tell your trainer."
)


def document(explanation: Explanation) -> dict[str, Any]:
    """Return the explanation as JSON values, as ``explain --json`` prints it."""
    return {
        "causes": causes(explanation),
        "unexplained": [cell_document(cell) for cell in explanation.unexplained],
        "ruled_out": {layer: list(titles) for layer, titles in explanation.ruled_out.items()},
        "not_borne_out": list(explanation.not_borne_out),
        "doubted": [
            {
                "rule": one.rule,
                "because": one.because,
                "reference": one.reference,
                "cells": [cell_document(cell) for cell in one.cells],
            }
            for one in explanation.doubted
        ],
        "suspects": list(explanation.suspects),
        "unseen": explanation.unseen,
    }


def causes(explanation: Explanation) -> list[dict[str, Any]]:
    """Return the causes alone, as ``check --json`` has them."""
    return [_cause(explanation, cause) for cause in explanation.causes]


def _cause(explanation: Explanation, cause: Cause) -> dict[str, Any]:
    fault = cause.finding.fault
    return {
        "id": fault.id,
        "title": fault.title,
        "layer": fault.layer,
        "where": cause.where,
        "sureness": cause.sureness,
        "cause": fault.cause,
        "cells": [cell_document(cell) for cell in cause.cells],
        "evidence": [
            {"node": proof.node, "command": proof.command, "lines": list(proof.lines)}
            for proof in cause.finding.proofs
        ],
        "cure": cause.finding.cure,
        "commands": commands(explanation, cause),
        "reference": fault.reference,
    }


def cell_document(cell: Cell) -> dict[str, Any]:
    """Return a cell's name as JSON values."""
    return dict(zip(("source", "destination", "protocol", "family"), cell, strict=True))


def explanation_text(explanation: Explanation, *, width: int = 100) -> Text:
    """Return the explanation as text whose prose is wrapped at ``width`` columns."""
    text = Text()
    for number, cause in enumerate(explanation.causes, 1):
        _describe(text, number, explanation, cause, width)
    if explanation.unexplained:
        _leftover(text, explanation, width)
    for name, reason in explanation.unseen.items():
        _line(text, f"{name} could not be looked into: {reason}", width, style="yellow")
    if ended := ended_words(explanation):
        _line(text, ended, width)
    # One newline at the end, so that whoever prints more says how far it stands from this.
    text.rstrip()
    text.append("\n" if text else "")
    return text


def _describe(text: Text, number: int, explanation: Explanation, cause: Cause, width: int) -> None:
    fault = cause.finding.fault
    text.append(f"Cause {number}: {fault.title} ({fault.id})\n", "bold")
    text.append(
        f"  {cause.where} · {fault.layer} · {cause.sureness} · {count(len(cause.cells), 'cell')}\n"
    )
    _line(text, f"{fault.cause}", width, indent=2)
    for proof in cause.finding.proofs:
        text.append(f"  {proof.node}: {proof.command}\n", "dim")
        for line in proof.lines[:LINES_SHOWN]:
            text.append(f"    {line}\n")
        if len(proof.lines) > LINES_SHOWN:
            text.append(f"    and {len(proof.lines) - LINES_SHOWN} lines more\n", "dim")
    _cure(text, explanation, cause, width)
    _line(text, fault.reference, width, indent=2, style="dim")
    text.append("\n")


def _cure(text: Text, explanation: Explanation, cause: Cause, width: int) -> None:
    """Say what to paste, each command on a line of its own; words where there is none."""
    lines = commands(explanation, cause)
    if not lines:
        _line(text, f"Cure: {cause.finding.cure}", width, indent=2)
        return
    text.append("  Cure:\n")
    for line in lines:
        text.append(f"    {line}\n", "bold")


def _leftover(text: Text, explanation: Explanation, width: int) -> None:
    text.append(
        f"No cause found for {count(len(explanation.unexplained), 'cell')}\n", "bold yellow"
    )
    pairs = dict.fromkeys((source, there) for source, there, _, _ in explanation.unexplained)
    shown = [f"{source} → {there}" for source, there in list(pairs)[:4]]
    more = f" and {len(pairs) - 4} pairs more" if len(pairs) > 4 else ""
    _line(text, f"{', '.join(shown)}{more}", width, indent=2)
    if explanation.suspects:
        passed = "; ".join(explanation.suspects)
        words = f"All of them pass here, and nothing that works does: {passed}"
        _line(text, words, width, indent=2)
    for found in explanation.not_borne_out:
        _line(text, f"found, but it would change other cells: {found}", width, indent=2)
    for layer, titles in explanation.ruled_out.items():
        _line(text, f"ruled out, {layer}: {'; '.join(titles)}", width, indent=2, style="dim")
    _doubts(text, explanation, width)
    source, there, _, _ = explanation.unexplained[0]
    traced = f"trace {source} {there}"
    if explanation.file and not explanation.lab:
        # Of machines that exist.
        traced += f" --lab {shlex.quote(explanation.file)} -i INVENTORY --sudo"
    text.append(f"  `{typed(traced)}` shows how far a packet gets\n\n")


def _doubts(text: Text, explanation: Explanation, width: int) -> None:
    """Say which rules of the prediction may be what is wrong, and who would want to know."""
    for one in explanation.doubted[:RULES_SHOWN]:
        words = f"The rule may not hold here: {one.rule} ({count(len(one.cells), 'cell')})"
        _line(text, words, width, indent=2, style="yellow")
        _line(text, f"{one.because}", width, indent=4)
        _line(text, one.reference, width, indent=4, style="dim")
    rest = len(explanation.doubted) - RULES_SHOWN
    if rest > 0:
        where = "" if in_seat() else ", in --json"
        _line(text, f"and {count(rest, 'rule')} more{where}", width, indent=2)
    if explanation.doubted:
        _line(text, REPORT_IN_SEAT if in_seat() else REPORT, width, indent=2)


def _line(text: Text, words: str, width: int, *, indent: int = 0, style: str = "") -> None:
    pad = " " * indent
    wrapped: Iterable[str] = textwrap.wrap(
        words,
        width,
        initial_indent=pad,
        subsequent_indent=pad,
        break_long_words=False,
        break_on_hyphens=False,
    )
    text.append("\n".join(wrapped) + "\n", style)
