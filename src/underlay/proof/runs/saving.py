"""What became of a lab as the part of a run's file that holds it; ``restoring`` reads it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, fields
from itertools import groupby
from typing import TYPE_CHECKING

from underlay.expect import ends
from underlay.faults.fault import Entry
from underlay.proof.explanation import NOTHING
from underlay.proof.runs.schema import (
    CellName,
    Outcome,
    Predicted,
    SavedCapture,
    SavedCause,
    SavedCell,
    SavedDoubt,
    SavedError,
    SavedExplanation,
    SavedFrame,
    SavedLab,
    SavedLooked,
    SavedPair,
    SavedStatement,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.errors import UnderlayError
    from underlay.expect import Family
    from underlay.faults import Cell as Name
    from underlay.plan import Plan
    from underlay.proof.captured import Captured
    from underlay.proof.choice import Chosen
    from underlay.proof.explanation import Cause, Explanation
    from underlay.proof.result import LabResult
    from underlay.verdict import Cell

# What a fault says of itself; the rest of it finds and mends, which a file can't.
TEXTS = tuple(field.name for field in fields(Entry))


@dataclass(frozen=True)
class Source:
    """Where a lab is from: the name of its file, the text as it was read, and its plan."""

    file: str
    text: str
    plan: Plan


def digest(plan: Plan) -> str:
    """Return what tells whether two plans are the same, whatever is wanted of them."""
    return hashlib.sha256(plan.without_intent.to_json().encode()).hexdigest()


def unread(source: Source, provider: str) -> SavedLab:
    """Return a lab of which nothing is known yet."""
    return SavedLab(
        lab=source.plan.lab,
        file=source.file,
        text=source.text,
        plan=digest(source.plan),
        provider=provider,
    )


def saved(source: Source, result: LabResult, chosen: Chosen | None = None) -> SavedLab:
    """Return what became of the whole lab; cells that aren't ``chosen`` are marked."""
    verdict = result.verdict
    table = _Outcomes(chosen)
    cells = tuple(
        SavedPair(*pair, tuple(table.cell(cell) for cell in alike))
        for pair, alike in groupby(verdict.cells, _pair)
    )
    places = {_place(cell): number for number, cell in enumerate(verdict.cells)}

    def numbers(some: Iterable[Cell]) -> tuple[int, ...]:
        return tuple(places[_place(cell)] for cell in some)

    return unread(source, verdict.provider).model_copy(
        update={
            "ends": ends(source.plan),
            "origins": source.plan.origins,
            "own": {one.name: one.own for one in source.plan.networks if source.plan.origins},
            "predictions": tuple(table.predictions),
            "outcomes": tuple(table.outcomes),
            "cells": cells,
            "intent": tuple(
                SavedStatement(
                    statement=one.statement,
                    cells=numbers(one.cells),
                    broken=numbers(one.broken),
                    untold=numbers(one.untold),
                    told=one.told,
                    ways=one.ways,
                    why=one.why,
                )
                for one in verdict.intent
            ),
            "looked": verdict.looked
            and SavedLooked(found=verdict.looked.found, blind=verdict.looked.blind),
            "strangers": verdict.strangers,
            "live": verdict.live,
            "explanation": _explanation(result.explanation),
            "captures": tuple(_capture(one) for one in result.captures),
            "error": result.error and saved_error(result.error),
            "timings": dict(verdict.timings),
            "phases": dict(result.timings),
            "after": result.after,
        }
    )


def saved_error(error: UnderlayError) -> SavedError:
    """Return what ``error`` says."""
    return SavedError(message=error.message, hint=error.hint, detail=error.detail)


def _place(cell: Cell) -> Name:
    return cell.source, cell.destination, str(cell.protocol), cell.family


def _pair(cell: Cell) -> tuple[str, str, Family, str]:
    return cell.source, cell.destination, cell.family, cell.destination_address


class _Outcomes:
    """What was predicted and seen of cells, each once, with the places of both."""

    def __init__(self, chosen: Chosen | None) -> None:
        self._chosen = chosen
        self.predictions: dict[Predicted, int] = {}
        self.outcomes: list[Outcome] = []
        self._known: dict[tuple[object, ...], int] = {}

    def cell(self, cell: Cell) -> SavedCell:
        """Return ``cell`` as it is saved within its pair."""
        left_out = self._chosen is not None and _place(cell)[:3] not in self._chosen.cells
        told = (
            *(cell.expected, cell.expected_stop, cell.also, cell.arrives, cell.kind, cell.rule),
            *(cell.because, cell.reference, cell.observed, cell.stopped_at, cell.answered_by),
            *(cell.arrived, cell.attempts, cell.lost, cell.reason, cell.unsent, left_out),
        )
        number = self._known.setdefault(told, len(self.outcomes))
        if number == len(self.outcomes):
            self.outcomes.append(self._outcome(cell, left_out=left_out))
        return SavedCell(cell.protocol, number, cell.rtt_ms)

    def _outcome(self, cell: Cell, *, left_out: bool) -> Outcome:
        return Outcome(
            prediction=self.predictions.setdefault(_predicted(cell), len(self.predictions)),
            observed=cell.observed,
            stopped_at=cell.stopped_at,
            answered_by=cell.answered_by,
            arrived=cell.arrived,
            attempts=cell.attempts,
            lost=cell.lost,
            reason=cell.reason,
            unsent=cell.unsent,
            left_out=left_out,
        )


def _predicted(cell: Cell) -> Predicted:
    return Predicted(
        expected=cell.expected,
        stop=cell.expected_stop,
        also=cell.also,
        arrives=cell.arrives,
        kind=cell.kind,
        rule=cell.rule,
        because=cell.because,
        reference=cell.reference,
    )


def _explanation(explanation: Explanation | None) -> SavedExplanation | None:
    if explanation is None or explanation == NOTHING:
        return None
    return SavedExplanation(
        causes=tuple(_cause(cause) for cause in explanation.causes),
        unexplained=_names(explanation.unexplained),
        ruled_out=explanation.ruled_out,
        suspects=explanation.suspects,
        unseen=explanation.unseen,
        not_borne_out=explanation.not_borne_out,
        doubted=tuple(
            SavedDoubt(
                rule=one.rule,
                because=one.because,
                reference=one.reference,
                cells=_names(one.cells),
            )
            for one in explanation.doubted
        ),
        file=explanation.file,
        keep_by=explanation.keep_by,
    )


def _cause(cause: Cause) -> SavedCause:
    finding = cause.finding
    return SavedCause(
        fault=Entry(**{text: getattr(finding.fault, text) for text in TEXTS}),
        needs_restart=finding.fault.needs_restart,
        target=finding.place.target,
        device=finding.place.device,
        sureness=cause.sureness,
        cells=_names(cause.cells),
        evidence=finding.proofs,
        cure=finding.cure,
        steps=finding.steps,
    )


def _capture(one: Captured) -> SavedCapture:
    frames = tuple(
        SavedFrame(
            frame.at,
            frame.time,
            frame.out,
            frame.length,
            base64.b64encode(frame.data).decode(),
        )
        for frame in one.frames
    )
    (cell,) = _names([one.cell])
    return SavedCapture(cell=cell, last=one.last, points=one.points, frames=frames, more=one.more)


def _names(cells: Iterable[Name]) -> tuple[CellName, ...]:
    return tuple(
        CellName(
            source=source, destination=there, protocol=protocol, family=4 if family == 4 else 6
        )
        for source, there, protocol, family in cells
    )
