"""What changes between two labs, for programs and merge requests: JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from underlay.intent import reasons
from underlay.proof.difference.cells import WHAT
from underlay.proof.difference.keys import NOTHING
from underlay.report.difference import (
    MOVED_SHOWN,
    all_in_a_line,
    block_words,
    by_keys,
    changed_words,
    ends_words,
    lines_words,
    moved_words,
    names_of,
    of_ends_words,
    outcome_words,
    pairs_words,
    sum_of,
    title,
    value_changes,
    value_words,
    worth_showing,
    yaml_flow,
)
from underlay.report.page import count
from underlay.report.prediction import expected
from underlay.report.statement_changes import (
    change_words,
    loss_reasons,
    statement_changes_document,
)
from underlay.report.wanted import before_words, broken_line, wanted_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from underlay.expect import End, Expectation
    from underlay.proof.difference.blocks import Block, Group, Outcome
    from underlay.proof.difference.cells import Change, Difference
    from underlay.proof.difference.keys import KeyChange
    from underlay.proof.difference.results import LabDifference

# What Markdown would make something of.
ESCAPED = str.maketrans(
    {**{sign: f"\\{sign}" for sign in "\\`*_|[]"}, "<": "&lt;", ">": "&gt;", "&": "&amp;"}
)
COLUMNS = (
    *("lab", "change", "source", "destination", "protocol", "family", "kind", "stays"),
    *("before", "before_stop", "before_rule", "now", "now_stop", "now_rule"),
)


def difference_document(results: Sequence[LabDifference]) -> dict[str, Any]:
    """Return all differences as JSON values; what is expected has the names of ``predict``.

    ``before`` and ``now`` hold nulls where the cell isn't there.
    """
    total = {what: sum(result.counts[what] for result in results) for what in WHAT}
    cells, same = (sum(getattr(r, name) for r in results) for name in ("cells", "same"))
    differ = sum(result.any for result in results)
    return {
        "labs": [_lab(result) for result in results],
        "summary": {"labs": len(results), "differ": differ, "cells": cells, "same": same, **total},
    }


def _lab(result: LabDifference) -> dict[str, Any]:
    old, new = names_of(result)
    difference = result.difference
    loaded = result.pair.new or result.pair.old
    assert loaded is not None
    come, go, moved = (
        (difference.come, difference.go, difference.moved) if difference else ((), (), ())
    )
    return {
        "lab": loaded.plan.lab,
        "old": old or None,
        "new": new or None,
        "summary": {"cells": result.cells, "same": result.same, **result.counts},
        "keys": [_key(key) for key in result.keys],
        "ends": {
            "come": [end.name for end in come],
            "go": [end.name for end in go],
            "moved": [_moved(before, now) for before, now in moved],
        },
        "intent": [
            {**document, "before": result.intent_before.get(document["statement"])}
            for document in wanted_document(result.intent)
        ],
        "statements": statement_changes_document(result.statements),
        "groups": [_group(result, group) for group in result.groups],
        "cells": [_change(change) for change in difference.changes] if difference else [],
    }


def _key(key: KeyChange) -> dict[str, Any]:
    return {
        "path": key.path,
        "old": None if key.old is NOTHING else yaml_flow(key.old),
        "new": None if key.new is NOTHING else yaml_flow(key.new),
        "old_line": key.old_line or None,
        "new_line": key.new_line or None,
        "old_file": key.old_file or None,
        "new_file": key.new_file or None,
    }


def _moved(old: End, new: End) -> dict[str, Any]:
    return {
        "name": new.name,
        "before": [old.name, old.node, old.network, old.address, old.address6],
        "now": [new.name, new.node, new.network, new.address, new.address6],
    }


def _group(result: LabDifference, group: Group) -> dict[str, Any]:
    known = result.group_keys
    keys = None if known is None else known[result.groups.index(group)]
    return {
        "change": group.what,
        "stays": group.stays,
        "cells": group.cells,
        "before": _outcome(group.before),
        "now": _outcome(group.now),
        "keys": None if keys is None else [key.path for key in keys.alone],
        "keys_together": None if keys is None else keys.together,
        "blocks": [_block(block) for block in group.blocks],
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    there = bool(outcome.rule)
    word = "reachable" if outcome.reachable else "unreachable"
    return {
        "expected": word if there else None,
        "expected_stop": outcome.stop or None,
        "rule": outcome.rule or None,
        "because": outcome.because or None,
        "further": outcome.further,
        "reference": outcome.reference or None,
    }


def _block(block: Block) -> dict[str, Any]:
    return {
        "source": block.source,
        "destination": block.destination,
        "where": block.where or None,
        "protocols": list(block.protocols),
        "cells": len(block.changes),
        "of": block.of,
    }


def _change(change: Change) -> dict[str, Any]:
    cell = change.cell
    return {
        "change": change.what,
        "source": change.source,
        "destination": change.destination,
        "protocol": cell.protocol,
        "family": cell.family,
        "kind": cell.kind,
        "stays": change.stays,
        "before": _cell(change.old),
        "now": _cell(change.new),
    }


def _cell(cell: Expectation | None) -> dict[str, Any]:
    if cell is None:
        return dict.fromkeys(("expected", "expected_stop", "rule"))
    return {"expected": expected(cell), "expected_stop": cell.stop or None, "rule": cell.rule}


def difference_csv(results: Sequence[LabDifference]) -> str:
    """Return a line for each cell that isn't as before, below a line with the columns' names.

    Values that are lists are separated by spaces. Of a lab that comes or goes there are no lines.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for result in results:
        if result.difference is None:
            continue
        lab = result.difference.new.prediction.plan.lab
        for change in result.difference.changes:
            row = _change(change)
            sides = [value for side in ("before", "now") for value in row[side].values()]
            writer.writerow(
                [lab, *(_field(row[name]) for name in COLUMNS[1:8]), *map(_field, sides)]
            )
    return stream.getvalue()


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(value) if isinstance(value, (tuple, list)) else str(value)


