"""Holds what was expected against what was measured, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from underlay.drivers.rule import NOTHING
from underlay.errors import EXIT_DIFFERS, EXIT_INFRASTRUCTURE, EXIT_OK
from underlay.expect import asked_as, ends
from underlay.expect.intent import Judged, judged
from underlay.expect.value_cells import NOBODY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from underlay.cluster.beyond import Stranger
    from underlay.expect import Check, Expectation, Family, Protocol, Stop, Value
    from underlay.expect.intent import Outcome
    from underlay.observe import Observation, Observed
    from underlay.observe.live import Live, Way
    from underlay.observe.unplanned import Looked, Unplanned
    from underlay.plan import Plan, PlannedStatement

NEVER_PROBED = "nothing was measured for this cell"
NEVER_LEFT = "nothing of it was seen to leave its source: nobody knows who would have got it"
NEVER_SENT = (
    "its source was seen to send nothing of what it should: it may be unable to send at all"
)
NEVER_ASKED = "nothing that its source sends there was seen to leave: nobody knows who was asked"
NEVER_HEARD = "its source reached nobody whom it should: what stops that may be all that stops this"

# Why silence as expected is not measured: it says nothing.
SAYS_NOTHING = (NEVER_LEFT, NEVER_SENT, NEVER_HEARD)
# Where nothing has left the source.
AT_HOME = frozenset(("no_route", "not_sent"))
# The values of who was told nothing: by ARP or ND, at the receiver, by everybody.
SILENT: tuple[Value, ...] = (NOBODY, NOTHING, ())


@dataclass(frozen=True)
class Cell:
    """One judged cell: an Expectation and what was Seen, under the same names.

    ``expected_stop`` is where the prediction lets an unreachable probe stop,
    ``also`` where else, and ``arrives`` whether it gets there; ``reason`` is the probe's
    own word, or why nothing was measured; ``unsent`` is as in Seen. Where ``kind`` is
    ``value``, ``expected`` and ``observed`` are values, not words about reachability.
    """

    source: str
    destination: str
    protocol: Protocol | Check
    expected: Literal["reachable", "unreachable"] | Value
    observed: Observed | Value
    stopped_at: Stop
    answered_by: str
    because: str
    reference: str
    rtt_ms: float | None
    expected_stop: Stop
    also: tuple[Stop, ...] = ()
    arrives: bool = False
    attempts: int = 0
    lost: int = 0
    arrived: bool = False
    reason: str = ""
    rule: str = ""
    destination_address: str = ""
    family: Family = 4
    kind: Literal["reach", "value"] = "reach"
    unsent: bool = False

    @property
    def measured(self) -> bool:
        """Whether there is an observation at all."""
        return self.observed != "not_measured"

    @property
    def label(self) -> str:
        """How the cell was asked: the protocol or the check, with a 6 for IPv6."""
        return asked_as(self.protocol, self.family)

    @property
    def follows(self) -> bool:
        """Whether it isn't measured since other cells of its source differ, and says no more."""
        return not self.measured and self.reason in (NEVER_HEARD, NEVER_SENT)

    @property
    def differs(self) -> bool:
        """Whether the cell was measured and is not as expected.

        It isn't either where it is unreachable as expected, but not for the reason that was.
        """
        if not self.measured:
            return False
        return self.expected != self.observed or self.elsewhere or self.leaks

    @property
    def leaks(self) -> bool:
        """Whether a request without an answer, as expected, arrived where none should."""
        return self.expected == self.observed == "unreachable" and self.arrived > self.arrives

    @property
    def elsewhere(self) -> bool:
        """Whether the cell is unreachable as expected, but not where it was expected to stop."""
        return self.expected == self.observed == "unreachable" and self.stopped_at not in (
            self.expected_stop,
            *self.also,
        )


