"""How it stands with what is wanted of a measured lab, in a line, by itself, and as JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from underlay.errors import count
from underlay.report.page import Page
from underlay.report.wanted import statement_document, wanted_section

if TYPE_CHECKING:
    from underlay.verdict import Cell, Verdict


def intent_text(verdict: Verdict, *, width: int = 100, ascii_only: bool = False) -> Text:
    """Return the section about what is wanted by itself; an empty text where nothing is."""
    page = Page(width, ascii_only)
    wanted_section(verdict.intent, page, measured=True)
    return page.text


def intent_words(verdict: Verdict) -> str:
    """Return for the line that sums a verdict up how it stands with what is wanted, if anything."""
    summary = verdict.summary
    if summary.statements_broken:
        return f"{count(summary.statements_broken, 'statement')} broken"
    if summary.statements_not_measured:
        return f"{count(summary.statements_not_measured, 'statement')} not measured"
    return f"{count(summary.statements, 'statement')} kept" if summary.statements else ""


def intent_document(verdict: Verdict) -> list[dict[str, Any]]:
    """Return the statements as JSON values, with the cells for which they aren't kept."""
    return [
        {
            **statement_document(one, one.word),
            "cells": [_cell(cell) for cell in (*one.broken, *one.untold)],
        }
        for one in verdict.intent
    ]


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "source": cell.source,
        "destination": cell.destination,
        "protocol": cell.protocol,
        "family": cell.family,
        "expected": cell.expected,
        "observed": cell.observed,
        "arrived": cell.arrived,
        "differs": cell.differs,
        "rule": cell.rule,
        "because": cell.because,
        "reference": cell.reference,
    }
