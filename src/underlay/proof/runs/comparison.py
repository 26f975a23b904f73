"""What one run found otherwise than another: better, worse, new and gone.

Compared is how cells and statements stood, never how long they took. What differs from the
prediction as it did before isn't worse; a cell that differs otherwise than it did is, for what is
known of it is something else. What isn't measured any more is neither: it is said to be unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from underlay.errors import EXIT_DIFFERS, EXIT_INFRASTRUCTURE, EXIT_OK, BadInput
from underlay.proof.result import narrowed
from underlay.proof.runs.restoring import chosen_of, result_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping
    from pathlib import Path

    from underlay.cluster.beyond import Stranger
    from underlay.expect.intent import Judged
    from underlay.faults import Cell as Name
    from underlay.observe.unplanned import Unplanned
    from underlay.proof.explanation import Cause
    from underlay.proof.result import LabResult
    from underlay.proof.runs.schema import Run, SavedLab
    from underlay.verdict import Cell, Verdict

One = TypeVar("One")
# ``changed`` is as expected as before, where something else was expected by then.
What = Literal["worse", "better", "changed", "unknown", "new", "gone"]
WHAT: tuple[What, ...] = ("worse", "better", "changed", "unknown", "new", "gone")


@dataclass(frozen=True)
class CellChange:
    """A cell that isn't as it was; it may be there only before or only now."""

    what: What
    name: Name
    before: Cell | None
    now: Cell | None

    @property
    def bad(self) -> bool:
        """Whether it is worse, or new and not as expected."""
        is_new = self.what == "new" and self.now is not None and self.now.differs
        return self.what == "worse" or is_new


@dataclass(frozen=True)
class StatementChange:
    """A statement of what is wanted with which it doesn't stand as it did."""

    what: What
    text: str
    line: int
    before: str
    now: str

    @property
    def bad(self) -> bool:
        """Whether it is worse, or new and broken."""
        return self.what == "worse" or (self.what == "new" and self.now == "broken")


@dataclass(frozen=True)
class LabComparison:
    """What isn't as before in one lab; ``cells`` of it are there, ``same`` of them as before.

    ``there`` says whether the lab is in both runs, or in which one. ``replanned`` says that its
    file led to another plan. Ways and containers that nobody planned, and causes, are new or gone.
    """

    lab: str
    there: Literal["both", "before", "now"]
    cells: int
    same: int
    changes: tuple[CellChange, ...]
    statements: tuple[StatementChange, ...] = ()
    unplanned: tuple[tuple[What, Unplanned], ...] = ()
    strangers: tuple[tuple[What, Stranger], ...] = ()
    causes: tuple[tuple[What, Cause], ...] = ()
    replanned: bool = False

    @property
    def any(self) -> bool:
        """Whether anything is not as before."""
        beside = self.statements or self.unplanned or self.strangers or self.causes
        return bool(self.changes or beside) or self.there != "both" or self.replanned

    @property
    def counts(self) -> dict[What, int]:
        """How many cells became what."""
        words = [change.what for change in self.changes]
        return {what: words.count(what) for what in WHAT}


@dataclass(frozen=True)
class Comparison:
    """Two runs compared, lab by lab; ``versions`` are those that differ, before and now.

    ``unsure`` says that something of the later run wasn't measured. ``began`` is when the earlier
    one did, and ``file`` where it is kept.
    """

    file: str
    began: str
    labs: tuple[LabComparison, ...]
    versions: dict[str, tuple[str, str]]
    strict: bool = False
    unsure: bool = False

    @property
    def any(self) -> bool:
        """Whether anything that was found is not as before."""
        return any(lab.any for lab in self.labs)

    @property
    def counts(self) -> dict[What, int]:
        """How many cells of all labs became what."""
        return {what: sum(lab.counts[what] for lab in self.labs) for what in WHAT}

    @property
    def worse(self) -> bool:
        """Whether anything is worse, or new and not as it should be."""
        return any(
            any(change.bad for change in lab.changes)
            or any(change.bad for change in lab.statements)
            or (self.strict and any(what == "new" for what, _ in lab.unplanned))
            or (self.strict and any(what == "new" for what, _ in lab.strangers))
            for lab in self.labs
        )

    @property
    def exit_code(self) -> int:
        """1 where anything is worse; else 3 where something wasn't measured; else 0."""
        if self.worse:
            return EXIT_DIFFERS
        return EXIT_INFRASTRUCTURE if self.unsure else EXIT_OK


def cell_changes(before: Verdict, now: Verdict) -> list[CellChange]:
    """Return which cells of a lab aren't as they were when it was measured ``before``."""
    old = {_name(cell): cell for cell in before.cells}
    new = {_name(cell): cell for cell in now.cells}
    return [
        CellChange(what, cell, old.get(cell), new.get(cell))
        for cell in {**new, **old}
        if (what := _became(old.get(cell), new.get(cell)))
    ]


def usable(run: Run, file: Path) -> Run:
    """Return a ``run`` that others can be compared with; raise BadInput where it has no cell."""
    if not any(lab.cells for lab in run.labs):
        why = run.error.message if run.error else f"it ended while {run.reached}"
        raise BadInput(
            f"{file} is a run in which no cell is, expected one to compare with: {why}",
            hint="underlay check --save FILE  keeps another one",
        )
    return run