@dataclass(frozen=True)
class Summary:
    """How many cells there are; ``lost`` counts packets that were resent.

    Of those that differ, ``stopped_elsewhere`` and ``leaks`` are unreachable as expected.

    ``cells`` are those of both kinds, of which ``values`` are of kind value. ``unplanned`` are
    the ways that were found beside them. ``statements`` are those of what is wanted, of which
    some are broken by cells, and others neither kept nor broken as far as was measured.
    ``left_out`` are the cells that the command line left out; nothing else counts them.
    """

    cells: int
    as_expected: int
    differs: int
    not_measured: int
    stopped_elsewhere: int
    lost: int
    values: int = 0
    unplanned: int = 0
    leaks: int = 0
    statements: int = 0
    statements_broken: int = 0
    statements_not_measured: int = 0
    left_out: int = 0


@dataclass(frozen=True)
class Rivals:
    """Two owners of one address: the one that was meant and the one that answered."""

    address: str
    meant: str
    answered_by: str
    cells: int


@dataclass(frozen=True)
class Verdict:
    """Every cell of a lab, judged. ``timings`` are seconds by phase.

    ``looked`` is what is there beyond the plan, None where nobody looked. With ``strict`` that
    counts for the exit code, too. ``intent`` is how it stands with what is wanted of the lab,
    which a cell that is as predicted may be against. ``left_out`` is how many cells aren't here
    because others were asked for, by the words ``left_out_by``. ``strangers`` are containers that
    the plan doesn't know, None where nobody looked for any; they count as what is there beyond the
    plan. ``live`` says how a network of machines in use was measured, None for a lab of Underlay's
    own nodes.
    """

    lab: str
    provider: str
    cells: tuple[Cell, ...]
    timings: dict[str, float]
    looked: Looked | None = None
    strict: bool = False
    intent: tuple[Judged[Cell], ...] = ()
    left_out: int = 0
    left_out_by: str = ""
    strangers: tuple[Stranger, ...] | None = None
    live: Live | None = None

    @property
    def summary(self) -> Summary:
        """Count the cells."""
        differs = sum(cell.differs for cell in self.cells)
        not_measured = sum(not cell.measured for cell in self.cells)
        words = [one.word for one in self.intent]
        return Summary(
            cells=len(self.cells),
            as_expected=len(self.cells) - differs - not_measured,
            differs=differs,
            not_measured=not_measured,
            stopped_elsewhere=sum(cell.elsewhere for cell in self.cells),
            lost=sum(cell.lost for cell in self.cells),
            values=sum(cell.kind == "value" for cell in self.cells),
            unplanned=len(self.unplanned) + len(self.strangers or ()),
            leaks=sum(cell.leaks for cell in self.cells),
            statements=len(words),
            statements_broken=words.count("broken"),
            statements_not_measured=words.count("not measured"),
            left_out=self.left_out,
        )

    @property
    def unplanned(self) -> tuple[Unplanned, ...]:
        """The ways that are there and that nobody planned."""
        return self.looked.found if self.looked else ()

    @property
    def reach(self) -> tuple[Cell, ...]:
        """The cells that ask who reaches whom."""
        return tuple(cell for cell in self.cells if cell.kind == "reach")

    @property
    def values(self) -> tuple[Cell, ...]:
        """The cells that ask what is seen."""
        return tuple(cell for cell in self.cells if cell.kind == "value")

    @property
    def rivals(self) -> tuple[Rivals, ...]:
        """Name both owners of each address that somebody else answered for."""
        counted: dict[tuple[str, str, str], int] = {}
        for cell in self.cells:
            if cell.differs and cell.answered_by:
                key = (cell.destination_address, cell.destination, cell.answered_by)
                counted[key] = counted.get(key, 0) + 1
        return tuple(Rivals(*key, count) for key, count in counted.items())

    @property
    def unsized(self) -> tuple[Way, ...]:
        """The ways between machines in use of which the largest packet wasn't measured."""
        return tuple(way for way in self.live.ways if not way.mtu) if self.live else ()

    @property
    def exit_code(self) -> int:
        """Return 0 where there are cells, all as expected, and every statement is kept.

        A cell that differs, or a broken statement, makes it 1; else a cell or a size between
        machines that wasn't measured, or no cell at all, 3. If it is ``strict``, a way that nobody
        planned is as a cell that differs, and an end that couldn't look for any as one that wasn't
        measured.
        """
        summary = self.summary
        unwanted = summary.statements_broken or (self.strict and summary.unplanned)
        if summary.differs or unwanted:
            return EXIT_DIFFERS
        blind = self.strict and (self.looked is None or self.looked.blind)
        unknown = summary.not_measured or summary.statements_not_measured or self.unsized
        unsure = unknown or not summary.cells
        return EXIT_INFRASTRUCTURE if unsure or blind else EXIT_OK

    @property
    def as_predicted(self) -> bool:
        """Whether all cells were measured and are as predicted, whatever is wanted of them."""
        return bool(self.cells) and all(c.measured and not c.differs for c in self.cells)


