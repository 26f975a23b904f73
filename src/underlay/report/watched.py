"""A lab that is measured again and again, told: what changed, as lines and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from underlay.errors import count
from underlay.report.document import cell_document
from underlay.report.matrix import sign_of
from underlay.report.terminal import plain_text, summary_line

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from underlay.proof.watched import Change, Measurement
    from underlay.report.matrix import Sign
    from underlay.verdict import Cell

# Lines about one measurement on a terminal, where more would push the matrix out of sight.
FEW = 8


def clock(measurement: Measurement) -> str:
    """Return when a measurement began, by the clock on the wall here."""
    return measurement.at.astimezone().strftime("%H:%M:%S")


@dataclass(frozen=True)
class Row:
    """What became of a pair: how its cells stand now, who asks whom, and words about it."""

    sign: Sign
    source: str
    destination: str
    words: str


def rows(measurement: Measurement) -> list[Row]:
    """Return a row for each pair of ends of which something else was seen than before.

    Where there is nothing to compare with, they are about what isn't as expected.
    """
    told = _first(measurement) if measurement.anew else _changed(measurement.changes)
    return [
        Row(sign_of(cells), cells[0].source, cells[0].destination, words) for cells, words in told
    ]


def lines(
    measurement: Measurement, *, ascii_only: bool = False, most: int | None = None
) -> list[Text]:
    """Return the rows as lines with their time; ``most`` of them, and how many are left."""
    told = rows(measurement)
    shown = told if most is None or len(told) <= most else told[: most - 1]
    found = []
    for row in shown:
        line = Text(f"{clock(measurement)} ")
        sign = row.sign.text(ascii_only)
        line.append(f"{sign} {row.source} → {row.destination}", row.sign.style)
        found.append(line.append(f": {row.words}"))
    if len(shown) < len(told):
        left = f"and {count(len(told) - len(shown), 'pair')} more"
        found.append(Text(f"{clock(measurement)}   {left}"))
    return [plain_text(line) for line in found] if ascii_only else found


def sum_of(measurement: Measurement, *, ascii_only: bool = False) -> Text:
    """Return when a measurement began and how many cells it found how, in a line."""
    line = Text(f"{clock(measurement)} {measurement.verdict.lab}: ")
    line.append_text(summary_line(measurement.verdict).split("\n")[0])
    return plain_text(line) if ascii_only else line


def standing(measurement: Measurement) -> tuple[Any, ...]:
    """Return what of a measurement's sum is worth a line of its own where it changes."""
    summary = asdict(measurement.verdict.summary)
    return tuple(value for key, value in summary.items() if key != "lost")


def watched_document(measurement: Measurement) -> dict[str, Any]:
    """Return what ``--json`` prints of one measurement: its sum, what changed, what isn't right."""
    verdict = measurement.verdict
    return {
        "lab": verdict.lab,
        "provider": verdict.provider,
        "number": measurement.number,
        "at": measurement.at.isoformat(timespec="milliseconds"),
        "seconds": measurement.seconds,
        "anew": measurement.anew,
        "summary": asdict(verdict.summary),
        "changes": [_change(one) for one in measurement.changes],
        "cells": [cell_document(cell) for cell in measurement.unlike],
    }


def _change(change: Change) -> dict[str, Any]:
    now = change.now
    return {
        "source": now.source,
        "destination": now.destination,
        "protocol": now.protocol,
        "family": now.family,
        "expected": now.expected,
        "before": _seen(change.before),
        "now": _seen(now),
    }


def _seen(cell: Cell) -> dict[str, Any]:
    return {
        "observed": cell.observed,
        "stopped_at": cell.stopped_at or None,
        "answered_by": cell.answered_by or None,
        "as_expected": cell.measured and not cell.differs,
    }


_Told = list[tuple[list["Cell"], str]]


def _changed(changes: Iterable[Change]) -> _Told:
    """Return the changed cells by pair and by what became of them, with words about it."""
    groups: dict[Hashable, list[Cell]] = {}
    words: dict[Hashable, str] = {}
    for change in changes:
        now = change.now
        what = f"{_words(change.before)} → {_words(now)}"
        key = now.source, now.destination, what
        groups.setdefault(key, []).append(now)
        words[key] = what
    return [(cells, f"{_labels(cells)} {words[key]}") for key, cells in groups.items()]


def _first(measurement: Measurement) -> _Told:
    groups: dict[Hashable, list[Cell]] = {}
    for cell in measurement.unlike:
        # Whose silence says nothing is named already, for what it lost.
        if not cell.follows:
            key = cell.source, cell.destination, _words(cell), str(cell.expected)
            groups.setdefault(key, []).append(cell)
    return [
        (cells, f"{_labels(cells)} expected {_value(cells[0].expected)}, {_words(cells[0])}")
        for cells in groups.values()
    ]


def _labels(cells: Sequence[Cell]) -> str:
    return ", ".join(dict.fromkeys(cell.label for cell in cells))


def _words(cell: Cell) -> str:
    """Return what was seen of a cell, in few words."""
    if not cell.measured:
        return "not measured"
    words = _value(cell.observed)
    if cell.answered_by:
        return f"{words} (somebody else answered: {cell.answered_by})"
    if cell.leaks:
        return f"{words} (but the request arrived)"
    return f"{words} ({cell.stopped_at})" if cell.stopped_at else words


def _value(value: object) -> str:
    return value if isinstance(value, str) else ", ".join(map(str, _listed(value)))


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, (list, tuple)) else [value]
