"""Holds what was expected against what was measured, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from underlay.errors import EXIT_DIFFERS, EXIT_INFRASTRUCTURE, EXIT_OK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from underlay.expect import Check, Expectation, Family, Protocol, Stop, Value
    from underlay.observe import Observation, Observed
    from underlay.observe.unplanned import Looked, Unplanned

NEVER_PROBED = "nothing was measured for this cell"


@dataclass(frozen=True)
class Cell:
    """One judged cell: an Expectation and what was Seen, under the same names.

    ``expected_stop`` is where the prediction lets an unreachable probe stop,
    ``also`` where else; ``reason`` is the probe's own word, or why nothing was
    measured. Where ``kind`` is ``value``, ``expected`` and ``observed`` are values,
    not words about reachability.
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
    attempts: int = 0
    lost: int = 0
    arrived: bool = False
    reason: str = ""
    rule: str = ""
    destination_address: str = ""
    family: Family = 4
    kind: Literal["reach", "value"] = "reach"

    @property
    def measured(self) -> bool:
        """Whether there is an observation at all."""
        return self.observed != "not_measured"

    @property
    def label(self) -> str:
        """How the cell was asked: the protocol or the check, with a 6 for IPv6."""
        if self.family == 4 or self.protocol == "nd":
            return self.protocol
        word, colon, port = self.protocol.partition(":")
        return f"{word}6{colon}{port}"

    @property
    def differs(self) -> bool:
        """Whether the cell was measured and is not as expected."""
        return self.measured and self.expected != self.observed

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

    ``cells`` are those of both kinds, of which ``values`` are of kind value. ``unplanned`` are
    the ways that were found beside them.
    """

    cells: int
    as_expected: int
    differs: int
    not_measured: int
    stopped_elsewhere: int
    lost: int
    values: int = 0
    unplanned: int = 0


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
    counts for the exit code, too.
    """

    lab: str
    provider: str
    cells: tuple[Cell, ...]
    timings: dict[str, float]
    looked: Looked | None = None
    strict: bool = False

    @property
    def summary(self) -> Summary:
        """Count the cells."""
        differs = sum(cell.differs for cell in self.cells)
        not_measured = sum(not cell.measured for cell in self.cells)
        return Summary(
            cells=len(self.cells),
            as_expected=len(self.cells) - differs - not_measured,
            differs=differs,
            not_measured=not_measured,
            stopped_elsewhere=sum(cell.elsewhere for cell in self.cells),
            lost=sum(cell.lost for cell in self.cells),
            values=sum(cell.kind == "value" for cell in self.cells),
            unplanned=len(self.unplanned),
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
    def exit_code(self) -> int:
        """Return 0 where all cells are as expected and there is at least one.

        A cell that differs makes it 1; else one that wasn't measured, or no cell at all, 3. If
        it is ``strict``, a way that nobody planned is as a cell that differs, and an end that
        couldn't look for any as one that wasn't measured.
        """
        summary = self.summary
        if summary.differs or (self.strict and summary.unplanned):
            return EXIT_DIFFERS
        blind = self.strict and (self.looked is None or self.looked.blind)
        unsure = summary.not_measured or not summary.cells or blind
        return EXIT_INFRASTRUCTURE if unsure else EXIT_OK


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
                attempts=found.attempts if found else 0,
                lost=found.lost if found else 0,
                arrived=found.arrived if found else False,
                reason=found.reason if found else NEVER_PROBED,
                rule=wanted.rule,
                destination_address=wanted.destination_address,
                family=wanted.family,
                kind=wanted.kind,
            )
        )
    taken = {**observation.timings, **(timings or {})}
    return Verdict(lab, provider, tuple(cells), taken, observation.looked)


def _expected(wanted: Expectation) -> Literal["reachable", "unreachable"] | Value:
    if wanted.kind == "value":
        return wanted.value
    return "reachable" if wanted.reachable else "unreachable"