def judge(
    lab: str,
    provider: str,
    expectations: Iterable[Expectation],
    observation: Observation,
    timings: Mapping[str, float] | None = None,
) -> Verdict:
    """Return the verdict on the lab: one cell for each expectation, in their order.

    ``timings`` are added to those of the observation. An expectation that nothing
    was seen of is not measured, never passed over.
    """
    seen = {(s.source, s.destination, s.protocol, s.family): s for s in observation.cells}
    cells = []
    for wanted in expectations:
        place = (wanted.source, wanted.destination, wanted.protocol, wanted.family)
        found = seen.get(place)
        cells.append(
            Cell(
                source=wanted.source,
                destination=wanted.destination,
                protocol=wanted.protocol,
                expected=_expected(wanted),
                observed=found.observed if found else "not_measured",
                stopped_at=found.stopped_at if found else "",
                answered_by=found.answered_by if found else "",
                because=wanted.because,
                reference=wanted.reference,
                rtt_ms=found.rtt_ms if found else None,
                expected_stop=wanted.stop,
                also=wanted.also,
                arrives=wanted.arrives,
                attempts=found.attempts if found else 0,
                lost=found.lost if found else 0,
                arrived=found.arrived if found else False,
                reason=found.reason if found else NEVER_PROBED,
                rule=wanted.rule,
                destination_address=wanted.destination_address,
                family=wanted.family,
                kind=wanted.kind,
                unsent=found.unsent if found else False,
            )
        )
    mute, dumb, unseen = _mute(cells), _dumb(cells), _unseen(cells)
    cells = [_controlled(cell, mute, dumb, unseen) for cell in cells]
    taken = {**observation.timings, **(timings or {})}
    return Verdict(lab, provider, tuple(cells), taken, observation.looked)


def with_intent(verdict: Verdict, plan: Plan) -> Verdict:
    """Return ``verdict`` with how it stands with the statements of ``plan``.

    A cell that wasn't measured can keep no statement, and an end that couldn't look for what isn't
    planned none about that.
    """
    stands = judged(plan.intent, ends(plan), verdict.cells, _outcome)
    beside = (_of_unplanned(verdict, one) for one in plan.intent if one.unplanned)
    every = sorted((*stands, *beside), key=lambda one: one.statement.number)
    return replace(verdict, intent=tuple(every))


def _of_unplanned(verdict: Verdict, statement: PlannedStatement) -> Judged[Cell]:
    ways = len(verdict.unplanned)
    if ways:
        return Judged(statement, (), told="broken", ways=ways)
    blind = verdict.looked is None or verdict.looked.blind
    return Judged(statement, (), told="not measured" if blind else "kept")


def _outcome(cell: Cell) -> Outcome | Value:
    if not cell.measured:
        return "unknown"
    if cell.kind == "value":
        return cell.observed
    if cell.observed == "reachable":
        return "answered"
    return "arrived" if cell.arrived and cell.stopped_at != "refused" else "stopped"


def _expected(wanted: Expectation) -> Literal["reachable", "unreachable"] | Value:
    if wanted.kind == "value":
        return wanted.value
    return "reachable" if wanted.reachable else "unreachable"


def _mute(cells: Iterable[Cell]) -> set[tuple[str, str, Family]]:
    """Return who reached nobody by a protocol of those that it should have: end, protocol, family.

    One who should reach nobody isn't among them. Of that one a frame must have been seen to leave.
    """
    should: dict[tuple[str, str, Family], bool] = {}
    for cell in cells:
        if cell.kind == "reach" and cell.expected == "reachable" and cell.measured:
            key = (cell.source, cell.protocol, cell.family)
            should[key] = should.get(key, False) or cell.observed == "reachable"
    return {key for key, heard in should.items() if not heard}


