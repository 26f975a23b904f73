"""Every shipped lab, measured; what was seen is kept in docs/proof/labs.json.

``LABS="bond coreos" ./underlay test --layer cluster -- --all -k every_shipped_lab`` measures
these alone, and replaces their rows.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cluster.running import Checkout
from proof import digest_of_values, of_lab, packed
from underlay.proof.records.keeping import keep

pytestmark = pytest.mark.all

DEADLINE = 3600.0


def test_every_shipped_lab_is_as_predicted(here: Checkout, tmp_path: Path) -> None:
    every = {path.stem: path for path in sorted((here.root / "labs").glob("*.yml"))}
    chosen = os.environ.get("LABS", "").split()
    folder = copies([every[name] for name in chosen], tmp_path) if chosen else here.root / "labs"
    done = here.underlay("check", str(folder), "--json", deadline=DEADLINE)
    document = done.document()
    labs = {entry["lab"]: entry for entry in document["labs"]}
    coverage = document["coverage"]
    rows = {
        name: {**proven(every[name], entry), **phases(entry), "rules": rules(coverage, name)}
        for name, entry in labs.items()
    }
    keep("labs", rows, all_rows=not chosen)
    assert done.code == 0, done.err
    assert set(labs) == (set(chosen) or set(every))
    assert all(entry["summary"]["cells"] > 0 for entry in labs.values())
    assert not {name: entry["unplanned"] for name, entry in labs.items() if entry["unplanned"]}


def copies(files: list[Path], folder: Path) -> Path:
    """Return ``folder`` with copies of the lab ``files``."""
    for file in files:
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def rules(coverage: Mapping[str, list[str]], lab: str) -> list[str]:
    """Return the rules of the prediction that were measured in ``lab``."""
    return [rule for rule, labs in coverage.items() if lab in labs]


def phases(entry: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return the seconds of one lab by phase; ``boot`` is in that which was first on its nodes."""
    return {"timings": entry["timings"]}


def proven(file: Path, entry: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of one lab: its counts, and what became of each cell of reachability.

    Of the cells of kind ``value``, if it has any, only what tells whether others saw the same.
    """
    reach = (
        (cell["observed"] == "unreachable" and cell["stopped_at"]) or cell["observed"]
        for cell in entry["cells"]
        if cell.get("kind", "reach") == "reach"
    )
    values = [
        tuple(cell[key] for key in ("source", "destination", "protocol", "family", "observed"))
        for cell in entry["cells"]
        if cell.get("kind", "reach") == "value"
    ]
    kept = {**of_lab(file), "summary": entry["summary"], "observed": packed(reach)}
    return {**kept, "values": digest_of_values(values)} if values else kept
