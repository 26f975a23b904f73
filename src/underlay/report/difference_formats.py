"""What changes between two labs, for programs: JSON and CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from underlay.proof.difference.cells import WHAT
from underlay.proof.difference.keys import NOTHING
from underlay.report.difference import (
    names_of,
    yaml_flow,
)
from underlay.report.found_errors import new_found_document
from underlay.report.prediction import expected
from underlay.report.proven import proven_document
from underlay.report.statement_changes import (
    statement_changes_document,
)
from underlay.report.wanted import wanted_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.expect import End, Expectation
    from underlay.proof.difference.blocks import Block, Group, Outcome
    from underlay.proof.difference.cells import Change
    from underlay.proof.difference.keys import KeyChange
    from underlay.proof.difference.proving import ProvenCell
    from underlay.proof.difference.results import LabDifference

COLUMNS = (
    *("lab", "change", "source", "destination", "protocol", "family", "kind", "stays"),
    *("before", "before_stop", "before_rule", "now", "now_stop", "now_rule"),
    *("keys", "before_because", "before_reference", "now_because", "now_reference"),
    *("before_observed", "now_observed"),
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
        "findings": new_found_document(result.errors),
        "keys": [_key(key) for key in result.keys],
        "ends": {
            "come": [end.name for end in come],
            "go": [end.name for end in go],
            "moved": [_moved_end(before, now) for before, now in moved],
        },
        "intent": [
            {**document, "before": result.intent_before.get(document["statement"])}
            for document in wanted_document(result.intent)
        ],
        "statements": statement_changes_document(result.statements),
        "groups": [_group(result, group) for group in result.groups],
        "cells": [_change(change) for change in difference.changes] if difference else [],
        **({"measured": proven_document(result.proof)} if result.proof else {}),
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


def _moved_end(old: End, new: End) -> dict[str, Any]:
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

    Values that are lists are separated by spaces, and so are the keys that make a cell what it is,
    where they are known. Of a lab that comes or goes there are no lines.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for result in results:
        if result.difference is None:
            continue
        lab = result.difference.new.prediction.plan.lab
        keys = _keys_of_changes(result)
        proven = result.proof.changes if result.proof else ()
        for number, change in enumerate(result.difference.changes):
            row = _change(change)
            sides = [value for side in ("before", "now") for value in row[side].values()]
            made_by = keys.get(id(change), ())
            values = [*(row[name] for name in COLUMNS[1:8]), *sides, made_by, *_reasons_of(change)]
            values += _observed(proven[number]) if proven else [None, None]
            writer.writerow([lab, *map(_field, values)])
    return stream.getvalue()


def _keys_of_changes(result: LabDifference) -> dict[int, tuple[str, ...]]:
    """Return the keys that make changed cells what they are, by the changes' own identities."""
    return {
        id(change): tuple(key.path for key in keys.alone)
        for group, keys in zip(result.groups, result.group_keys or (), strict=False)
        for block in group.blocks
        for change in block.changes
    }


def _observed(cell: ProvenCell) -> list[Any]:
    """Return what was measured of a cell, in the old lab and in the new."""
    return [side.observed if side else None for side in (cell.old, cell.new)]


def _reasons_of(change: Change) -> list[str]:
    """Return why a cell was and is expected as it is, and who says so."""
    sides = (change.old, change.new)
    return [text for one in sides for text in ((one.because, one.reference) if one else ("", ""))]


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(value) if isinstance(value, (tuple, list)) else str(value)