def _dumb(cells: Iterable[Cell]) -> set[tuple[str, str, Family]]:
    """Return of whom nothing was seen to leave: source, destination, or "" for all, and family.

    They are the witnesses of values for which nobody looks whether anything leaves. Of one who was
    lost to all, and of whom nobody saw whether anything left, that isn't known either.
    """
    witnessed: dict[tuple[str, str, Family], set[str]] = {}
    for cell in cells:
        if word := _leaves(cell):
            for destination in (cell.destination, ""):
                key = (cell.source, destination, cell.family)
                witnessed.setdefault(key, set()).add(word)
    return {
        key
        for key, words in witnessed.items()
        if "left" not in words and ("stayed" in words or not key[1])
    }


def _leaves(cell: Cell) -> Literal["left", "stayed", "unseen", ""]:
    """Return what is known of a cell's packets as they leave; nothing where nobody can say.

    What is expected to be answered is asked without a look at that (on_node/probe.py, phase).
    """
    if cell.kind == "value":
        if cell.protocol not in ("source", "macs"):
            return ""
        return "stayed" if cell.unsent else "left" if cell.measured else ""
    if not cell.measured:
        return ""
    if cell.stopped_at in AT_HOME:
        return "" if cell.stopped_at in (cell.expected_stop, *cell.also) else "stayed"
    silent = cell.observed == "unreachable" and cell.stopped_at != "refused"
    heard = cell.arrived or cell.answered_by
    return "unseen" if cell.expected == "reachable" and silent and not heard else "left"


def _unseen(cells: Iterable[Cell]) -> set[tuple[str, str, Family]]:
    """Return of whom no frame was seen by a protocol by which there should be some.

    One that sends nothing by plan isn't among them: all that it has is its kernel's word.
    """
    should: dict[tuple[str, str, Family], bool] = {}
    for cell in cells:
        if (
            cell.kind == "reach"
            and cell.measured
            and not {cell.expected_stop, *cell.also} & AT_HOME
        ):
            key = (cell.source, cell.protocol, cell.family)
            should[key] = should.get(key, False) or cell.stopped_at not in AT_HOME
    return {key for key, seen in should.items() if not seen}


def _controlled(
    cell: Cell,
    mute: set[tuple[str, str, Family]],
    dumb: set[tuple[str, str, Family]],
    unseen: set[tuple[str, str, Family]],
) -> Cell:
    """Return the cell, as not measured where silence as expected says nothing.

    A source that can't send, or that nobody hears, is silent with everybody. A value that should
    have been another isn't known either where nothing left its source. What arrived where nothing
    should is no silence.
    """
    why, key = "", (cell.source, cell.protocol, cell.family)
    if cell.kind == "value":
        why = _unasked(cell, mute, dumb)
    elif cell.expected == cell.observed == "unreachable" and not cell.leaks:
        if key in mute:
            why = NEVER_HEARD
        elif cell.unsent and "not_sent" not in (cell.expected_stop, *cell.also):
            why = NEVER_LEFT
        elif key in unseen and not cell.differs:
            why = NEVER_SENT
    return replace(cell, observed="not_measured", reason=why) if why else cell


def _unasked(
    cell: Cell,
    mute: set[tuple[str, str, Family]],
    dumb: set[tuple[str, str, Family]],
) -> str:
    """Return why nobody knows a value of which nothing was seen; nothing where that is known."""
    silent = cell.observed in SILENT
    if not silent and not cell.unsent:
        return ""
    as_expected = cell.expected in SILENT and (cell.unsent or cell.expected == cell.observed)
    unheard = any((end, family) == (cell.source, cell.family) for end, _, family in mute)
    if as_expected and unheard:
        return NEVER_HEARD
    stays = any((cell.source, to, cell.family) in dumb for to in (cell.destination, ""))
    if not stays or cell.unsent:
        return ""
    return NEVER_LEFT if as_expected else NEVER_ASKED
