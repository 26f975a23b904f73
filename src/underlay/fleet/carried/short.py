"""The text of a lab file beside hosts' files: it says nothing that the files say themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from underlay.fleet.carried.text import assumed, left_out_lines, yaml_of
from underlay.fleet.carried.values import Assumption, Carried
from underlay.fleet.carried.wires import Port
from underlay.lab.text import Place

HEAD = """\
# Made by `underlay import`. What the fleet's files say is read from them each time; a key here wins
# over them. Those below had to be assumed, and are yours to change.
"""
WANTED = """
# Who must reach whom, and who never:
# expect:
#   - {statement}
"""
NOT_PROPOSED = """
# Who must reach whom, and who never, is said below a key `expect`.
"""


def short_text(
    carried: Carried,
    fleet: Mapping[str, str],
    stated: Mapping[str, list[Port]],
    statement: str = "",
) -> str:
    """Return the lab file as YAML: its ``fleet``, the wiring that is ``stated``, what was assumed.

    ``fleet`` has the path of each node's files, counted from the lab file. A key stands there
    with a comment where a value was assumed; what else was assumed is a comment, and so is the
    ``statement`` that is proposed. At the end is what no lab says.
    """
    told = Carried({"name": carried.lab["name"], "fleet": dict(fleet)})
    for name, ports in stated.items():
        told.put(("segments", name, "nics"), dict(ports))
    rest = []
    for one in carried.assumptions:
        said = _said(carried, told, one)
        if said is None:
            rest.append(one)
        else:
            told.assumptions.append(said)
    lines = [f"# {assumed(one, key=True)}" for one in rest]
    block = "\n" + "\n".join(lines) + "\n" if lines else ""
    wanted = WANTED.format(statement=statement) if statement else NOT_PROPOSED
    return HEAD + yaml_of(_in_order(told)) + block + wanted + "\n".join(left_out_lines(carried))


def _said(carried: Carried, told: Carried, one: Assumption) -> Assumption | None:
    """Say the value that ``one`` is about, which no file says; None where there is no such one."""
    place, value = one.place, _value(carried.lab, one.place)
    if place[:1] == ("containers",) and len(place) == 2:
        # What has a name is named by a file; also where no file on a node starts it.
        if value is None or "name" in value:
            return None
        groups = told.lab.setdefault("containers", [])
        groups.append(value)
        return replace(one, place=("containers", len(groups) - 1))
    whole = place[0] == "hosts"
    if value is None or place in carried.origins or (isinstance(value, dict) and not whole):
        return None
    told.put(place, value)
    return one


def _value(lab: Any, place: Place) -> Any:
    for step in place:
        try:
            lab = lab[step]
        except (KeyError, IndexError, TypeError):
            return None
    return lab


def _in_order(told: Carried) -> Carried:
    """Sort the keys as the page about lab files does."""
    order = ("name", "fleet", "segments", "networks", "hosts", "containers")
    told.lab = {key: told.lab[key] for key in order if key in told.lab}
    return told
