"""What ``diff`` prints: two labs' predictions compared, with ``--prove`` their packets as well."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from underlay.report.documents.files import Finding
from underlay.report.documents.matrix import Cause, CellName, ExpectedStatement, Value

Became = Literal["lost", "changed", "gained", "went", "came"]
Stands = Literal["kept", "broken", "no cell"]


class Counts(TypedDict):
    """How many cells there are, and what became of them."""

    cells: int
    same: int
    lost: int
    changed: int
    gained: int
    went: int
    came: int


class AllCounts(Counts):
    """The same of all labs; ``differ`` of them aren't as before."""

    labs: int
    differ: int


class Key(TypedDict):
    """A key that differs: its value in one line of YAML, where it stands, null where it doesn't."""

    path: str
    old: str | None
    new: str | None
    old_line: int | None
    new_line: int | None
    old_file: str | None
    new_file: str | None


class MovedEnd(TypedDict):
    """An end that stays: name, node, network, IPv4 and IPv6 address before and now."""

    name: str
    before: list[str]
    now: list[str]


class NewFinding(Finding):
    """An error that lint finds in the new lab; ``new`` is whether the old one is without it."""

    new: bool


class Ends(TypedDict):
    """Ends that are there only now, only before, or elsewhere."""

    come: list[str]
    go: list[str]
    moved: list[MovedEnd]


class Statement(ExpectedStatement):
    """A statement of the new lab; ``before`` is how it stood in the old one."""

    before: Stands | None


class StatementChange(TypedDict):
    """A statement that isn't as before; ``would`` is how the old one would stand now."""

    change: Literal["went", "changed", "came"]
    old: str | None
    new: str | None
    old_line: int | None
    new_line: int | None
    before: str | None
    would: Stands | None


class Outcome(TypedDict):
    """What is expected of cells that fare alike; all null where there was none."""

    expected: str | None
    expected_stop: str | None
    rule: str | None
    because: str | None
    further: int
    reference: str | None


class Block(TypedDict):
    """Cells of a group between two networks."""

    source: str
    destination: str
    where: Literal["same node", "another node"] | None
    protocols: list[str]
    cells: int
    of: int


class Group(TypedDict):
    """Cells that fare alike, and the keys that make them."""

    change: Became
    stays: bool
    cells: int
    before: Outcome
    now: Outcome
    keys: list[str] | None
    keys_together: bool | None
    blocks: list[Block]


class Side(TypedDict):
    """What was or is expected of a cell; nulls where there is none."""

    expected: Value | None
    expected_stop: str | None
    rule: str | None


class Cell(CellName):
    """A cell that isn't as before."""

    change: Became
    kind: Literal["reach", "value"]
    stays: bool
    before: Side
    now: Side


class Tally(TypedDict):
    """How many cells were measured as predicted in both labs."""

    cells: int
    as_predicted: int
    differs: int
    not_measured: int


class Measured(TypedDict):
    """How one of the labs was measured."""

    error: str | None
    timings: dict[str, float]
    causes: list[Cause]


class SeenSide(TypedDict):
    """What was measured of a cell in one of the labs; nulls where it isn't there."""

    expected: Value | None
    observed: Value | None
    stopped_at: str | None
    rule: str | None


class SeenCell(CellName):
    """A cell that isn't as predicted in one of the labs."""

    change: Became | None
    word: Literal["differs", "not measured"]
    before: SeenSide
    now: SeenSide


class Proof(TypedDict):
    """What packets said of both labs."""

    boots: Literal[1, 2]
    why_two_boots: list[str]
    changes: Tally
    others: Tally
    old: Measured
    new: Measured
    statements_broken: int
    cells: list[SeenCell]


class Lab(TypedDict):
    """What isn't as before in one lab."""

    lab: str
    old: str | None
    new: str | None
    summary: Counts
    findings: list[NewFinding]
    keys: list[Key]
    ends: Ends
    intent: list[Statement]
    statements: list[StatementChange]
    groups: list[Group]
    cells: list[Cell]
    measured: NotRequired[Proof]


class Difference(TypedDict):
    """What ``diff`` prints."""

    labs: list[Lab]
    summary: AllCounts
