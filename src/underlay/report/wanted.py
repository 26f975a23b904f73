"""How it stands with what is wanted, predicted or measured, for people and as JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from underlay.errors import count
from underlay.expect import Expectation
from underlay.expect.intent import broken_words, reasons
from underlay.report.page import Page

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from underlay.expect.intent import Judged
    from underlay.verdict import Cell

    AnyJudged = Judged[Expectation] | Judged[Cell]

# So many rules of the prediction are named of a statement, and the rest counted.
RULES_SHOWN = 3
NO_CELL = "no cell"
NONE = "no cell of this lab is about it"
UNSEEN = "not everybody could look for what isn't planned"


def word(one: Judged[Expectation]) -> str:
    """Return how it stands with a statement: kept, broken, or about no cell of the lab."""
    return one.word if one.cells else NO_CELL


def wanted_section(
    stands: Sequence[AnyJudged],
    page: Page,
    before: Mapping[str, str] | None = None,
    *,
    measured: bool = False,
) -> None:
    """Append how many statements are kept, and what breaks the others or leaves them open.

    ``before`` says how it stood with a statement, by its text, in the lab as it was. Of cells that
    are ``measured`` it is said which of them are as predicted.
    """
    if not stands:
        return
    kept = sum(one.word == "kept" for one in stands)
    page.text.append("\nWhat is wanted\n", "bold")
    page.line(f"{kept} of {count(len(stands), 'statement')} kept", indent=2)
    for one in stands:
        if one.word == "kept":
            continue
        earlier = "" if before is None else f" ({before_words(one, before)})"
        if measured and one.word == "not measured":
            _not_measured(one, page)
            continue
        sign = "X" if page.ascii_only else "✗"
        page.line(f"{broken_line(one)}{earlier}", "bold red", 4, f"  {sign}")
        _why(one, page)


def _not_measured(one: AnyJudged, page: Page) -> None:
    statement = one.statement
    page.line(f"line {statement.line}: {statement.text}: not measured", "bold yellow", 4, "  ?")
    why = UNSEEN if statement.unplanned else NONE
    if one.cells:
        why = f"{len(one.untold)} of {count(len(one.cells), 'cell')} weren't measured"
    page.line(f"{why}.", indent=4)


def _why(one: AnyJudged, page: Page) -> None:
    """Append by which rules a statement is broken; of measured cells also by which not."""
    odd = [cell for cell in one.broken if not isinstance(cell, Expectation) and cell.differs]
    if odd:
        page.line(f"Not as predicted: {broken_words(one.statement.never, odd)}.", indent=4)
    planned = [cell for cell in one.broken if isinstance(cell, Expectation) or not cell.differs]
    measured = not isinstance(next(iter(planned), odd), Expectation)
    because_lines(reasons(one.statement.never, planned), page, "As predicted: " if measured else "")


def because_lines(why: Sequence[tuple[str, str]], page: Page, first: str = "") -> None:
    """Append the rules of ``why``, in words and with their sources; the many beyond are counted."""
    for words, reference in why[:RULES_SHOWN]:
        page.line(f"{first}{words}", indent=4)
        page.line(reference, "dim", 6)
    rest = len(why) - RULES_SHOWN
    if rest > 0:
        page.line(f"and by {count(rest, 'rule')} more, in --json", indent=4)


def broken_line(one: AnyJudged) -> str:
    """Return what isn't so with a statement, and on which line it stands."""
    if one.ways:
        return f"line {one.statement.line}: {one.statement.text}: {count(one.ways, 'way')} found"
    said = f"broken by {len(one.broken)} of {count(len(one.cells), 'cell')}" if one.cells else NONE
    said += f": {one.why}" if one.why else ""
    return f"line {one.statement.line}: {one.statement.text}: {said}"


def before_words(one: AnyJudged, before: Mapping[str, str]) -> str:
    """Return how it stood with a statement in the lab as it was, in words."""
    earlier = before.get(one.statement.text)
    return f"{earlier} before" if earlier else "not wanted before"


def wanted_document(stands: Iterable[Judged[Expectation]]) -> list[dict[str, Any]]:
    """Return the statements as JSON values, with the cells that break them."""
    return [
        {**statement_document(one, word(one)), "cells": [_expected(cell) for cell in one.broken]}
        for one in stands
    ]


def statement_document(one: AnyJudged, how: str) -> dict[str, Any]:
    """Return how it stands with a statement, in the word ``how``, without its cells."""
    return {
        "line": one.statement.line,
        "statement": one.statement.text,
        "kept": one.word == "kept",
        "word": how,
        "about": len(one.cells),
    }


def _expected(cell: Expectation) -> dict[str, Any]:
    reached = "reachable" if cell.reachable else "unreachable"
    return {
        "source": cell.source,
        "destination": cell.destination,
        "protocol": cell.protocol,
        "family": cell.family,
        "expected": cell.value if cell.kind == "value" else reached,
        "rule": cell.rule,
        "because": cell.because,
        "reference": cell.reference,
    }
