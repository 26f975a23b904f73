"""What a run found otherwise than an earlier one, within the document of ``check``."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

Value = str | list[str]
# ``unknown`` isn't measured any more.
Became = Literal["worse", "better", "changed", "unknown", "new", "gone"]


class Counts(TypedDict):
    """How many cells are as before, and what became of the others."""

    same: int
    worse: int
    better: int
    changed: int
    unknown: int
    new: int
    gone: int


class LabCounts(Counts):
    """The same of one lab, and how many cells it has now."""

    cells: int


class Side(TypedDict):
    """How a cell stood in one of the runs."""

    expected: Value
    observed: Value
    stopped_at: str | None
    answered_by: str | None
    differs: bool


class CellChange(TypedDict):
    """A cell that isn't as before; null is a run that hasn't got it."""

    change: Became
    source: str
    destination: str
    protocol: str
    family: Literal[4, 6]
    before: Side | None
    now: Side | None


class StatementChange(TypedDict):
    """A statement of what is wanted that doesn't stand as before."""

    change: Became
    line: int
    statement: str
    before: str | None
    now: str | None


class WayChange(TypedDict):
    """A way that nobody planned and that is new or gone."""

    change: Became
    kind: str
    end: str
    address: str


class StrangerChange(TypedDict):
    """A container that no plan knows and that is new or gone."""

    change: Became
    node: str
    runtime: str
    name: str


class CauseChange(TypedDict):
    """A cause that is new or gone."""

    change: Became
    id: str
    title: str
    where: str


class VersionChange(TypedDict):
    """A kernel's or tool's version that isn't the one of then."""

    of: str
    before: str | None
    now: str | None


class LabComparison(TypedDict):
    """What isn't as before in one lab; ``there`` says which runs have it."""

    lab: str
    there: Literal["both", "before", "now"]
    replanned: bool
    summary: LabCounts
    cells: list[CellChange]
    statements: list[StatementChange]
    unplanned: list[WayChange]
    strangers: list[StrangerChange]
    causes: list[CauseChange]


class Baseline(TypedDict):
    """A run compared with the one that ``file`` holds."""

    file: str
    began: str
    exit_code: Literal[0, 1, 3]
    summary: Counts
    versions: list[VersionChange]
    labs: list[LabComparison]