def markdown(results: Sequence[LabDifference]) -> str:
    """Return all differences as Markdown for a merge request, with GitHub's and GitLab's tables."""
    several = len(results) > 1
    shown = [result for result in results if not several or worth_showing(result)]
    lines: list[str] = []
    for result in shown:
        lines += [*_markdown_of_lab(result), ""]
    if several:
        lines += [f"**{all_in_a_line(results)}**", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _markdown_of_lab(result: LabDifference) -> list[str]:
    old, new = names_of(result)
    difference = result.difference
    if difference is None:
        gone_or_new = f"### {_code(old or new)} is {'gone' if old else 'new'}"
        head = [gone_or_new, "", sum_of(result)]
        return [*head, *_intent(result), *_statements(result)]
    return [
        *(f"### {_code(old)} → {_code(new)}", "", sum_of(result)),
        *_keys(result),
        *_intent(result),
        *_statements(result),
        *_groups(result),
        *_values(difference),
        *_ends(result, difference),
    ]


def _keys(result: LabDifference) -> list[str]:
    rows = [(_code(k.path), _code(changed_words(k)), lines_words(k)) for k in result.keys]
    return ["", *_table(("Key", "Before and now", "Lines"), rows)] if rows else []


def _groups(result: LabDifference) -> list[str]:
    """Return a table of the cells whose ends stay, and the reasons below it, folded."""
    groups = [group for group in result.groups if group.stays]
    if not groups:
        return []
    table = _table(
        ("What", "From and to", "Before", "Now"), (_row(result, group) for group in groups)
    )
    folded = ["<details><summary>Why</summary>", "", *_reasons(groups), "", "</details>"]
    return ["", *table, "", *folded]


def _values(difference: Difference) -> list[str]:
    rows = [
        (_code(label), count(len(changes), "cell"), _code(value_words(changes)))
        for label, changes in value_changes(difference).items()
    ]
    return ["", *_table(("What is seen", "Changed", "Before and now"), rows)] if rows else []


def _ends(result: LabDifference, difference: Difference) -> list[str]:
    """Return the ends that go, that come, and that stay under another address, node or name."""
    lines: list[str] = []
    for verb, ends, whats in (
        ("go", difference.go, ("lost", "went")),
        ("come", difference.come, ("gained", "came")),
    ):
        if ends:
            lines += ["", f"Ends that {verb}: {_text(ends_words(ends))}", ""]
            lines += [
                f"- {group.what}: {_text(words)}"
                for group in result.groups
                if not group.stays and group.what in whats
                for words in of_ends_words(group)
            ]
    if difference.moved:
        lines += ["", "Ends that stay under another address, node or name:", ""]
        shown = difference.moved[:MOVED_SHOWN]
        lines += [f"- {_text(moved_words(before, now))}" for before, now in shown]
        rest = len(difference.moved) - len(shown)
        lines += [f"- and {rest} more"] if rest else []
    return lines


def _intent(result: LabDifference) -> list[str]:
    """Return a line for each statement that isn't kept, with the reasons."""
    if not result.intent:
        return []
    kept = sum(one.word == "kept" for one in result.intent)
    lines = ["", f"What is wanted: {kept} of {count(len(result.intent), 'statement')} kept", ""]
    for one in result.intent:
        if one.word != "kept":
            earlier = before_words(one, result.intent_before)
            lines.append(f"- **{_text(broken_line(one))}** ({earlier})")
            why = reasons(one.statement.never, one.broken)
            lines += [f"  - {_text(f'{words} ({source})')}" for words, source in why]
    return lines if lines[-1] else lines[:-1]


def _statements(result: LabDifference) -> list[str]:
    """Return a line for each statement that isn't as before; why, where one is lost."""
    lines = ["", "Statements that differ:", ""] if result.statements else []
    for change in result.statements:
        words = _text(f"{change.what}: {change_words(change)}")
        lines.append(f"- **{words}**" if change.loses else f"- {words}")
        lines += [f"  - {_text(f'{why} ({source})')}" for why, source in loss_reasons(change)]
    return lines


def _row(result: LabDifference, group: Group) -> tuple[str, str, str, str]:
    blocks = [
        "<br>".join(
            [_text(block_words(block)), *([] if block.whole else map(_text, pairs_words(block)))]
        )
        for block in group.blocks
    ]
    what = f"**{title(group)}**" if group.what == "lost" else title(group)
    keys = by_keys(result, group)
    what += f"<br>by {_text(keys)}" if keys else ""
    return (
        what,
        "<br>".join(blocks),
        _text(outcome_words(group.before)),
        _text(outcome_words(group.now)),
    )


def _reasons(groups: Iterable[Group]) -> list[str]:
    told: dict[str, Outcome] = {}
    for group in groups:
        for outcome in (group.before, group.now):
            if outcome.rule:
                told.setdefault(outcome.rule, outcome)
    return [
        f"- {_code(rule)}: {_text(outcome.because)} ({_text(outcome.reference)})"
        for rule, outcome in told.items()
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _text(words: str) -> str:
    """Return ``words`` so that Markdown makes nothing of them."""
    return words.translate(ESCAPED)


def _code(words: str) -> str:
    """Return ``words`` as code, also in a table, where a bar ends a cell."""
    fence = "``" if "`" in words else "`"
    pad = " " if "`" in words else ""
    return f"{fence}{pad}{words}{pad}{fence}".replace("|", "\\|")
