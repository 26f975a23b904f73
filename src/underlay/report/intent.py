"""The section about what is wanted of a lab, for people and as JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from underlay.intent import broken_words, reasons
from underlay.report.page import Page, count

if TYPE_CHECKING:
    from underlay.intent import Judged
    from underlay.verdict import Cell, Verdict

# So many rules of the prediction are named of a statement, and the rest counted.
RULES_SHOWN = 3


def intent_section(verdict: Verdict, page: Page) -> None:
    """Append to ``page`` how many statements are kept, and what breaks the others."""
    if not verdict.intent:
        return
    summary = verdict.summary
    kept = summary.statements - summary.statements_broken - summary.statements_not_measured
    page.text.append("\nWhat is wanted\n", "bold")
    page.line(f"{kept} of {count(summary.statements, 'statement')} kept", indent=2, first="  ")
    for one in verdict.intent:
        if one.word == "broken":
            _broken(one, page)
        elif one.word == "not measured":
            _not_measured(one, page)


def intent_text(verdict: Verdict, *, width: int = 100, ascii_only: bool = False) -> Text:
    """Return the section by itself; an empty text where nothing is wanted."""
    page = Page(width, ascii_only)
    intent_section(verdict, page)
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
            "line": one.statement.line,
            "statement": one.statement.text,
            "kept": one.word == "kept",
            "word": one.word,
            "about": len(one.cells),
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


def _broken(one: Judged[Cell], page: Page) -> None:
    statement = one.statement
    sign = "X" if page.ascii_only else "✗"
    words = f"{statement.text}: broken by {len(one.broken)} of {count(len(one.cells), 'cell')}"
    page.line(f"line {statement.line}: {words}", "bold red", 4, f"  {sign}")
    planned = [cell for cell in one.broken if not cell.differs]
    odd = [cell for cell in one.broken if cell.differs]
    if odd:
        page.line(
            f"Not as predicted: {broken_words(statement.never, odd)}.", indent=4, first="    "
        )
    why = reasons(statement.never, planned)
    for words, reference in why[:RULES_SHOWN]:
        page.line(f"As predicted: {words}", indent=4, first="    ")
        page.line(reference, "dim", 6)
    rest = len(why) - RULES_SHOWN
    if rest > 0:
        page.line(f"and by {count(rest, 'rule')} more, in --json", indent=4, first="    ")


def _not_measured(one: Judged[Cell], page: Page) -> None:
    statement = one.statement
    words = f"line {statement.line}: {statement.text}: not measured"
    page.line(words, "bold yellow", 4, "  ?")
    why = "no cell of this lab is about it"
    if one.cells:
        why = f"{len(one.untold)} of {count(len(one.cells), 'cell')} weren't measured"
    page.line(f"{why}.", indent=4, first="    ")
