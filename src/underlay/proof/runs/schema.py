"""What stands in the file of a run: a model for each part of it.

The file tells a run without the code that made it: verdicts, reasons and causes stand in it as
they were said, and nothing is judged anew when it is read. Whatever makes a file that an older
reader would misunderstand counts ``VERSION`` up.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from underlay.cluster.beyond import Stranger
from underlay.drivers.rule import Stop
from underlay.expect import End
from underlay.faults.fault import Entry, Sureness
from underlay.faults.step import Proof, Step
from underlay.observe.unplanned import Unplanned
from underlay.plan import PlannedOrigin, PlannedStatement

DOCUMENT: Final = "underlay run"
VERSION: Final = 1
Date = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$")]
Count = Annotated[int, Field(ge=0)]
Value = str | tuple[str, ...]
Family = Literal[4, 6]
# How far a run came: what it was about to do, or doing, when it ended.
Reached = Literal[
    "reading files", "rendering", "bringing up", "measuring", "looking for causes", "the end"
]


class Strict(BaseModel):
    """A model that knows no other keys than its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CellName(Strict):
    """Which cell: who asks whom, over what."""

    source: str
    destination: str
    protocol: str
    family: Family


class Predicted(Strict):
    """What was expected of cells, why, and who says so; several cells share one.

    ``stop`` is where an unreachable probe should stop, ``also`` where else, and ``arrives``
    whether it gets there.
    """

    expected: Value
    stop: Stop = ""
    also: tuple[Stop, ...] = ()
    arrives: bool = False
    kind: Literal["reach", "value"] = "reach"
    rule: str = ""
    because: str
    reference: str


class Outcome(Strict):
    """What was seen of cells; many share one. ``prediction`` is a place in ``predictions``.

    ``left_out`` says that the command line left the cell out: it was measured, and neither shown
    nor counted. The others are as ``check --json`` has them.
    """

    prediction: Count
    observed: Value
    stopped_at: Stop = ""
    answered_by: str = ""
    arrived: bool = False
    attempts: Count = 0
    lost: Count = 0
    reason: str = ""
    unsent: bool = False
    left_out: bool = False


class SavedCell(NamedTuple):
    """One cell of a pair: how it was asked, a place in ``outcomes``, and the round trip in ms."""

    protocol: str
    outcome: Count
    rtt_ms: float | None = None


class SavedPair(NamedTuple):
    """Cells that follow each other and ask the same: source, destination and its address."""

    source: str
    destination: str
    family: Family
    address: str
    cells: tuple[SavedCell, ...]


class SavedStatement(Strict):
    """A statement of what is wanted, and its cells by their places, counted through all pairs.

    Where it has none, ``why`` may say in words what keeps it from them. One about what nobody
    planned has none either: how it stands with it is ``told``, and ``ways`` is how many such ways
    there are.
    """

    statement: PlannedStatement
    cells: tuple[Count, ...]
    broken: tuple[Count, ...] = ()
    untold: tuple[Count, ...] = ()
    told: Literal["kept", "broken", "not measured"] | None = None
    ways: Count = 0
    why: str = ""


class SavedCause(Strict):
    """A cause with what shows it (``evidence``), its cells, and the steps that put it right."""

    fault: Entry
    needs_restart: bool = False
    target: str
    device: str = ""
    sureness: Sureness
    cells: tuple[CellName, ...]
    evidence: tuple[Proof, ...]
    cure: str
    steps: tuple[Step, ...] = ()


class SavedDoubt(Strict):
    """A rule of the prediction that unexplained cells contradict."""

    rule: str
    because: str
    reference: str
    cells: tuple[CellName, ...]


class SavedExplanation(Strict):
    """Why cells aren't as predicted, as ``explain --json`` has it."""

    causes: tuple[SavedCause, ...] = ()
    unexplained: tuple[CellName, ...] = ()
    ruled_out: dict[str, tuple[str, ...]] = {}
    suspects: tuple[str, ...] = ()
    unseen: dict[str, str] = {}
    not_borne_out: tuple[str, ...] = ()
    doubted: tuple[SavedDoubt, ...] = ()
    file: str = ""


class SavedError(Strict):
    """What went wrong, as it was said."""

    message: str
    hint: str = ""
    detail: str = ""


class SavedLooked(Strict):
    """What is there beyond the plan, and who couldn't look for it, with the reason."""

    found: tuple[Unplanned, ...] = ()
    blind: tuple[tuple[str, str], ...] = ()


class SavedLab(Strict):
    """One lab of a run.

    ``text`` is its file as it was read, and ``plan`` the digest of the plan that it led to (SHA-256
    of the plan as JSON). ``origins`` are the places in hosts' own files that a fleet's values stem
    from, and ``own`` the node's own interface that stands for a network there, if any does.
    ``error`` says why it didn't come up, or why nothing is known of it.
    ``strangers`` are containers that no plan knows, null where nobody looked for any.
    ``timings`` are the seconds of its measurement, ``phases`` those of the whole lab. A lab without
    ``cells`` is one of a run that was killed before it could say more.
    """

    lab: str
    file: str
    text: str
    plan: str
    provider: str
    ends: tuple[End, ...] = ()
    origins: tuple[PlannedOrigin, ...] = ()
    own: dict[str, str] = {}
    predictions: tuple[Predicted, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    cells: tuple[SavedPair, ...] = ()
    intent: tuple[SavedStatement, ...] = ()
    looked: SavedLooked | None = None
    strangers: tuple[Stranger, ...] | None = None
    explanation: SavedExplanation | None = None
    error: SavedError | None = None
    timings: dict[str, float] = {}
    phases: dict[str, float] = {}


class Choice(Strict):
    """What the command line chose: the words of --only, --not and --protocol."""

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()


class Run(Strict):
    """A run of ``check``: the labs that it is of, how far it came, and what it stood on.

    ``of`` says whether it was a running lab, or files whose labs were brought up for it.
    ``error`` says what ended it before its end; without one it came as far as ``reached`` says.
    ``versions`` are those of tools and of the nodes' kernel, ``kernel`` is the host's.
    """

    document: Literal["underlay run"] = DOCUMENT
    version: Literal[1] = VERSION
    began: Date
    until: Date
    of: Literal["running", "files"]
    reached: Reached
    error: SavedError | None = None
    strict: bool = False
    choice: Choice = Choice()
    kernel: str = ""
    versions: dict[str, str] = {}
    boots: Count = 0
    timings: dict[str, float] = {}
    labs: tuple[SavedLab, ...] = ()

    @property
    def stands_on(self) -> dict[str, str]:
        """The versions of both kernels and of all tools, by names for people."""
        named = {"kernel": "user-mode-linux"}
        tools = {named.get(part, part): version for part, version in self.versions.items()}
        return {"kernel of the host": self.kernel, **tools}
