"""What of a run contradicts itself, though each part is of the right kind: told by its place.

A run that reached its end has measured something, or says why not. A file without that would be
told as nothing at all, which looks like nothing wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from underlay.errors import did_you_mean, nearest
from underlay.observe.observation import Observed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.proof.runs.schema import Run, SavedLab

END = "the end"
SEEN = get_args(Observed)
EXPECTED = ("reachable", "unreachable")


def problems(run: Run) -> Iterator[str]:
    """Yield what is wrong with ``run``, each with its place in the file."""
    if run.reached == END and not run.labs:
        yield f"labs: there is none, expected those of a run that reached {END}"
    for number, lab in enumerate(run.labs):
        place = f"labs.{number}"
        if lab.cells or lab.error is not None or run.reached != END:
            yield from _lost(lab, place) or _told(lab, place)
        else:
            yield f"{place}.cells: {lab.lab} has none, expected some, or an error that says why"


def _lost(lab: SavedLab, place: str) -> list[str]:
    """Name the first of each kind of places that there are none of."""
    count = sum(len(pair.cells) for pair in lab.cells)
    found = []
    for n, pair in enumerate(lab.cells):
        if any(cell.outcome >= len(lab.outcomes) for cell in pair.cells):
            found.append(f"{place}.cells.{n}: it names an outcome that isn't there")
            break
    for n, outcome in enumerate(lab.outcomes):
        if outcome.prediction >= len(lab.predictions):
            found.append(f"{place}.outcomes.{n}.prediction: there is no such prediction")
            break
    for n, one in enumerate(lab.intent):
        if max(one.cells + one.broken + one.untold, default=-1) >= count:
            found.append(f"{place}.intent.{n}: it names a cell that isn't there")
            break
    return found


def _told(lab: SavedLab, place: str) -> Iterator[str]:
    """Yield ends of cells that the lab doesn't have, and words that no measurement says."""
    names = [end.name for end in lab.ends]
    reach = [one.kind == "reach" for one in lab.predictions]
    for n, one in enumerate(lab.predictions):
        if one.kind == "reach" and one.expected not in EXPECTED:
            yield _unknown(f"{place}.predictions.{n}.expected", one.expected, EXPECTED)
    for n, outcome in enumerate(lab.outcomes):
        if reach[outcome.prediction] and outcome.observed not in SEEN:
            yield _unknown(f"{place}.outcomes.{n}.observed", outcome.observed, SEEN)
    known = set(names)
    for n, pair in enumerate(lab.cells):
        asked = any(reach[lab.outcomes[cell.outcome].prediction] for cell in pair.cells)
        for end in (pair.source, *([pair.destination] if asked else [])):
            if end not in known:
                hint = did_you_mean(nearest(end, names))
                more = f", {hint}" if hint else ""
                yield f"{place}.cells.{n}: {end!r} is none of the lab's ends{more}"


def _unknown(place: str, found: object, expected: tuple[str, ...]) -> str:
    return f"{place}: found {found!r}, expected one of {', '.join(expected)}"


def with_wholeness(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of runs with those of these rules that a schema can say."""
    some = {"minItems": 1}
    measured = {"required": ["cells"], "properties": {"cells": some}}
    failed = {"required": ["error"], "properties": {"error": {"type": "object"}}}
    told = {**some, "items": {"anyOf": [measured, failed]}}
    whole = {"required": ["labs"], "properties": {"labs": told}}
    schema["allOf"] = [{"if": {"properties": {"reached": {"const": END}}}, "then": whole}]
    value = {"required": ["kind"], "properties": {"kind": {"const": "value"}}}
    words = {
        "predictions": {"items": {"properties": {"expected": {"enum": list(EXPECTED)}}}},
        "outcomes": {"items": {"properties": {"observed": {"enum": list(SEEN)}}}},
    }
    schema["$defs"]["SavedLab"]["allOf"] = [
        {
            "if": measured,
            "then": {
                "required": ["ends", "predictions", "outcomes"],
                "properties": {"ends": some, "predictions": some, "outcomes": some},
            },
        },
        {
            "if": {"properties": {"predictions": {"not": {"contains": value}}}},
            "then": {"properties": words},
        },
    ]
    return schema
