"""What is to be expected of a lab, for people and as the JSON document of ``predict``.

The matrix, the reasons and the names of fields are those of a verdict, without what was seen.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from underlay.errors import count
from underlay.expect import FAMILIES, asked_as
from underlay.expect.intent import stands_of
from underlay.report.found_errors import found_section
from underlay.report.matrix import TO_BE_MIXED, predicted_matrix, predicted_sign
from underlay.report.page import Page
from underlay.report.terminal import common_values, mixed_line, plain, reasons_section
from underlay.report.wanted import wanted_document, wanted_section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from underlay.expect import End, Expectation, Prediction, Value
    from underlay.expect.intent import Judged
    from underlay.lint import Loaded
    from underlay.proof.choice import Chosen


@dataclass(frozen=True)
class Predicted:
    """What is told of a prediction: its cells, how it stands with statements, what is left out."""

    lab: str
    reach: tuple[Expectation, ...]
    values: tuple[Expectation, ...]
    intent: tuple[Judged[Expectation], ...]
    left_out: int = 0

    @property
    def cells(self) -> tuple[Expectation, ...]:
        """All cells, in the order of the matrix."""
        return (*self.reach, *self.values)

    @property
    def reachable(self) -> int:
        """How many cells are to be reachable."""
        return sum(cell.reachable for cell in self.reach)


def predicted(prediction: Prediction, chosen: Chosen | None = None) -> Predicted:
    """Return what is told of ``prediction``: all of it, or what is about the ``chosen`` cells."""
    lab, stands = prediction.plan.lab, stands_of(prediction)
    if chosen is None:
        return Predicted(lab, prediction.reach, prediction.values, stands)
    reach, values = (chosen.expectations(c) for c in (prediction.reach, prediction.values))
    left_out = len(prediction.cells) - len(reach) - len(values)
    return Predicted(lab, reach, values, chosen.stands(stands), left_out)


def prediction_document(prediction: Prediction, chosen: Chosen | None = None) -> dict[str, Any]:
    """Return ``prediction`` as JSON values; fields of cells are those of ``check --json``.

    ``expected`` of a cell of kind ``value`` is a text or a list; ``expected_stop`` is null where
    nothing stops. With ``chosen`` these cells alone are in it.
    """
    told = predicted(prediction, chosen)
    return {
        "lab": told.lab,
        "summary": {
            "cells": len(told.cells),
            "reachable": told.reachable,
            "unreachable": len(told.reach) - told.reachable,
            "values": len(told.values),
            "left_out": told.left_out,
        },
        "intent": wanted_document(told.intent),
        "cells": [expectation_document(cell) for cell in told.cells],
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
    prediction: Prediction,
    ends: Sequence[End],
    chosen: Chosen | None = None,
    errors: Loaded | None = None,
    *,
    width: int = 100,
    ascii_only: bool = False,
    wide: bool = False,
) -> Text:
    """Return what is to be expected as one text whose prose is wrapped at ``width`` columns.

    With ``chosen`` it is of these cells alone; what lint finds in ``errors`` is said. Print
    it with ``soft_wrap=True``: lines of the matrix must not be wrapped again.
    """
    told = predicted(prediction, chosen)
    page, reach = Page(width, ascii_only), told.reach
    if reach:
        page.text.append("rows ask, columns answer\n\n", "dim")
        page.text.append_text(
            predicted_matrix(reach, ends, width=width, ascii_only=ascii_only, wide=wide)
        )
        page.text.append("\n\n")
    page.text.append(f"{count(len(told.cells), 'cell')}: ", "bold")
    beside = f", {count(len(told.values), 'value')}" if told.values else ""
    beside += f", {told.left_out} left out" if told.left_out else ""
    unreachable = len(reach) - told.reachable
    page.text.append(f"{told.reachable} reachable, {unreachable} unreachable{beside}\n")
    _families(reach, page)
    _mixed(reach, page)
    if errors:
        found_section(errors.errors, errors.text.file, page)
    _values(told.values, page)
    wanted_section(told.intent, page)
    because = [(cell.because, cell.stop, cell.reference) for cell in reach if not cell.reachable]
    reasons_section(because, page, "Why cells are expected to be unreachable")
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
