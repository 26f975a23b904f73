"""Documents about cells: what is predicted, what was measured, and why it differs."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from underlay.faults.fault import Sureness
from underlay.observe.unplanned import Kind
from underlay.proof.runs.schema import Event
from underlay.report.documents.comparing import Baseline
from underlay.report.documents.files import Finding

Value = str | list[str]
# Where a probe stopped.
Stop = Literal["no_route", "not_sent", "no_neighbour", "no_answer", "refused"]
Stands = Literal["kept", "broken", "not measured"]


class CellName(TypedDict):
    """Which cell: who asks whom, over what."""

    source: str
    destination: str
    protocol: str
    family: Literal[4, 6]


class Expected(CellName):
    """What is to be expected of a cell, the rule that says so and its source."""

    kind: Literal["reach", "value"]
    expected: Value
    expected_stop: Stop | None
    rule: str
    because: str
    reference: str


class Cell(Expected):
    """One cell: what was expected and what was measured.

    ``expected`` and ``observed`` are ``reachable`` or ``unreachable``, and a text or a list of
    texts where ``kind`` is ``value``; ``observed`` may be ``not_measured``.
    """

    observed: Value
    stopped_at: Stop | None
    answered_by: str | None
    rtt_ms: float | None
    attempts: int
    arrived: bool
    reason: str | None


class StatementCell(CellName):
    """A cell that is against a statement of what is wanted, or wasn't measured."""

    expected: Value
    observed: Value
    arrived: bool
    differs: bool
    rule: str
    because: str
    reference: str


class ExpectedStatementCell(CellName):
    """A cell that is predicted against a statement of what is wanted."""

    expected: Value
    rule: str
    because: str
    reference: str


class StatementHead(TypedDict):
    """A statement of what is wanted; ``about`` is how many cells it is about."""

    line: int
    statement: str
    kept: bool
    about: int


class Statement(StatementHead):
    """How it stands with a statement by what was measured."""

    word: Stands
    cells: list[StatementCell]


class ExpectedStatement(StatementHead):
    """How it stands with a statement by what is predicted."""

    word: Literal["kept", "broken", "no cell"]
    cells: list[ExpectedStatementCell]


class Summary(TypedDict):
    """How many cells, statements and ways there are, and how it stands with them."""

    cells: int
    as_expected: int
    differs: int
    not_measured: int
    stopped_elsewhere: int
    lost: int
    values: int
    unplanned: int
    leaks: int
    statements: int
    statements_broken: int
    statements_not_measured: int
    left_out: int


class Unplanned(TypedDict):
    """A way that is there and that nobody planned."""

    kind: Kind
    end: str
    address: str
    interface: str | None
    mac: str
    heard_by: list[str]
    answered: list[str]
    brought: Literal["hand", "advertisement", "proxy", "event"] | None
    because: str
    reference: str
    cause: str
    look: str | None


class Blind(TypedDict):
    """An end that couldn't look for what nobody planned."""

    end: str
    reason: str


class Stranger(TypedDict):
    """A container that runs and that no plan knows."""

    node: str
    runtime: str
    name: str
    image: str
    by: str


class Origin(TypedDict):
    """A place in a fleet's files that the prediction of differing cells stems from."""

    network: str | None
    node: str
    what: str
    file: str
    line: int


class Evidence(TypedDict):
    """What shows a cause: a command's lines, and where it was given."""

    node: str
    command: str
    lines: list[str]


class Cause(TypedDict):
    """Why cells differ, with what shows it and what puts it right."""

    id: str
    title: str
    layer: str
    where: str
    sureness: Sureness
    cause: str
    cells: list[CellName]
    evidence: list[Evidence]
    cure: str
    commands: list[str]
    reference: str


class Doubted(TypedDict):
    """A rule of the prediction that unexplained cells contradict."""

    rule: str
    because: str
    reference: str
    cells: list[CellName]


class Hop(TypedDict):
    """A point that a packet or its answer has to pass."""

    way: Literal["request", "answer"]
    at: str
    point: Literal["end", "parent", "switch port"]
    direction: Literal["in", "out"]
    seen: bool
    arp: list[str]
    frame: str | None


class Capture(CellName):
    """A cell that differs, asked again: where its packets were seen, and how many frames."""

    last_seen: str
    frames: int
    hops: list[Hop]


class LiveWay(TypedDict):
    """From one machine to another by their own addresses; ``mtu`` is null where none is known.

    ``missed`` says by protocol where it stopped, and ``reason`` why nothing else is known.
    """

    source: str
    destination: str
    source_address: str
    destination_address: str
    reached: list[str]
    missed: dict[str, str]
    mtu: int | None
    reason: str | None


