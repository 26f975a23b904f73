"""What became of the labs of a run, made of its file again, for whatever reports it.

Nothing is predicted, judged or looked into anew: a run says the same wherever and whenever it is
read.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from underlay.errors import Infrastructure
from underlay.expect.intent import Judged
from underlay.faults.fault import Effect, Fault, Finding, Place
from underlay.observe.capture import Frame
from underlay.observe.unplanned import Looked
from underlay.proof.captured import Captured
from underlay.proof.choice import Choice, Chosen
from underlay.proof.explanation import Cause, Doubted, Explanation
from underlay.proof.labs import LabResults
from underlay.proof.result import LabResult
from underlay.proof.runs.saving import TEXTS
from underlay.verdict import Cell, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from underlay.faults import Cell as Name
    from underlay.proof.runs.schema import (
        CellName,
        Outcome,
        Predicted,
        Run,
        SavedCapture,
        SavedCause,
        SavedCell,
        SavedExplanation,
        SavedLab,
        SavedPair,
    )
    from underlay.proof.runs.schema import Choice as SavedChoice


class Told(Fault):
    """A fault as a run tells of it: its words, and nothing by which it could be found again."""

    def __init__(self, cause: SavedCause) -> None:
        words = {text: getattr(cause.fault, text) for text in TEXTS}
        for name, value in {**words, "needs_restart": cause.needs_restart}.items():
            object.__setattr__(self, name, value)


def results_of(run: Run) -> LabResults:
    """Return what became of each lab of ``run``, in the order of its files, all cells with it."""
    results = LabResults(boots=run.boots)
    for lab in run.labs:
        results.add(result_of(lab, strict=run.strict))
    results.timings = dict(run.timings)
    return results


def result_of(lab: SavedLab, *, strict: bool = False) -> LabResult:
    """Return what became of one lab, all cells with it."""
    cells = tuple(_cells(lab))
    intent = tuple(
        Judged(
            one.statement,
            tuple(cells[number] for number in one.cells),
            tuple(cells[number] for number in one.broken),
            tuple(cells[number] for number in one.untold),
            one.told,
            one.ways,
            one.why,
        )
        for one in lab.intent
    )
    looked = Looked(lab.looked.found, lab.looked.blind) if lab.looked else None
    verdict = Verdict(
        lab.lab,
        lab.provider,
        cells,
        dict(lab.timings),
        looked,
        strict=strict,
        intent=intent,
        strangers=lab.strangers,
        live=lab.live,
    )
    error = None
    if lab.error:
        error = Infrastructure(lab.error.message, hint=lab.error.hint, detail=lab.error.detail)
    explanation = (
        _explanation(lab.explanation, "" if lab.live else lab.lab) if lab.explanation else None
    )
    captures = tuple(_capture(one) for one in lab.captures)
    return LabResult(verdict, explanation, error, dict(lab.phases), captures, lab.after)


def chosen_of(lab: SavedLab, choice: SavedChoice | None = None) -> Chosen | None:
    """Return the cells that the command line chose, by ``choice``; None where it chose none."""
    if not any(outcome.left_out for outcome in lab.outcomes):
        return None
    return Chosen(
        frozenset(
            (pair.source, pair.destination, cell.protocol)
            for pair in lab.cells
            for cell in pair.cells
            if not lab.outcomes[cell.outcome].left_out
        ),
        Choice(choice.only, choice.without, choice.protocols).words if choice else "",
    )


def _cells(lab: SavedLab) -> Iterator[Cell]:
    for pair in lab.cells:
        for cell in pair.cells:
            outcome = lab.outcomes[cell.outcome]
            yield _cell(pair, cell, outcome, lab.predictions[outcome.prediction])


def _cell(pair: SavedPair, cell: SavedCell, outcome: Outcome, predicted: Predicted) -> Cell:
    return Cell(
        source=pair.source,
        destination=pair.destination,
        protocol=cell.protocol,
        expected=predicted.expected,
        observed=outcome.observed,
        stopped_at=outcome.stopped_at,
        answered_by=outcome.answered_by,
        because=predicted.because,
        reference=predicted.reference,
        rtt_ms=cell.rtt_ms,
        expected_stop=predicted.stop,
        also=predicted.also,
        arrives=predicted.arrives,
        attempts=outcome.attempts,
        lost=outcome.lost,
        arrived=outcome.arrived,
        reason=outcome.reason,
        rule=predicted.rule,
        destination_address=pair.address,
        family=pair.family,
        kind=predicted.kind,
        unsent=outcome.unsent,
    )


def _explanation(told: SavedExplanation, lab: str) -> Explanation:
    return Explanation(
        causes=tuple(_cause(cause) for cause in told.causes),
        unexplained=_names(told.unexplained),
        ruled_out=told.ruled_out,
        suspects=told.suspects,
        unseen=told.unseen,
        not_borne_out=told.not_borne_out,
        doubted=tuple(
            Doubted(one.rule, one.because, one.reference, _names(one.cells)) for one in told.doubted
        ),
        lab=lab,
        file=told.file,
        keep_by=told.keep_by,
    )


def _cause(cause: SavedCause) -> Cause:
    finding = Finding(
        Told(cause),
        Place(cause.target, cause.device),
        Effect(frozenset()),
        cause.evidence,
        cause.sureness,
        cause.cure,
        cause.steps,
    )
    return Cause(finding, cause.sureness, _names(cause.cells))


def _capture(one: SavedCapture) -> Captured:
    frames = tuple(
        Frame(frame.at, frame.time, frame.out, frame.length, base64.b64decode(frame.data))
        for frame in one.frames
    )
    (cell,) = _names([one.cell])
    return Captured(cell, one.points, one.last, frames, one.more)


def _names(cells: Iterable[CellName]) -> tuple[Name, ...]:
    return tuple((one.source, one.destination, one.protocol, one.family) for one in cells)
