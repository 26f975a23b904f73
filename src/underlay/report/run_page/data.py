"""All that the page of a run shows, as one JSON document that stands in it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay.errors import UnderlayError
from underlay.lint.loaded import load_bytes
from underlay.report.after import by_kind, head
from underlay.report.comparison import baseline_document
from underlay.report.explanation import document as explanation_document
from underlay.report.pasted import ended_words
from underlay.report.results import ended_early
from underlay.report.run_page.cells import Layers
from underlay.report.run_page.files import files_of
from underlay.report.run_page.ways import ways_document
from underlay.report.strangers import strangers_document
from underlay.report.topology.drawing import picture_of
from underlay.report.topology.layout import dot_is_there, layout_of
from underlay.report.topology.svg import svg_text
from underlay.report.unplanned import unplanned_document

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.expect import End
    from underlay.expect.intent import Judged
    from underlay.faults import Cell as Name
    from underlay.plan import Plan
    from underlay.proof.captured import Captured
    from underlay.proof.result import LabResult
    from underlay.proof.runs.schema import Event, SavedLab
    from underlay.report.run import Told
    from underlay.verdict import Cell

# A statement about more cells than this has only those named that are against it.
MOST_CELLS = 20_000
Shown = dict[str, Any]


def page_document(told: Told) -> Shown:
    """Return what the page of a run shows."""
    run = told.run
    changed: dict[str, list[Name]] = defaultdict(list)
    for one in told.compared.labs if told.compared else ():
        changed[one.lab] = [change.name for change in one.changes]
    return {
        "began": run.began,
        "until": run.until,
        "of": run.of,
        "early": ended_early(run),
        "strict": run.strict,
        "boots": run.boots,
        "versions": run.stands_on,
        "timings": run.timings,
        "labs": [_lab(lab, told.results.by_lab[lab.lab], changed[lab.lab]) for lab in run.labs],
        **baseline_document(told.compared),
    }


def _lab(lab: SavedLab, result: LabResult, changed: Iterable[Name]) -> Shown:
    verdict = result.verdict
    measured = measured_document(lab.ends, result, changed)
    return {
        "lab": lab.lab,
        "file": lab.file,
        "text": lab.text,
        "provider": lab.provider,
        "error": _error(result),
        "after": [_event(one) for one in lab.after],
        "summary": asdict(verdict.summary),
        **measured,
        "timings": lab.timings,
        "phases": lab.phases,
        **unplanned_document(verdict),
        **strangers_document(verdict),
        **_picture(lab),
    }


def measured_document(ends: Iterable[End], result: LabResult, changed: Iterable[Name]) -> Shown:
    """Return what was measured among ``ends``, and why; the ``changed`` cells are marked."""
    verdict, explanation = result.verdict, result.explanation
    there = tuple(ends)
    layers = Layers([end.name for end in there], verdict.cells)
    told = explanation_document(explanation) if explanation else {}
    for cause in (*told.get("causes", ()), *told.get("doubted", ())):
        cause["cells"] = layers.codes(map(_name, cause["cells"]))
    if explanation:
        told["ended"] = ended_words(explanation)
        told["unexplained"] = layers.codes(map(_name, told["unexplained"]))
    return {
        "ends": [_end(end) for end in map(asdict, there)],
        "layers": layers.document(),
        "outcomes": layers.outcomes,
        "predictions": layers.predictions,
        "beside": layers.beside,
        "changed": layers.codes(changed),
        "captures": [_capture(one, layers) for one in result.captures],
        "intent": [_statement(one, layers) for one in verdict.intent],
        "explanation": told,
    }


def _error(result: LabResult) -> Shown | None:
    """Return why a lab didn't come up, None where it did."""
    error = result.error
    if error is None:
        return None
    return {"message": error.message, "hint": error.hint, "detail": error.detail}


def _event(event: Event) -> Shown:
    """Return an event with its sum in words, and its reasons by kind."""
    reasons = [
        {**reason.model_dump(), "places": places} for reason, places in by_kind(event.reasons)
    ]
    return {
        **event.model_dump(mode="json"),
        "head": head(event),
        "lost": event.lost or event.error is not None,
        "reasons": reasons,
        "silents": _of_all(event, "silent"),
        "announced": _of_all(event, "announced"),
    }


def _of_all(event: Event, what: str) -> list[Shown]:
    """Return what the nodes' parts of an event have of a kind, each with its node's name."""
    return [
        {**one.model_dump(), "node": node.node}
        for node in event.nodes
        for one in getattr(node, what)
    ]


def _end(end: Shown) -> Shown:
    kept = ("name", "kind", "node", "network", "address", "address6")
    return {key: end[key] for key in kept if end[key]}


def _name(told: Shown) -> Name:
    return told["source"], told["destination"], told["protocol"], told["family"]


def _name_of(cell: Cell) -> Name:
    return cell.source, cell.destination, str(cell.protocol), cell.family


def _statement(one: Judged[Cell], layers: Layers) -> Shown:
    all_told = len(one.cells) <= MOST_CELLS
    return {
        "line": one.statement.line,
        "text": one.statement.text,
        "word": one.word,
        "about": len(one.cells),
        "cells": layers.codes(map(_name_of, one.cells)) if all_told else [],
        "broken": layers.codes(map(_name_of, one.broken)),
        "untold": layers.codes(map(_name_of, one.untold)),
    }


def _capture(one: Captured, layers: Layers) -> Shown:
    """Return what was seen of a cell that was asked again, at each point that its packets pass."""
    points = [
        {
            "packet": point.packet,
            "at": f"{point.at}, {point.direction}",
            "seen": point.seen,
            "words": point.frame or ", ".join(point.arp),
        }
        for point in one.points
    ]
    return {"code": layers.code(one.cell), "last": one.last, "points": points}


def _picture(lab: SavedLab) -> Shown:
    """Return the lab's picture and the ways in it, or why there is none.

    It is drawn of the plan that the lab's file leads to, and only where that is the one of then:
    nothing else may stand beside what was measured.
    """
    plan = _plan(lab)
    if isinstance(plan, str):
        return {"picture": "", "noPicture": plan}
    return {**picture_document(plan), "files": files_of(plan)}


def picture_document(plan: Plan) -> Shown:
    """Return the picture of ``plan`` and the ways in it, or why there is none."""
    if not dot_is_there():
        why = "Graphviz wasn't installed where this page was made: apt install graphviz"
        return {"picture": "", "noPicture": why}
    picture = picture_of(plan)
    svg = svg_text(picture, layout_of(picture), alone=False)
    return {"picture": svg, "words": picture.words, **ways_document(plan, picture)}


def _plan(lab: SavedLab) -> Plan | str:
    if not lab.text:
        return "The run holds no lab file: it had changed while the lab was up."
    try:
        plan = load_bytes(Path(lab.file), lab.file, lab.text.encode()).plan
    except (UnderlayError, OSError):
        return "The lab's file needs others that aren't here."
    digest = hashlib.sha256(plan.without_intent.to_json().encode()).hexdigest()
    if digest != lab.plan:
        return "By now the lab's file leads to another plan than it did in this run."
    return plan