class Live(TypedDict):
    """How a network of machines in use was measured, and what isn't known of it therefore.

    Verdicts are ``warm`` unless tables were flushed. ``cannot`` is what its tier can't see, in
    words; ``unread`` is by machine what it wasn't told, and ``icmp`` how it sent echo requests.
    """

    tier: Literal["reader", "probe"]
    warm: bool
    rate: float
    cannot: list[str]
    unread: dict[str, str]
    icmp: dict[str, str]
    ways: list[LiveWay]


class Verdict(TypedDict):
    """A lab's cells and what was found beside them; ``timings`` are seconds by phase."""

    lab: str
    provider: str
    summary: Summary
    cells: list[Cell]
    timings: dict[str, float]
    intent: list[Statement]
    unplanned: list[Unplanned]
    blind: list[Blind]
    strangers: list[Stranger]


class RunningLab(Verdict):
    """What ``check`` found of the lab that is up."""

    causes: list[Cause]
    origins: list[Origin]
    captures: list[Capture]
    live: NotRequired[Live]
    baseline: NotRequired[Baseline]
    after: NotRequired[list[Event]]


class LabOfFile(Verdict):
    """What ``check FILE`` found of a lab; ``error`` says why it didn't come up."""

    causes: list[Cause]
    origins: list[Origin]
    captures: list[Capture]
    after: NotRequired[list[Event]]
    error: NotRequired[str]
    detail: NotRequired[str]


class LabsOfFiles(TypedDict):
    """What ``check FILE`` and ``check DIR`` found; ``coverage`` are the labs by rule."""

    labs: list[LabOfFile]
    boots: int
    timings: dict[str, float]
    coverage: dict[str, list[str]]
    baseline: NotRequired[Baseline]


class EndedEarly(TypedDict):
    """What is known of a run that ended before its end.

    ``left`` are labs of which nothing is known. ``reached``, how far it came, is what ``report``
    tells of a saved run.
    """

    error: str
    hint: str
    labs: list[LabOfFile]
    left: list[str]
    reached: NotRequired[str]
    baseline: NotRequired[Baseline]


class Span(TypedDict):
    """Who was busy with what, in seconds since the command was started."""

    who: str
    what: str
    begin: float
    end: float


class Demo(Verdict):
    """What ``demo`` found, with ``--timings`` where its time went."""

    spans: NotRequired[list[Span]]


class Unmeasured(TypedDict):
    """Why so many cells of machines that exist weren't measured."""

    reason: str
    cells: int


class ExplainedLab(TypedDict):
    """Why cells of a lab differ; ``live`` and ``not_measured`` are of machines that exist."""

    lab: str
    causes: list[Cause]
    unexplained: list[CellName]
    ruled_out: dict[str, list[str]]
    not_borne_out: list[str]
    doubted: list[Doubted]
    suspects: list[str]
    unseen: dict[str, str]
    intent: list[Statement]
    unplanned: list[Unplanned]
    origins: list[Origin]
    after: NotRequired[list[Event]]
    live: NotRequired[Live]
    not_measured: NotRequired[list[Unmeasured]]


class Explained(ExplainedLab):
    """What ``explain`` says of the lab that is up, or of the only one of a whole run."""


class ExplainedRun(TypedDict):
    """The same of each lab of a saved run that has several, or that ended early."""

    labs: list[ExplainedLab]
    reached: str
    error: str | None


class PredictionSummary(TypedDict):
    """How many cells there are, by what is to be expected of them."""

    cells: int
    reachable: int
    unreachable: int
    values: int
    left_out: int


class Predicted(TypedDict):
    """What is to be expected of a lab, without a node."""

    lab: str
    summary: PredictionSummary
    intent: list[ExpectedStatement]
    cells: list[Expected]
    findings: list[Finding]
    remarks: list[str]


class SeenOfCell(TypedDict):
    """What was seen of a cell at one time, and whether that is as expected."""

    observed: Value
    stopped_at: Stop | None
    answered_by: str | None
    as_expected: bool


class CellChange(CellName):
    """A cell of which something else was seen than the time before."""

    expected: Value
    before: SeenOfCell
    now: SeenOfCell


class Watched(TypedDict):
    """One measurement of many, a line each; ``cells`` are those that aren't as expected."""

    lab: str
    provider: str
    number: int
    at: str
    seconds: float
    anew: bool
    summary: Summary
    changes: list[CellChange]
    cells: list[Cell]
