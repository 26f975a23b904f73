"""A run compared with an earlier one, for people, as Markdown and as JSON values."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from rich.text import Text

from underlay.errors import count
from underlay.expect import asked_as
from underlay.proof.runs.comparison import WHAT
from underlay.report.markdown import as_code, as_text
from underlay.report.page import Page
from underlay.report.strangers import described
from underlay.report.terminal import PAIRS_SHOWN, plain, value_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from underlay.proof.runs.comparison import (
        CellChange,
        Comparison,
        LabComparison,
        StatementChange,
        What,
    )
    from underlay.verdict import Cell

SIGNS = {"worse": "✗", "better": "✓", "changed": "~", "unknown": "?", "new": "+", "gone": "-"}
ASCII = {"✗": "X", "✓": "v"}
STYLES = {
    "worse": "bold red",
    "better": "green",
    "changed": "yellow",
    "unknown": "bold yellow",
    "new": "",
    "gone": "",
}
WORDS = {
    "worse": "worse",
    "better": "better",
    "changed": "as expected as before, where something else is expected",
    "unknown": "not measured any more",
    "new": "new",
    "gone": "gone",
}


def comparison_text(one: Comparison, *, width: int, ascii_only: bool = False) -> Text:
    """Return what isn't as before, wrapped at ``width`` columns; a line where nothing is."""
    page = Page(width, ascii_only)
    page.line(head(one), "bold", hang=2)
    for words in version_lines(one):
        page.line(words, "dim", 4, "  ")
    several = len(one.labs) > 1
    for lab in one.labs:
        if not lab.any:
            continue
        if several:
            page.line(f"{lab.lab}: {sum_of(lab)}", "bold", 4, "  ")
        for words in notes(lab):
            page.line(words, "", 4, "  ")
        for what, transition, pairs in _groups(lab.changes):
            sign = ASCII.get(SIGNS[what], SIGNS[what]) if ascii_only else SIGNS[what]
            page.line(f"{title(what, pairs)}: {transition}", STYLES[what], 4, f"  {sign}")
            for words in _pair_lines(pairs):
                page.text.append(f"      {words}\n")
        for what, words in others(lab):
            sign = ASCII.get(SIGNS[what], SIGNS[what]) if ascii_only else SIGNS[what]
            page.line(words, STYLES[what], 4, f"  {sign}")
    return plain(page)


def head(one: Comparison) -> str:
    """Return with what it is compared, and what that comes to."""
    when = one.began.replace("T", " ").partition("+")[0]
    with_what = f"Compared with {one.file} of {when} UTC"
    if not one.any:
        return f"{with_what}: nothing differs"
    return f"{with_what}: {_sum(sum(lab.same for lab in one.labs), one.counts)}"


def sum_of(lab: LabComparison) -> str:
    """Return how many cells of a lab became what."""
    return _sum(lab.same, lab.counts)


def _sum(same: int, counts: dict[What, int]) -> str:
    shown = {"unknown": "not measured any more"}
    told = [f"{count(same, 'cell')} as before"]
    told += [
        f"{counts[what]} {shown.get(what, what)}"
        for what in WHAT
        if counts[what] or what in ("worse", "better")
    ]
    return ", ".join(told)


def version_lines(one: Comparison) -> list[str]:
    """Return which versions aren't those of then."""
    return [
        f"{part}: {before or 'nothing'} → {now or 'nothing'}"
        for part, (before, now) in one.versions.items()
    ]


def notes(lab: LabComparison) -> list[str]:
    """Return what is to be known of a lab before its cells are read."""
    said = []
    if lab.there != "both":
        which = "the later" if lab.there == "now" else "the earlier"
        said.append(f"{lab.lab} is only in {which} run")
    if lab.replanned:
        said.append(f"the file of {lab.lab} leads to another plan than then")
    return said


def others(lab: LabComparison) -> list[tuple[What, str]]:
    """Return what isn't as before beside cells: statements, ways that nobody planned, causes."""
    lines: list[tuple[What, str]] = [(one.what, statement_words(one)) for one in lab.statements]
    lines += [
        (what, f"reachable, not planned, {WORDS[what]}: {one.end} {one.address} ({one.kind})")
        for what, one in lab.unplanned
    ]
    lines += [
        (what, f"runs, not planned, {WORDS[what]}: {described(one)}") for what, one in lab.strangers
    ]
    lines += [
        (what, f"cause {WORDS[what]}: {one.finding.fault.title} ({one.where})")
        for what, one in lab.causes
    ]
    return lines


def statement_words(one: StatementChange) -> str:
    """Return how it stood with a statement, and how it does."""
    how = f"{one.before or 'not wanted'} → {one.now or 'not wanted'}"
    return f"line {one.line}: {one.text}: {how}"


def title(what: What, changes: Sequence[CellChange]) -> str:
    """Return how many cells became what."""
    return f"{count(len(changes), 'cell')} {WORDS[what]}"


