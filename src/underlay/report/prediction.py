"""What is to be expected of a lab, for people and as the JSON document of ``predict``.

The matrix, the reasons and the names of fields are those of a verdict, without what was seen.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from underlay.expect import FAMILIES, asked_as
from underlay.intent import stands_of
from underlay.report.matrix import TO_BE_MIXED, predicted_matrix, predicted_sign
from underlay.report.page import Page, count
from underlay.report.terminal import common_values, mixed_line, plain, reasons_section
from underlay.report.wanted import wanted_document, wanted_section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from underlay.expect import End, Expectation, Prediction, Value


@dataclass(frozen=True)
class PredictedSummary:
    """How many cells there are; ``values`` are those that ask what is seen."""

    cells: int
    reachable: int
    unreachable: int
    values: int


def predicted_summary(prediction: Prediction) -> PredictedSummary:
    """Count the cells of ``prediction``."""
    reach = prediction.reach
    reachable = sum(cell.reachable for cell in reach)
    values = len(prediction.values)
    return PredictedSummary(len(reach) + values, reachable, len(reach) - reachable, values)


def prediction_document(prediction: Prediction) -> dict[str, Any]:
    """Return ``prediction`` as JSON values; fields of cells are those of ``check --json``.

    ``expected`` of a cell of kind ``value`` is a text or a list; ``expected_stop`` is null where
    nothing stops.
    """
    summary = predicted_summary(prediction)
    return {
        "lab": prediction.plan.lab,
        "summary": {
            "cells": summary.cells,
            "reachable": summary.reachable,
            "unreachable": summary.unreachable,
            "values": summary.values,
        },
        "intent": wanted_document(stands_of(prediction)),
        "cells": [expectation_document(cell) for cell in prediction.cells],
    }


def expectation_document(cell: Expectation) -> dict[str, Any]:
    """Return what is to be expected of one cell as JSON values."""
    return {
        "source": cell.source,
        "destination": cell.destination,
        "protocol": cell.protocol,
        "family": cell.family,
        "kind": cell.kind,
        "expected": expected(cell),
        "expected_stop": cell.stop or None,
        "rule": cell.rule,
        "because": cell.because,
        "reference": cell.reference,
    }


def expected(cell: Expectation) -> Value:
    """Return what is to be expected in the words of a verdict, or the value."""
    if cell.kind == "value":
        return cell.value
    return "reachable" if cell.reachable else "unreachable"


def prediction_text(
    prediction: Prediction, ends: Sequence[End], *, width: int = 100, ascii_only: bool = False
) -> Text:
    """Return what is to be expected as one text whose prose is wrapped at ``width`` columns.

    Print it with ``soft_wrap=True``: lines of the matrix must not be wrapped again.
    """
    page = Page(width, ascii_only)
    reach = prediction.reach
    page.text.append("rows ask, columns answer\n\n", "dim")
    page.text.append_text(predicted_matrix(reach, ends, width=width, ascii_only=ascii_only))
    page.text.append("\n\n")
    summary = predicted_summary(prediction)
    page.text.append(f"{count(summary.cells, 'cell')}: ", "bold")
    beside = f", {count(summary.values, 'value')}" if summary.values else ""
    page.text.append(f"{summary.reachable} reachable, {summary.unreachable} unreachable{beside}\n")
    _families(reach, page)
    _mixed(reach, page)
    _values(prediction.values, page)
    wanted_section(stands_of(prediction), page)
    told = [(cell.because, cell.stop, cell.reference) for cell in reach if not cell.reachable]
    reasons_section(told, page, "Why cells are expected to be unreachable")
    return plain(page)


def _families(reach: Sequence[Expectation], page: Page) -> None:
    """Say how many cells of each family are reachable, where there are two."""
    told = []
    for family in FAMILIES:
        cells = [cell for cell in reach if cell.family == family]
        reachable = sum(cell.reachable for cell in cells)
        told += [f"IPv{family}: {reachable} of {count(len(cells), 'cell')}"] if cells else []
    if len(told) > 1:
        page.line(f"{', '.join(told)} reachable")


def _mixed(reach: Sequence[Expectation], page: Page) -> None:
    pairs: dict[tuple[str, str], list[Expectation]] = defaultdict(list)
    for cell in reach:
        pairs[cell.source, cell.destination].append(cell)
    mixed = [cells for cells in pairs.values() if predicted_sign(cells) is TO_BE_MIXED]
    mixed_line(
        (
            (asked_as(cell.protocol, cell.family), cell.destination, cell.reachable)
            for cells in mixed
            for cell in cells
        ),
        page,
    )


def _values(values: Sequence[Expectation], page: Page) -> None:
    """Append what is to be seen, a line for each check."""
    checks: dict[str, list[Expectation]] = defaultdict(list)
    for cell in values:
        checks[asked_as(cell.protocol, cell.family)].append(cell)
    if not checks:
        return
    page.text.append("\nWhat is to be seen\n", "bold")
    wide = max(map(len, checks))
    for label, cells in checks.items():
        seen = common_values(cell.value for cell in cells)
        words = f"{count(len(cells), 'cell')}: {seen}"
        page.line(words, indent=wide + 4, first=f"  {label}")
