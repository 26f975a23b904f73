"""The recipes of labs/recipes, measured; what was seen is kept in docs/proof/recipes.json."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from cluster.running import Checkout
from proof import digest
from underlay.expect import End, ends
from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.proof.records.keeping import keep

pytestmark = pytest.mark.all

DEADLINE = 3600.0


def test_every_recipe_is_as_predicted(here: Checkout) -> None:
    done = here.underlay("check", "labs/recipes", "--json", deadline=DEADLINE)
    document = done.document()
    files = {path.stem: path for path in sorted((here.root / "labs" / "recipes").glob("*.yml"))}
    labs = {entry["lab"]: entry for entry in document["labs"]}
    rows = {
        name: {
            "file": digest(files[name]),
            "summary": entry["summary"],
            "reach": counted(ends(make_plan(read_lab(files[name]))), entry["cells"]),
        }
        for name, entry in labs.items()
    }
    keep("recipes", rows, all_rows=True)
    assert done.code == 0, done.err
    assert set(labs) == set(files)
    assert all(entry["summary"]["cells"] > 0 for entry in labs.values())


def counted(found: tuple[End, ...], cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how many of the cells between two kinds of ends were measured as reachable.

    The kinds are a network's containers, nodes, and each external host; of cells between
    containers and nodes those on one node are counted apart.
    """
    by_name = {end.name: end for end in found}
    counts: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for cell in cells:
        if cell.get("kind", "reach") != "reach":
            continue
        source, destination = by_name[cell["source"]], by_name[cell["destination"]]
        where = ""
        if "host" not in (source.kind, destination.kind):
            where = "same" if source.node == destination.node else "other"
        count = counts[kind(source), kind(destination), where]
        count[0] += cell["observed"] == "reachable"
        count[1] += 1
    return [
        {"from": source, "to": destination, "node": where, "reachable": reachable, "of": of}
        for (source, destination, where), (reachable, of) in counts.items()
    ]


def kind(end: End) -> str:
    """Return what ``end`` is one of: a network's name, ``nodes``, or an external host's name."""
    return end.network or ("nodes" if end.kind == "node" else end.name)
