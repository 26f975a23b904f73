"""Mistakes in the example fleets' files, on nodes; what packets say is kept in docs/proof.

A fleet and all of its mutations that are labs are measured one after the other. Of the others no
node can be started: their hosts contradict one another, and `check` says where.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from cluster.running import Checkout
from fleets.mutated import FLEETS, Mutation, copied, mutations, said
from underlay.proof.records.keeping import keep

pytestmark = pytest.mark.all

DEADLINE = 3600.0
AS_IT_IS = "as-it-is"

# What tells a cell: source, destination, protocol, family.
Cell = tuple[str, str, str, int]


@pytest.mark.parametrize("fleet", FLEETS)
def test_mutations(fleet: str, here: Checkout, tmp_path: Path) -> None:
    """All of a fleet's at once; what packets say is compared with the fleet as it is."""
    labs = {AS_IT_IS: written(fleet, None, AS_IT_IS, tmp_path)}
    known = {}
    for number, mutation in enumerate(mutations(fleet), 1):
        if not said()[mutation].refused:
            name = f"{fleet}-{number:02}"
            known[name] = mutation
            labs[name] = written(fleet, mutation, name, tmp_path)
    document = here.underlay("check", str(tmp_path), "--json", deadline=DEADLINE).document()
    found = {entry["lab"]: entry for entry in document["labs"]}
    assert set(found) == set(labs)
    before = observed(found[AS_IT_IS])
    assert found[AS_IT_IS]["summary"]["as_expected"] == len(before) > 0
    assert all(one["kept"] for one in found[AS_IT_IS]["intent"])
    rows = {}
    for name, mutation in known.items():
        folder = tmp_path / name
        rows[mutation.key] = {"files": digest(folder), **row(found[name], before, folder)}
    keep("mutations", rows)
    # Whatever a mistake does, the prediction says so; what it doesn't, lint has named before.
    wrong = {
        mutation.key: found[name]["summary"]
        for name, mutation in known.items()
        if found[name]["summary"]["differs"] and not said()[mutation].rules
    }
    assert wrong == {}


def written(fleet: str, mutation: Mutation | None, name: str, folder: Path) -> Path:
    """Write the fleet into ``folder`` as the lab called ``name``, with one mistake in its files."""
    made = copied(fleet, folder)
    if mutation is not None:
        mutation.make_in(made)
    target = made.rename(folder / name)
    text = (target / "lab.yml").read_text(encoding="utf-8")
    (target / "lab.yml").unlink()
    (target / "mutations.yml").unlink()
    text = text.replace(f"name: {fleet}\n", f"name: {name}\n").replace("hosts/", f"{name}/hosts/")
    lab = folder / f"{name}.yml"
    lab.write_text(text, encoding="utf-8")
    return lab


def observed(entry: dict[str, Any]) -> dict[Cell, Any]:
    """Return what was measured in each cell of a lab."""
    return {
        (one["source"], one["destination"], one["protocol"], one["family"]): one["observed"]
        for one in entry.get("cells", ())
    }


def row(entry: dict[str, Any], before: dict[Cell, Any], folder: Path) -> dict[str, Any]:
    """Return what is kept of a mutation, whose hosts' files are below ``folder``."""
    if entry.get("error"):
        return {"error": entry["error"].splitlines()[0].replace(f"{folder}/", "")}
    now = observed(entry)
    return {
        "summary": entry["summary"],
        "changed": sum(before.get(cell) != now.get(cell) for cell in before.keys() | now.keys()),
        "broken": sum(one["word"] == "broken" for one in entry["intent"]),
    }


def digest(folder: Path) -> str:
    """Return what tells whether a changed fleet is still the one that was measured."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    said_by = [(str(path.relative_to(folder)), path.read_text(encoding="utf-8")) for path in files]
    return hashlib.sha256(repr(said_by).encode()).hexdigest()[:16]