def compare(before: Run, now: Run, file: str) -> Comparison:
    """Return what ``now`` found otherwise than ``before``, which is kept in ``file``.

    Of a run of which cells were chosen these alone are compared. Of labs that only one of the two
    has, all cells are new or gone.
    """
    earlier = {lab.lab: lab for lab in before.labs}
    later = {lab.lab: lab for lab in now.labs}
    # What became of a large lab takes as long to restore as to compare.
    shown = {name: _shown(lab) for name, lab in later.items()}
    labs = [
        _lab(name, earlier.get(name), later.get(name), shown.get(name))
        for name in {**later, **earlier}
    ]
    then, today = before.stands_on, now.stands_on
    versions = {
        part: (then.get(part, ""), today.get(part, ""))
        for part in {**then, **today}
        if then.get(part) != today.get(part)
    }
    unsure = not now.labs or any(_unsure(one, strict=now.strict) for one in shown.values())
    return Comparison(file, before.began, tuple(labs), versions, now.strict, unsure)


def _unsure(result: LabResult, *, strict: bool) -> bool:
    verdict = result.verdict
    blind = strict and (verdict.looked is None or bool(verdict.looked.blind))
    summary = verdict.summary
    unknown = summary.not_measured or summary.statements_not_measured or not summary.cells
    return bool(unknown or verdict.unsized) or blind or result.error is not None


def _shown(lab: SavedLab) -> LabResult:
    chosen = chosen_of(lab)
    result = result_of(lab)
    return narrowed(result, chosen) if chosen else result


def _lab(
    name: str, before: SavedLab | None, now: SavedLab | None, later: LabResult | None
) -> LabComparison:
    chosen = chosen_of(now) if now else None
    earlier = result_of(before) if before else None
    if earlier is not None and chosen is not None:
        earlier = narrowed(earlier, chosen)
    old = {_name(cell): cell for cell in earlier.verdict.cells} if earlier else {}
    new = {_name(cell): cell for cell in later.verdict.cells} if later else {}
    changes = [
        CellChange(what, cell, old.get(cell), new.get(cell))
        for cell in {**new, **old}
        if (what := _became(old.get(cell), new.get(cell)))
    ]
    return LabComparison(
        name,
        "both" if before and now else "now" if now else "before",
        len(new),
        len({**new, **old}) - len(changes),
        tuple(changes),
        tuple(_statements(_intent(earlier), _intent(later))),
        tuple(_new_and_gone(_ways(earlier), _ways(later))),
        tuple(_new_and_gone(_strangers(earlier), _strangers(later))),
        tuple(_new_and_gone(_causes(earlier), _causes(later))),
        bool(before and now and before.plan != now.plan),
    )


def _name(cell: Cell) -> Name:
    return cell.source, cell.destination, str(cell.protocol), cell.family


def _became(before: Cell | None, now: Cell | None) -> What | None:
    """Return what became of a cell; None where it is as it was."""
    if before is None or now is None:
        return "gone" if now is None else "new"
    if not now.measured:
        return "unknown" if before.measured else None
    if now.differs:
        return None if before.differs and _symptom(before) == _symptom(now) else "worse"
    if before.differs or not before.measured:
        return "better"
    return None if before.expected == now.expected else "changed"


def _symptom(cell: Cell) -> tuple[object, ...]:
    """Return how a cell differs: what was expected, and what was seen instead."""
    return cell.expected, cell.observed, cell.stopped_at, cell.answered_by, cell.leaks


def _intent(result: LabResult | None) -> dict[str, Judged[Cell]]:
    return {one.statement.text: one for one in result.verdict.intent} if result else {}


def _statements(
    before: Mapping[str, Judged[Cell]], now: Mapping[str, Judged[Cell]]
) -> Iterable[StatementChange]:
    for text, one in {**before, **now}.items():
        was = before[text].word if text in before else ""
        is_now = now[text].word if text in now else ""
        what = _stands(was, is_now)
        if what is not None:
            yield StatementChange(what, text, one.statement.line, was, is_now)


def _stands(before: str, now: str) -> What | None:
    if before == now:
        return None
    if not before or not now:
        return "new" if now else "gone"
    found: dict[str, What] = {"broken": "worse", "kept": "better", "not measured": "unknown"}
    return found[now]


def _ways(result: LabResult | None) -> dict[Hashable, Unplanned]:
    ways = result.verdict.unplanned if result else ()
    return {(one.kind, one.end, one.interface, one.address): one for one in ways}


def _strangers(result: LabResult | None) -> dict[Hashable, Stranger]:
    strangers = result.verdict.strangers if result else ()
    return {(one.node, one.runtime, one.name): one for one in strangers or ()}


def _causes(result: LabResult | None) -> dict[Hashable, Cause]:
    causes = result.explanation.causes if result and result.explanation else ()
    return {(one.finding.fault.id, one.where): one for one in causes}


def _new_and_gone(
    before: Mapping[Hashable, One], now: Mapping[Hashable, One]
) -> Iterable[tuple[What, One]]:
    for key in {**now, **before}:
        if key not in before:
            yield "new", now[key]
        elif key not in now:
            yield "gone", before[key]
