"""What stands in the file of a run: a model for each part of it.

The file tells a run without the code that made it: verdicts, reasons and causes stand in it as
they were said, and nothing is judged anew when it is read. Whatever makes a file that an older
reader would misunderstand counts ``VERSION`` up.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from underlay.cluster.beyond import Stranger
from underlay.drivers.rule import Stop
from underlay.expect import End
from underlay.faults.fault import Entry, Sureness
from underlay.faults.step import Proof, Step
from underlay.observe.live import Live
from underlay.observe.unplanned import Unplanned
from underlay.plan import PlannedOrigin, PlannedStatement
from underlay.proof.trace import Point

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
    """Why cells aren't as predicted, as ``explain --json`` has it.

    ``keep_by`` is the command that leaves the lab up, where the run has ended it.
    """

    causes: tuple[SavedCause, ...] = ()
    unexplained: tuple[CellName, ...] = ()
    ruled_out: dict[str, tuple[str, ...]] = {}
    suspects: tuple[str, ...] = ()
    unseen: dict[str, str] = {}
    not_borne_out: tuple[str, ...] = ()
    doubted: tuple[SavedDoubt, ...] = ()
    file: str = ""
    keep_by: str = ""


class SavedFrame(NamedTuple):
    """A frame where it was seen, at a machine's time; ``data`` are its first bytes in base64."""

    at: str
    time: float
    out: bool
    length: Count
    data: str


class SavedCapture(Strict):
    """A cell that differs, asked again: the points that its packets pass, and what was seen there.

    ``last`` says where the packet was last seen; ``more`` is how many frames were left out.
    """

    cell: CellName
    last: str
    points: tuple[Point, ...] = ()
    frames: tuple[SavedFrame, ...] = ()
    more: Count = 0


class SavedError(Strict):
    """What went wrong, as it was said."""

    message: str
    hint: str = ""
    detail: str = ""


class SavedLooked(Strict):
    """What is there beyond the plan, and who couldn't look for it, with the reason."""

    found: tuple[Unplanned, ...] = ()
    blind: tuple[tuple[str, str], ...] = ()


class Healed(Strict):
    """A cell that fell silent for a while. ``lost`` are its requests that nobody answered.

    ``after`` is when the first of them was sent, in seconds since the event began on that node;
    ``healed`` when it answered again, in seconds since the event had ended there, zero where that
    was before, and null where it didn't as long as it was asked.
    """

    source: str
    destination: str
    family: Family
    lost: Count
    after: float
    healed: float | None = None


class Changed(Strict):
    """What a container's interface had before an event, and has now; empty where it hasn't any."""

    container: str
    interface: str
    what: Literal["address", "MAC address"]
    before: str = ""
    now: str = ""


class Announcement(Strict):
    """A gratuitous ARP packet (``arp``) or an unsolicited neighbour advertisement (``nd``).

    ``after`` is when it was heard, in seconds since the event began on that node.
    """

    how: Literal["arp", "nd"]
    address: str
    mac: str
    container: str = ""
    after: float


class NodeEvent(Strict):
    """What an event did to one node, while the others went on.

    ``did`` and ``failed`` are the node's own words. ``asked`` is how many cells were asked all the
    while, and ``silent`` are those of them that fell silent; of ``unknown`` ones nobody knows, for
    their machine didn't ask. ``unasked`` says why a machine or a container didn't, by its name.
    ``lost`` says why the node didn't come back from an update; where it did and something failed,
    ``lacks`` is what its /usr hasn't any more.
    """

    node: str
    seconds: float
    did: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    asked: Count = 0
    unknown: Count = 0
    silent: tuple[Healed, ...] = ()
    announced: tuple[Announcement, ...] = ()
    unasked: dict[str, str] = {}
    lost: SavedError | None = None
    lacks: tuple[str, ...] = ()


class Became(Strict):
    """A cell that isn't as it was before an event: how it stood, and how it does, in words."""

    what: Literal["worse", "better", "changed", "unknown", "new", "gone"]
    cell: CellName
    before: str
    now: str


class Reason(Strict):
    """Why cells fell silent by an event: ``where`` it is, and how many ``cells`` it explains.

    ``least`` and ``most`` are the seconds in which those healed that did; ``never`` counts the
    others. ``evidence`` is what shows it, a line each.
    """

    id: Literal[
        "usr-lacks", "stale-neighbour", "address-changed", "interface-lost", "not-started", "away"
    ]
    title: str
    where: str
    because: str
    cure: str
    reference: str
    evidence: tuple[str, ...] = ()
    cells: Count = 0
    never: Count = 0
    least: float | None = None
    most: float | None = None


