"""What packets say of a change: as text for a terminal, as Markdown's lines, and as JSON values."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from underlay.errors import count
from underlay.report.explanation import causes, explanation_text
from underlay.report.page import Page
from underlay.report.terminal import value_text
from underlay.report.wanted import wanted_section

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from underlay.proof.difference.proving import LabProof, ProvenCell
    from underlay.proof.result import LabResult
    from underlay.verdict import Cell

SHOWN = 12
NO_CHANGE = "no cell should change"
SIDES = ("OLD", "NEW")


def proven_section(proof: LabProof, page: Page) -> None:
    """Append whether the change is as predicted, and which cells aren't, with the causes."""
    page.text.append("\nMeasured\n", "bold")
    for words in proven_lines(proof):
        page.line(words, indent=2)
    for cells, sign, style in (
        (_of(proof, "differs"), "X" if page.ascii_only else "✗", "bold red"),
        (_of(proof, "not measured"), "?", "bold yellow"),
    ):
        for words in cells_lines(cells):
            page.line(words, style, 4, f"  {sign}", 4)
    for side, result in zip(SIDES, (proof.old, proof.new), strict=True):
        if result.explanation is not None and result.explanation.causes:
            page.text.append(f"\nIn {side}\n", "bold")
            page.text.append_text(explanation_text(result.explanation, width=page.width))
    broken = [one for one in proof.new.verdict.intent if one.word != "kept"]
    if broken:
        wanted_section(proof.new.verdict.intent, page, measured=True)


def proven_lines(proof: LabProof) -> list[str]:
    """Return in words how both labs were measured, and what came of it."""
    lines = [f"{SIDES[0]} and {SIDES[1]} on one boot"]
    if proof.boots > 1:
        lines = [f"on two boots, since {'; '.join(proof.why)}" if proof.why else "on two boots"]
    for side, result in zip(SIDES, (proof.old, proof.new), strict=True):
        if result.error is not None:
            lines.append(f"{side} did not come up: {result.error.message}")
    lines += filter(None, [_seconds(proof)])
    return [
        *lines,
        f"{_counted(proof.changes, 'change')} as predicted" if proof.changes else NO_CHANGE,
        f"{_counted(proof.others, 'other cell')} as before, as predicted",
    ]


def _seconds(proof: LabProof) -> str:
    """Return the phases' seconds of each lab, those of a lab that didn't come up too."""
    told = (
        f"{side}: {', '.join(f'{phase} {taken:.1f} s' for phase, taken in result.timings.items())}"
        for side, result in zip(SIDES, (proof.old, proof.new), strict=True)
        if result.timings
    )
    return "; ".join(told)


def _counted(cells: Sequence[ProvenCell], noun: str) -> str:
    words = [cell.word for cell in cells]
    right, odd, unknown = (words.count(w) for w in ("as predicted", "differs", "not measured"))
    beside = f" ({odd} otherwise)" if odd else ""
    beside += f" ({unknown} not measured)" if unknown else ""
    return f"{right} of {count(len(cells), noun)}{beside}"


def _of(proof: LabProof, word: str) -> list[ProvenCell]:
    return [cell for cell in proof.cells if cell.word == word]


def cells_lines(cells: Iterable[ProvenCell]) -> list[str]:
    """Return a line for each pair of which cells aren't as predicted, the many beyond counted."""
    alike: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for cell in cells:
        one = cell.sides[-1]
        alike[one.source, one.destination, _fate(cell)].append(one.label)
    lines = [
        f"{source} → {destination} ({', '.join(labels)}): {fate}"
        for (source, destination, fate), labels in alike.items()
    ]
    rest = len(lines) - SHOWN
    return [*lines[:SHOWN], *([f"and {count(rest, 'pair')} more"] if rest > 0 else [])]


def _fate(cell: ProvenCell) -> str:
    """Say what was predicted of a cell in each lab, and what was measured."""
    predicted = cell.what or "as before"
    sides = ((SIDES[0], cell.old), (SIDES[1], cell.new))
    told = [f"in {side} {_side(one)}" for side, one in sides if one is not None]
    return f"predicted {predicted}; {', '.join(told)}"


def _side(cell: Cell) -> str:
    if not cell.measured:
        return "not measured"
    seen, wanted = value_text(cell.observed), value_text(cell.expected)
    if not cell.differs:
        return f"{seen}, as predicted"
    if seen == wanted:
        where = f"{cell.stopped_at} instead of {cell.expected_stop}"
        return f"{seen}, as predicted, but {'the request arrived' if cell.leaks else where}"
    return f"{seen} instead of {wanted}"


def proven_document(proof: LabProof) -> dict[str, Any]:
    """Return what was measured as JSON values; ``cells`` are those that aren't as predicted."""
    changes, others = ([cell.word for cell in cells] for cells in (proof.changes, proof.others))
    return {
        "boots": proof.boots,
        "why_two_boots": list(proof.why) if proof.boots > 1 else [],
        "changes": _counts(changes),
        "others": _counts(others),
        "old": _result(proof.old),
        "new": _result(proof.new),
        "statements_broken": proof.new.verdict.summary.statements_broken,
        "cells": [_cell(cell) for cell in proof.cells if cell.word != "as predicted"],
    }


def _counts(words: Sequence[str]) -> dict[str, int]:
    return {
        "cells": len(words),
        "as_predicted": words.count("as predicted"),
        "differs": words.count("differs"),
        "not_measured": words.count("not measured"),
    }


def _result(result: LabResult) -> dict[str, Any]:
    return {
        "error": result.error.message if result.error else None,
        "timings": result.timings,
        "causes": causes(result.explanation) if result.explanation else [],
    }


def _cell(cell: ProvenCell) -> dict[str, Any]:
    one = cell.sides[-1]
    return {
        "change": cell.what or None,
        "word": cell.word,
        "source": one.source,
        "destination": one.destination,
        "protocol": one.protocol,
        "family": one.family,
        "before": _seen(cell.old),
        "now": _seen(cell.new),
    }


def _seen(cell: Cell | None) -> dict[str, Any]:
    if cell is None:
        return dict.fromkeys(("expected", "observed", "stopped_at", "rule"))
    stop = cell.stopped_at or None
    seen = {"expected": cell.expected, "observed": cell.observed}
    return {**seen, "stopped_at": stop, "rule": cell.rule}