def state_words(cell: Cell | None) -> str:
    """Return how a cell stands, or stood."""
    if cell is None:
        return "not there"
    if not cell.measured:
        return f"not measured ({cell.reason})" if cell.reason else "not measured"
    seen = value_text(cell.observed)
    if not cell.differs:
        return f"{seen}, as expected"
    stop = f" ({cell.stopped_at})" if cell.stopped_at else ""
    by = f", answered by {cell.answered_by}" if cell.answered_by else ""
    if cell.leaks:
        return "no answer, as expected, but the request arrived"
    if cell.elsewhere:
        return f"unreachable as expected, but stopped elsewhere{stop}"
    return f"{seen}{stop}{by}, expected {value_text(cell.expected)}"


def _groups(
    changes: Iterable[CellChange],
) -> list[tuple[What, str, list[CellChange]]]:
    """Return changes that are alike together, the worst first."""
    groups: dict[tuple[What, str], list[CellChange]] = defaultdict(list)
    for change in changes:
        words = f"{state_words(change.before)} → {state_words(change.now)}"
        if change.before is None:
            words = state_words(change.now)
        elif change.now is None:
            words = state_words(change.before)
        groups[change.what, words].append(change)
    order = sorted(groups, key=lambda key: (WHAT.index(key[0]), -len(groups[key])))
    return [(what, words, groups[what, words]) for what, words in order]


def _pair_lines(changes: Iterable[CellChange]) -> list[str]:
    pairs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for change in changes:
        source, destination, protocol, family = change.name
        pairs[source, destination].append(asked_as(protocol, 4 if family == 4 else 6))
    shown = list(pairs.items())
    rest = len(shown) - PAIRS_SHOWN if len(shown) > PAIRS_SHOWN + 1 else 0
    shown = shown[:PAIRS_SHOWN] if rest else shown
    lines = [f"{source} → {there}  {' '.join(asked)}" for (source, there), asked in shown]
    return [*lines, f"and {count(rest, 'pair')} more"] if rest else lines


def baseline_document(compared: Comparison | None) -> dict[str, Any]:
    """Return what ``--json`` has beside the rest of a run that was compared; nothing else."""
    return {"baseline": comparison_document(compared)} if compared else {}


def comparison_document(one: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON values, as ``check --baseline --json`` has it."""
    return {
        "file": one.file,
        "began": one.began,
        "exit_code": one.exit_code,
        "summary": {
            "same": sum(lab.same for lab in one.labs),
            **one.counts,
        },
        "versions": [
            {"of": part, "before": before or None, "now": now or None}
            for part, (before, now) in one.versions.items()
        ],
        "labs": [_lab(lab) for lab in one.labs],
    }


def _lab(lab: LabComparison) -> dict[str, Any]:
    return {
        "lab": lab.lab,
        "there": lab.there,
        "replanned": lab.replanned,
        "summary": {"cells": lab.cells, "same": lab.same, **lab.counts},
        "cells": [_cell(change) for change in lab.changes],
        "statements": [
            {
                "change": one.what,
                "line": one.line,
                "statement": one.text,
                "before": one.before or None,
                "now": one.now or None,
            }
            for one in lab.statements
        ],
        "unplanned": [
            {"change": what, "kind": one.kind, "end": one.end, "address": one.address}
            for what, one in lab.unplanned
        ],
        "strangers": [
            {"change": what, "node": one.node, "runtime": one.runtime, "name": one.name}
            for what, one in lab.strangers
        ],
        "causes": [
            {
                "change": what,
                "id": one.finding.fault.id,
                "title": one.finding.fault.title,
                "where": one.where,
            }
            for what, one in lab.causes
        ],
    }


def _cell(change: CellChange) -> dict[str, Any]:
    source, destination, protocol, family = change.name
    return {
        "change": change.what,
        "source": source,
        "destination": destination,
        "protocol": protocol,
        "family": family,
        "before": _side(change.before),
        "now": _side(change.now),
    }


def _side(cell: Cell | None) -> dict[str, Any] | None:
    if cell is None:
        return None
    return {
        "expected": cell.expected,
        "observed": cell.observed,
        "stopped_at": cell.stopped_at or None,
        "answered_by": cell.answered_by or None,
        "differs": cell.differs,
    }


def comparison_markdown(one: Comparison) -> list[str]:
    """Return a comparison as lines of Markdown, for a merge request or a job's summary."""
    lines = ["### Compared", "", as_text(head(one))]
    lines += ["", *(f"- {as_text(words)}" for words in version_lines(one))] if one.versions else []
    for lab in one.labs:
        if not lab.any:
            continue
        lines += ["", f"{as_code(lab.lab)}: {as_text(sum_of(lab))}", ""]
        lines += [f"- {as_text(words)}" for words in notes(lab)]
        for what, transition, pairs in _groups(lab.changes):
            told = f"{title(what, pairs)}: {transition}"
            lines.append(f"- **{as_text(told)}**" if what == "worse" else f"- {as_text(told)}")
            lines += [f"  - {as_text(words)}" for words in _pair_lines(pairs)]
        lines += [
            f"- **{as_text(words)}**" if what == "worse" else f"- {as_text(words)}"
            for what, words in others(lab)
        ]
    return lines
