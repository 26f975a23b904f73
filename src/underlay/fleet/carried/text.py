"""The text of a lab that was made of hosts' files: YAML with a comment for each thing assumed."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from underlay.errors import Spot
from underlay.fleet.carried.values import Assumption, Carried
from underlay.lab.text import Place

# Mappings that stand in a line of their own keys, and lists likewise.
FLOW = (
    "nodes", "addresses", "addresses6", "macs", "networks", "nics", "on", "reserved", "names"
)  # fmt: skip
PARTS = ("segments", "networks", "hosts", "containers")
# Where the places that values are from begin, beside short values.
COLUMN = 52


def lab_text(carried: Carried, files: int) -> str:
    """Return the lab as YAML. Behind each value stands the file and line that it stems from.

    Above a key stands what had to be assumed for it, and at the end is what couldn't be carried
    over. ``files`` is how many files were read.
    """
    hosts = len(carried.lab["nodes"]["names"])
    head = (
        f"# Made by `underlay import` from {files} file{'' if files == 1 else 's'} of"
        f" {hosts} host{'' if hosts == 1 else 's'}. Behind a value stands where it is from.\n"
    )
    return head + yaml_of(carried) + "\n".join(left_out_lines(carried))


def yaml_of(carried: Carried) -> str:
    """Return a lab's keys as YAML, with a comment for where each is from or what was assumed."""
    stream = io.StringIO()
    yaml = YAML()
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(_mapping(carried, carried.lab, ()), stream)
    return stream.getvalue()


def assumed(one: Assumption, *, key: bool = False) -> str:
    """Return in a line what was assumed; with its ``key``, where it doesn't stand above that."""
    where = f" ({_line(one.spot)})" if one.spot.file else ""
    return _plain(f"Assumed: {f'{one.key}: ' if key else ''}{one.text}{where}")


def left_out_lines(carried: Carried) -> list[str]:
    """Return the lines of a lab file's end, about what isn't carried over."""
    if not carried.left_out:
        return ["", "# Everything in the files that were read is in this lab.", ""]
    lines = [""]
    for matters, head in (
        (True, "# Not carried over:"),
        (False, "# Not carried over, and without bearing on who reaches whom:"),
    ):
        found = [one for one in carried.left_out if one.matters is matters]
        lines += [head] if found else []
        lines += [_plain(f"# {one}") for one in found]
    return [*lines, ""]


def _mapping(carried: Carried, entries: dict[str, Any], place: Place) -> CommentedMap:
    made = CommentedMap()
    for key, value in entries.items():
        here: Place = (*place, key)
        made[key] = _value(carried, value, here)
        above = _above(carried, here)
        if len(place) == 0 and len(entries) > 1 and key in PARTS:
            above = ["", *above]
        _comment(made, key, above, len(place) * 2)
        origin = carried.origins.get(here)
        if origin is not None and not isinstance(value, (dict, list)):
            made.yaml_add_eol_comment(f"# {_plain(str(_line(origin)))}", key, column=COLUMN)
    return made


def _value(carried: Carried, value: Any, place: Place) -> Any:
    if isinstance(value, dict):
        short = place == ("nodes",) and "interfaces" not in value
        if (place[-1] in FLOW and len(place) > 1) or short:
            return _flow(value)
        return _mapping(carried, value, place)
    if isinstance(value, list):
        return _list(carried, value, place)
    return value


def _list(carried: Carried, values: list[Any], place: Place) -> CommentedSeq:
    made = CommentedSeq()
    plain = not any(isinstance(value, dict) for value in values)
    for position, value in enumerate(values):
        here: Place = (*place, position)
        inside = isinstance(value, dict) and place[-1] == "subnets"
        made.append(_mapping(carried, value, here) if inside else _flow(value))
        above = _above(carried, here)
        origin = carried.origins.get(here)
        if origin is not None and place == ("containers",) and not above:
            above.append(_plain(str(_line(origin))))
        if above:
            text = "\n".join(above)
            made.yaml_set_comment_before_after_key(position, before=text, indent=len(place) * 2)
    if plain:
        made.fa.set_flow_style()
    return made


def _flow(value: Any) -> Any:
    """Return a value in the one-line form of YAML."""
    if isinstance(value, dict):
        made = CommentedMap((key, _flow(inner)) for key, inner in value.items())
        made.fa.set_flow_style()
        return made
    if isinstance(value, list):
        items = CommentedSeq(_flow(inner) for inner in value)
        items.fa.set_flow_style()
        return items
    return value


def _above(carried: Carried, place: Place) -> list[str]:
    """Return the lines about what was assumed for the key at ``place``; also for one not said."""
    found = [one for one in carried.assumptions if one.place == place]
    lab: Any = carried.lab
    for step in place:
        lab = lab[step]
    if isinstance(lab, dict):
        # A key that isn't said can have no comment of its own.
        found += [
            one
            for one in carried.assumptions
            if one.place[:-1] == place and one.place[-1] not in lab
        ]
    return [assumed(one) for one in found]


def _comment(made: CommentedMap, key: str, lines: list[str], indent: int) -> None:
    if lines:
        made.yaml_set_comment_before_after_key(key, before="\n".join(lines), indent=indent)


def _line(spot: Spot) -> Spot:
    """Return a place without its column: comments say where to look, not where to click."""
    return Spot(spot.file, 0) if not spot.line else _WithoutColumn(spot.file, spot.line)


class _WithoutColumn(Spot):
    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def _plain(text: str) -> str:
    """Return text for a comment of one line, whatever a file's name holds."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
