"""What the proof of the faults leaves: docs/proof/faults.json, a row for each thing done.

Rows are kept as they come, by the name of what was done, so that a part of the proof can be
run again. docs/reference.py makes the page from it.
"""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay.proof.records import keeping

if TYPE_CHECKING:
    from cluster.near import Looked
    from underlay.faults import Cell
    from underlay.observe.evidence import Evidence
    from underlay.plan import Plan

NAME = "faults"
# What a healthy lab shows is kept, too, under this name.
GREEN = "green"
EVIDENCE = Path(__file__).parent / "unit" / "proof" / "evidence"
NOISE = ("stats64", "stats", "log", "valid_life_time", "preferred_life_time")


def keep(name: str, row: dict[str, Any]) -> None:
    """Write one row of the proof."""
    keeping.keep(NAME, {name: row})


def is_remembered(plan: Plan, name: str) -> bool:
    """Whether what a lab's nodes showed is kept already under that name."""
    path = EVIDENCE / f"{plan.lab}.json.xz"
    if not path.is_file():
        return False
    with lzma.open(path, "rt") as file_:
        return name in json.load(file_)["faults"]


def remember(plan: Plan, name: str, fault: str, where: str, seen: Looked) -> None:
    """Keep what nodes showed, for tests/unit/proof/test_explain.py: all that explain goes by."""
    path = EVIDENCE / f"{plan.lab}.json.xz"
    found: dict[str, Any] = {"plan": json.loads(plan.to_json()), "faults": {}}
    if path.is_file():
        with lzma.open(path, "rt") as file_:
            found = json.load(file_)
    found["plan"] = json.loads(plan.to_json())
    documents = _documents(seen.evidence)
    found["faults"][name] = {
        "fault": fault,
        "where": where,
        "wrong": sorted([*cell, _observed(seen, cell)] for cell in seen.astray),
        "stops": _stops(seen),
        "documents": documents,
        "failed": seen.evidence.failed,
    }
    if seen.evidence.earlier:
        found["faults"][name]["earlier"] = _documents(seen.evidence.earlier)
    path.parent.mkdir(exist_ok=True)
    with lzma.open(path, "wt") as file_:
        json.dump(found, file_, separators=(",", ":"), sort_keys=True)


def _documents(evidence: Evidence) -> dict[str, Any]:
    return {node: _pruned(document) for node, document in evidence.documents.items()}


def _observed(seen: Looked, cell: Cell) -> str | list[str]:
    if cell in seen.unmeasured:
        return "not_measured"
    judged = next(c for c in seen.judged if (c.source, c.destination, c.protocol, c.family) == cell)
    return list(judged.observed) if isinstance(judged.observed, tuple) else str(judged.observed)


def _stops(seen: Looked) -> list[list[object]]:
    """Return where those wrong cells stopped that got no answer, and whether they arrived there."""
    return sorted(
        [c.source, c.destination, c.protocol, c.family, c.stopped_at, c.arrived]
        for c in seen.judged
        if c.observed == "unreachable"
        if (c.source, c.destination, str(c.protocol), int(c.family)) in seen.astray
    )


def _pruned(document: Any) -> Any:
    """Leave out what explain doesn't read and what differs each time."""
    if isinstance(document, dict):
        document = dict(document)
        if isinstance(document.get("counters"), dict):
            document["counters"] = {
                name: count for name, count in document["counters"].items() if "Xfrm" in name
            }
        left = {key: value for key, value in document.items() if key not in NOISE}
        return {key: _pruned(value) for key, value in left.items()}
    return [_pruned(value) for value in document] if isinstance(document, list) else document
