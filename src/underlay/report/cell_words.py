"""One judged cell in words, as JUnit XML, pytest's reports and monitoring have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.expect import asked_as
from underlay.report.terminal import STOPS, value_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.expect import End
    from underlay.verdict import Cell


def networks(ends: Iterable[End]) -> dict[str, str]:
    """Return the network of each end, by its name; of machines what they are."""
    return {end.name: end.network or f"{end.kind}s" for end in ends}


def asked(cell: Cell) -> str:
    """Return who asks whom, and how."""
    label = asked_as(cell.protocol, cell.family)
    return f"{cell.source} → {cell.destination} ({label})"


def became(cell: Cell) -> str:
    """Return what was expected of a cell, what was observed, and how that differs."""
    if not cell.measured:
        return f"not measured: {cell.reason}"
    words = f"expected {value_text(cell.expected)}, observed {value_text(cell.observed)}"
    if cell.elsewhere:
        words += f", but stopped elsewhere: {cell.stopped_at} instead of {cell.expected_stop}"
    elif cell.leaks:
        words += ", but the request arrived"
    elif cell.answered_by:
        words += f": {cell.answered_by} answered"
    elif cell.stopped_at:
        words += f": {STOPS[cell.stopped_at]} ({cell.stopped_at})"
    return words
