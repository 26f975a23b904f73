"""Every shipped lab, measured; what was seen is kept in docs/proof/labs.json."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cluster.running import Checkout
from proof import digest, digest_of_values, packed, record
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan
from underlay.proof.checkout import commit, dirty
from underlay.storage.paths import root

pytestmark = pytest.mark.all

DEADLINE = 3600.0


def test_every_shipped_lab_is_as_predicted(here: Checkout) -> None:
    done = here.underlay("check", "labs", "--json", deadline=DEADLINE)
    document = done.document()
    files = {path.stem: path for path in sorted((here.root / "labs").glob("*.yml"))}
    plans = {name: make_plan(read_lab(path)) for name, path in files.items()}
    labs = {entry["lab"]: entry for entry in document["labs"]}
    record(
        "labs",
        {
            "commit": commit(root()),
            "dirty": dirty(root()),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "kernel": platform.release(),
            "boots": document["boots"],
            "timings": document["timings"],
            "distinct": len({kind(plans[name], entry) for name, entry in labs.items()}),
            "labs": {name: proven(files[name], entry) for name, entry in labs.items()},
            "coverage": document["coverage"],
        },
    )
    assert done.code == 0, done.err
    assert set(labs) == set(files)
    assert all(entry["summary"]["cells"] > 0 for entry in labs.values())


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
    kept = {"file": digest(file), "summary": entry["summary"], "observed": packed(reach)}
    return {**kept, "values": digest_of_values(values)} if values else kept


def kind(plan: Plan, entry: dict[str, Any]) -> tuple[object, ...]:
    """Return what makes a lab another one: rules, runtimes, address families, segment kinds."""
    return (
        frozenset(cell["rule"] for cell in entry["cells"]),
        frozenset(container.runtime for container in plan.containers),
        frozenset(cell.get("family", 4) for cell in entry["cells"]),
        frozenset((s.mtu, s.hairpin, s.isolated, s.locked) for s in plan.segments),
    )