class Event(Strict):
    """Something that happens in production, and what became of the lab by it.

    ``limit`` are the seconds that silent cells were asked for, at most. ``same`` cells are as
    before, ``cells`` aren't; both as measured before and after, with neighbour tables flushed.
    ``lab`` is the lab afterwards: that of ``file`` with an upgrade. ``image`` is whose /usr nodes
    have since an update. ``not_measured`` counts the cells that nobody knows anything of, then or
    meanwhile. ``error`` says why it didn't come to its end: then ``nodes`` are those whose turn was
    over, and the lab wasn't measured afterwards.
    """

    event: Literal["recreate", "restart", "reboot", "upgrade", "update"]
    lab: str
    file: str = ""
    image: str = ""
    limit: float
    nodes: tuple[NodeEvent, ...] = ()
    changed: tuple[Changed, ...] = ()
    reasons: tuple[Reason, ...] = ()
    same: Count = 0
    cells: tuple[Became, ...] = ()
    not_measured: Count = 0
    error: SavedError | None = None

    @property
    def silent(self) -> tuple[Healed, ...]:
        """All cells that fell silent."""
        return tuple(one for node in self.nodes for one in node.silent)

    @property
    def lost(self) -> bool:
        """Whether a cell is lost that didn't heal."""
        never = any(one.healed is None for one in self.silent)
        return never or any(one.what == "worse" for one in self.cells)


class SavedLab(Strict):
    """One lab of a run.

    ``text`` is its file as it was read, and ``plan`` the digest of the plan that it led to (SHA-256
    of the plan as JSON). ``origins`` are the places in hosts' own files that a fleet's values stem
    from, and ``own`` the node's own interface that stands for a network there, if any does.
    ``error`` says why it didn't come up, or why nothing is known of it.
    ``strangers`` are containers that no plan knows, null where nobody looked for any. ``live`` says
    how a network of machines in use was measured, and is null for nodes of Underlay's own.
    ``timings`` are the seconds of its measurement, ``phases`` those of the whole lab. ``after`` is
    what happened to it before that measurement, in order (``check --after``). A lab without
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
    live: Live | None = None
    explanation: SavedExplanation | None = None
    captures: tuple[SavedCapture, ...] = ()
    error: SavedError | None = None
    timings: dict[str, float] = {}
    phases: dict[str, float] = {}
    after: tuple[Event, ...] = ()


class DealtLab(Strict):
    """A lab of the folder that a shard is of: the ``shard`` that measures it, and its plan."""

    lab: str
    file: str
    plan: str
    shard: Annotated[int, Field(ge=1)]


class Shard(Strict):
    """Which share of a folder's labs a run is of, and who measures what (``check --shard``).

    ``labs`` are those of all shards in the folder's order, empty where they weren't read.
    """

    number: Annotated[int, Field(ge=1)]
    of: Annotated[int, Field(ge=1)]
    labs: tuple[DealtLab, ...] = ()


class Choice(Strict):
    """What the command line chose: the words of --only, --not and --protocol."""

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()


class Run(Strict):
    """A run of ``check``: the labs that it is of, how far it came, and what it stood on.

    ``of`` says whether it was a running lab, or files whose labs were brought up for it.
    ``error`` says what ended it before its end; without one it came as far as ``reached`` says.
    ``versions`` are those of tools and of the nodes' kernel, ``kernel`` is the host's. ``shard``
    says which share of a folder's labs it is of, where it isn't of all.
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
    shard: Shard | None = None
    kernel: str = ""
    versions: dict[str, str] = {}
    boots: Count = 0
    timings: dict[str, float] = {}
    labs: tuple[SavedLab, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it took, as it was counted; of a running lab alone that is its measurement.

        What was counted of neither is the time between both dates, which are of whole seconds.
        """
        measured = sum(sum(lab.timings.values()) for lab in self.labs)
        between = datetime.fromisoformat(self.until) - datetime.fromisoformat(self.began)
        return self.timings.get("total") or measured or between.total_seconds()

    @property
    def stands_on(self) -> dict[str, str]:
        """The versions of both kernels and of all tools, by names for people."""
        named = {"kernel": "user-mode-linux"}
        tools = {named.get(part, part): version for part, version in self.versions.items()}
        return {"kernel of the host": self.kernel, **tools}
