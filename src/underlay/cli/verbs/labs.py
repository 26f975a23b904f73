"""The verb ``labs``: which labs there are, and what each of them shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from underlay.cli.console import out, print_document
from underlay.cli.options import AsJson
from underlay.cli.tables import table
from underlay.cli.which_lab import lab_names
from underlay.storage.paths import root

if TYPE_CHECKING:
    from pathlib import Path

GROUP = "Labs"
ORDER = 15


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[WORD...]", help="Only labs that are about all of these words."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the labs that are here, and what each of them shows.

    `up`, `check` and `lint` take the names. A word is looked for in a lab's name,
    description, drivers and runtimes, in any case of letters.

    Example:
      underlay labs
      underlay labs docker vlan
      underlay labs ipvlan --json
    """
    found = [row for row in map(_row, lab_names()) if _is_about(row, words or [])]
    if as_json:
        print_document("labs", {"labs": found})
        return
    if not found:
        out.print(f"no lab is about {' '.join(words or [])}; `underlay labs` lists all")
        return
    shown = table("lab", "nodes", "runtimes", "what it shows")
    for row in found:
        nodes = str(row["nodes"]) if row["nodes"] else "?"
        shown.add_row(row["name"], nodes, ", ".join(row["runtimes"]), row["description"])
    out.print(shown)
    many = "1 lab" if len(found) == 1 else f"{len(found)} labs"
    out.print(f"\n{many}; `underlay up NAME` starts one, `underlay check NAME` measures it")


def _row(name: str) -> dict[str, Any]:
    from underlay.lab.text import LabError
    from underlay.lint.read import read_lab

    file = root() / "labs" / f"{name}.yml"
    try:
        lab = read_lab(file)
    except LabError:
        wrong = f"it can't be read: underlay lint {name}"
        return {"name": name, "description": wrong, "nodes": None, "drivers": [], "runtimes": []}
    networks = lab.networks.values()
    return {
        "name": name,
        "description": lab.description or _first_comment(file),
        "nodes": lab.nodes.count,
        "drivers": sorted({network.driver for network in networks}),
        "runtimes": sorted({network.runtime for network in networks}),
    }


def _first_comment(file: Path) -> str:
    """Return what a lab file without a description says of itself in its first line."""
    first = file.read_text(encoding="utf-8").partition("\n")[0]
    return first.lstrip("# ") if first.startswith("#") else ""


def _is_about(row: dict[str, Any], words: list[str]) -> bool:
    text = " ".join([row["name"], row["description"], *row["drivers"], *row["runtimes"]]).lower()
    return all(word.lower() in text for word in words)
