"""The recipes of labs/recipes, measured; what was seen is kept in docs/proof/recipes.json."""

from __future__ import annotations

import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from cluster.running import Checkout
from proof import digest, of_lab
from underlay.expect import End, ends
from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.proof.records.keeping import keep, read

pytestmark = pytest.mark.all

DEADLINE = 3600.0


def test_every_recipe_is_as_predicted(here: Checkout) -> None:
    """All at once; the record is written anew."""
    document, rows = measured(here, "labs/recipes")
    keep("recipes", rows, all_rows=True)
    prove(document, recipes(here))


def test_all_recipes_are_in_the_record(here: Checkout, tmp_path: Path) -> None:
    """New ones and changed ones are measured, and alone; all other rows stay."""
    if missing := unrecorded(here):
        for path in missing.values():
            shutil.copy(path, tmp_path)
        document, rows = measured(here, str(tmp_path))
        keep("recipes", rows)
        prove(document, missing)
    assert not unrecorded(here)


def unrecorded(here: Checkout) -> dict[str, Path]:
    """Return the recipes that the record doesn't have, or has of another file than today's."""
    rows = read("recipes").rows
    return {
        name: path
        for name, path in recipes(here).items()
        if name not in rows or rows[name].file != digest(path)
    }


def recipes(here: Checkout) -> dict[str, Path]:
    """Return the recipes' files by their names."""
    return {path.stem: path for path in sorted((here.root / "labs" / "recipes").glob("*.yml"))}


def measured(here: Checkout, folder: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Measure the recipes in ``folder``; return the document, and what is kept of each."""
    done = here.underlay("check", folder, "--json", deadline=DEADLINE)
    document = done.document()
    files = recipes(here)
    rows = {
        entry["lab"]: {
            **of_lab(files[entry["lab"]]),
            "summary": entry["summary"],
            "reach": counted(ends(make_plan(read_lab(files[entry["lab"]]))), entry["cells"]),
        }
        for entry in document["labs"]
    }
    return document, rows


def prove(document: dict[str, Any], files: dict[str, Path]) -> None:
    """Fail unless all labs of ``files`` were measured and every cell is as predicted."""
    labs = {entry["lab"]: entry for entry in document["labs"]}
    assert set(labs) == set(files)
    for name, entry in labs.items():
        summary = entry["summary"]
        assert summary["cells"] == summary["as_expected"] > 0, (name, entry.get("error"), summary)


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
