"""The JSON Schemas of all documents, made from their models; ``docs/schemas`` holds them."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any, Final

from pydantic import TypeAdapter

from underlay.report.documents import (
    difference,
    figures,
    files,
    matrix,
    running,
    surveyed,
    workshop,
)
from underlay.report.documents.kinds import VERSIONS, name_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# What a verb prints; of several which one follows from how it was called, and how that went.
MODELS: Final[dict[str, tuple[Any, ...]]] = {
    "bench": (figures.Bench, figures.Dataplane, figures.Grown),
    "break": (running.Broken, running.FittingFaults),
    "bundle": (files.Bundle, files.InstalledBundle),
    "capture": (running.Captured,),
    "check": (matrix.RunningLab, matrix.LabsOfFiles, matrix.EndedEarly),
    "converge": (running.Converged, running.Applied),
    "demo": (matrix.Demo,),
    "diff": (difference.Difference,),
    "doctor": (files.Doctor,),
    "down": (running.Down, running.DownOnMachines),
    "env": (running.Environment,),
    "error": (files.Failed,),
    "explain": (matrix.Explained, matrix.ExplainedRun),
    "faults": (files.Faults,),
    "forward": (running.Forwarded,),
    "hosts": (running.Hosts,),
    "image": (files.Image, files.BuiltFile, files.ExportedImage, files.ImportedImage),
    "import": (files.Imported,),
    "labs": (files.Labs,),
    "lint": (files.LintOfLab, files.LintOfUnreadLab, files.LintOfHosts),
    "mend": (running.Mended,),
    "predict": (matrix.Predicted,),
    "render": (files.Rendered,),
    "soak": (figures.Soak,),
    "status": (running.Status, running.StatusOfMachines),
    "survey": (surveyed.Surveyed,),
    "switch": (running.Switched,),
    "test": (files.Tests,),
    "trace": (running.Traced,),
    "up": (running.Up, running.Applied),
    "version": (files.Versions,),
    "watch": (matrix.Watched,),
    "workshop": (
        workshop.Courses,
        workshop.ProvenCourse,
        workshop.WorkshopUp,
        workshop.WorkshopOnServers,
        workshop.Entries,
        workshop.EntriesOnServers,
        workshop.WatchedSeats,
        workshop.WatchedOnServers,
        workshop.Grades,
        workshop.GradesOnServers,
        workshop.WorkshopDown,
    ),
}
TITLES = {
    "error": "What any verb prints with --json where it fails",
    "version": "What underlay --version --json prints",
}


def schema_of(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of the document that the verb ``kind`` prints.

    It names every field and lets others be: a new one is no new version. Raises KeyError for a
    verb that prints none.
    """
    version = VERSIONS[kind]
    made = TypeAdapter(reduce(or_, MODELS[kind])).json_schema()
    models = made.pop("$defs", {})
    roots = [
        models[option["$ref"].rpartition("/")[2]] if "$ref" in option else option
        for option in made.get("anyOf", [made])
    ]
    for root in roots:
        _say_what_it_is(root, kind, version)
    return {
        "$schema": DIALECT,
        "title": f"{TITLES.get(kind, f'What underlay {kind} --json prints')}, version {version}",
        **{key: _plain(value) for key, value in made.items() if key != "title"},
        **({"$defs": _plain(models)} if models else {}),
    }


def _say_what_it_is(root: dict[str, Any], kind: str, version: int) -> None:
    """Ask for what the document says of itself, before its other fields."""
    first = {"document": {"const": name_of(kind)}, "version": {"const": version}}
    root["properties"] = {**first, **root["properties"]}
    root["required"] = [*first, *root["required"]]


def _plain(value: Any) -> Any:
    """Return ``value`` without titles, which repeat names, and without line ends in texts."""
    if isinstance(value, str):
        return " ".join(value.replace("``", "`").split())
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, one in value.items():
        # A field may be called title; its value is a schema then and no text.
        if key == "title" and isinstance(one, str):
            continue
        kept[key] = _plain(one)
    return kept
