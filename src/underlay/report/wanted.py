"""How it stands with what is wanted if all goes as predicted, for people and as JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from underlay.intent import reasons
from underlay.report.page import Page, count

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from underlay.expect import Expectation
    from underlay.intent import Judged

RULES_SHOWN = 3
NO_CELL = "no cell"


def word(one: Judged[Expectation]) -> str:
    """Return how it stands with a statement: kept, broken, or about no cell of the lab."""
    return one.word if one.cells else NO_CELL


def wanted_section(
    stands: Sequence[Judged[Expectation]], page: Page, before: Mapping[str, str] | None = None
) -> None:
    """Append how many statements are kept, and what breaks the others.

    ``before`` says how it stood with a statement, by its text, in the lab as it was.
    """
    if not stands:
        return
    kept = sum(one.word == "kept" for one in stands)
    page.text.append("\nWhat is wanted\n", "bold")
    page.line(f"{kept} of {count(len(stands), 'statement')} kept", indent=2)
    for one in stands:
        if one.word != "kept":
            earlier = "" if before is None else f" ({before_words(one, before)})"
            sign = "X" if page.ascii_only else "✗"
            page.line(f"{broken_line(one)}{earlier}", "bold red", 4, f"  {sign}")
            why = reasons(one.statement.never, one.broken)
            for words, reference in why[:RULES_SHOWN]:
                page.line(words, indent=4)
                page.line(reference, "dim", 6)
            rest = len(why) - RULES_SHOWN
            if rest > 0:
                page.line(f"and by {count(rest, 'rule')} more, in --json", indent=4)


def broken_line(one: Judged[Expectation]) -> str:
    """Return what isn't so with a statement, and on which line it stands."""
    how = f"broken by {len(one.broken)} of {count(len(one.cells), 'cell')}"
    said = how if one.cells else "no cell of this lab is about it"
    return f"line {one.statement.line}: {one.statement.text}: {said}"


def before_words(one: Judged[Expectation], before: Mapping[str, str]) -> str:
    """Return how it stood with a statement in the lab as it was, in words."""
    earlier = before.get(one.statement.text)
    return f"{earlier} before" if earlier else "not wanted before"


def wanted_document(stands: Iterable[Judged[Expectation]]) -> list[dict[str, Any]]:
    """Return the statements as JSON values, with the cells that break them."""
    return [
        {
            "line": one.statement.line,
            "statement": one.statement.text,
            "kept": one.word == "kept",
            "word": word(one),
            "about": len(one.cells),
            "cells": [
                {
                    "source": cell.source,
                    "destination": cell.destination,
                    "protocol": cell.protocol,
                    "family": cell.family,
                    "expected": cell.value if cell.kind == "value" else _reached(cell),
                    "rule": cell.rule,
                    "because": cell.because,
                    "reference": cell.reference,
                }
                for cell in one.broken
            ],
        }
        for one in stands
    ]


def _reached(cell: Expectation) -> str:
    return "reachable" if cell.reachable else "unreachable"
