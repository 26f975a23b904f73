"""Whether statements of what is wanted are kept, cell by cell.

A statement is about the cells between its ends. Each of them keeps it, breaks it, or tells
nothing, because it wasn't measured. The same is asked of predictions and of what was measured;
whether a cell is as predicted makes no difference to what is wanted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar, overload

from underlay.expect.intent.keys import key_of
from underlay.expect.intent.no_cell import why_no_cell

if TYPE_CHECKING:
    from underlay.expect import End, Expectation, Pair, Prediction, Value
    from underlay.expect.alike import Alike
    from underlay.plan import PlannedStatement


class Asked(Protocol):
    """What judging needs of a cell: who asks whom, over what."""

    @property
    def source(self) -> str:
        """Who asks."""

    @property
    def destination(self) -> str:
        """Who is asked."""

    @property
    def protocol(self) -> str:
        """Over what."""

    @property
    def family(self) -> Literal[4, 6]:
        """Over IPv4 or IPv6."""

    @property
    def kind(self) -> Literal["reach", "value"]:
        """Whether it asks who reaches whom."""

    @property
    def because(self) -> str:
        """Why it is predicted as it is."""

    @property
    def reference(self) -> str:
        """Who says so."""


AnyCell = TypeVar("AnyCell", bound=Asked)

# What became of a request: answered; it got there without an answer; it never got there; or
# nobody knows.
Outcome = Literal["answered", "arrived", "stopped", "unknown"]
Stand = Literal["kept", "broken", "not measured"]


@dataclass(frozen=True)
class Judged(Generic[AnyCell]):
    """A statement, with the ``cells`` that it is about: those that break it, and the untold ones.

    Without any cell nothing is known of it: it is about two ends that don't ask each other, and
    ``why`` may say in words what keeps them from it. One about what nobody planned has no cells:
    how it stands with it is ``told``, and ``ways`` is how many such ways there are.
    """

    statement: PlannedStatement
    cells: Sequence[AnyCell]
    broken: tuple[AnyCell, ...] = ()
    untold: tuple[AnyCell, ...] = ()
    told: Stand | None = None
    ways: int = 0
    why: str = ""

    @property
    def word(self) -> Stand:
        """How it stands with the statement. A single cell breaks it; all of them keep it."""
        if self.told:
            return self.told
        if self.broken:
            return "broken"
        return "kept" if self.cells and not self.untold else "not measured"


def judged(
    statements: Iterable[PlannedStatement],
    ends: Iterable[End],
    cells: Iterable[AnyCell],
    outcome: Callable[[AnyCell], Outcome | Value],
) -> tuple[Judged[AnyCell], ...]:
    """Return how it stands with each of ``statements``, in their order.

    ``ends`` are those of the plan's matrix and ``cells`` its cells. ``outcome`` says what became of
    one, of those of kind value the value, or that it is unknown. Of statements about what nobody
    planned there is nothing: cells say nothing of that.
    """
    wanted = tuple(one for one in statements if not one.unplanned)
    if not wanted:
        return ()
    names = {key_of(end): end.name for end in ends}
    between: dict[tuple[str, str], list[AnyCell]] = defaultdict(list)
    for cell in cells:
        between[cell.source, cell.destination].append(cell)
    return tuple(_judged(one, names, between, outcome) for one in wanted)


def of_predictions(
    statements: Iterable[PlannedStatement], prediction: Prediction
) -> tuple[Judged[Expectation], ...]:
    """Return how it would stand with each of ``statements`` if all were as predicted."""
    known = {key_of(end): end for end in prediction.ends}
    return tuple(
        _of_values(one, prediction) if one.seen else _of_reach(one, known, prediction)
        for one in statements
        if not one.unplanned
    )


def stands_of(prediction: Prediction) -> tuple[Judged[Expectation], ...]:
    """Return how it would stand with each statement of a lab if all were as predicted."""
    return tuple(
        one if one.cells else replace(one, why=why_no_cell(one.statement, prediction)[0])
        for one in of_predictions(prediction.plan.intent, prediction)
    )


def _of_values(statement: PlannedStatement, prediction: Prediction) -> Judged[Expectation]:
    """Return how it would stand with a statement about what is seen."""
    return judged([statement], prediction.ends, prediction.values, _predicted)[0]


def _of_reach(
    statement: PlannedStatement, known: Mapping[str, End], prediction: Prediction
) -> Judged[Expectation]:
    """Return how it would stand with a statement about who reaches whom.

    Cells that fare alike are decided at once: a pattern may stand for thousands of them. Those
    that keep it are made only where somebody looks at them.
    """
    sources, destinations = (
        tuple(known[key] for key in keys if key in known)
        for keys in (statement.sources, statement.destinations)
    )
    protocols = tuple(one for one in prediction.protocols if one in statement.protocols)
    about = [
        (alike, protocols)
        for alike in prediction.alike(sources, destinations)
        if statement.family in (0, alike.first.family)
    ]
    broken = [
        (alike, tuple(word for word in words if _breaks(statement, prediction, alike.first, word)))
        for alike, words in about
    ]

    def cells(of: Iterable[tuple[Alike[Pair], tuple[str, ...]]]) -> tuple[Expectation, ...]:
        """Return cells in the order in which the statement names their ends."""
        order = {end.name: place for place, end in enumerate(sources)}
        then = {end.name: place for place, end in enumerate(destinations)}
        pairs = [(pair, words) for alike, words in of if words for pair in alike.pairs()]
        pairs.sort(key=lambda one: (order[one[0].source.name], then[one[0].destination.name]))
        return tuple(prediction.cell(pair, word) for pair, words in pairs for word in words)

    count = sum(alike.count * len(words) for alike, words in about)
    return Judged(statement, Cells(count, partial(cells, about)), cells(broken))


def _breaks(statement: PlannedStatement, prediction: Prediction, pair: Pair, protocol: str) -> bool:
    cell = prediction.cell(pair, protocol)
    return _against(statement, cell, _predicted(cell))


class Cells(Sequence[AnyCell]):
    """Cells that are counted, and made when somebody looks at the first of them."""

    def __init__(self, count: int, make: Callable[[], tuple[AnyCell, ...]]) -> None:
        self._count, self._make = count, make

    @cached_property
    def _made(self) -> tuple[AnyCell, ...]:
        return self._make()

    def __len__(self) -> int:
        """Return how many they are."""
        return self._count

    @overload
    def __getitem__(self, which: int) -> AnyCell: ...

    @overload
    def __getitem__(self, which: slice) -> tuple[AnyCell, ...]: ...

    def __getitem__(self, which: int | slice) -> AnyCell | tuple[AnyCell, ...]:
        """Return one of them, or some."""
        return self._made[which]

    def __iter__(self) -> Iterator[AnyCell]:
        """Yield all of them."""
        return iter(self._made)


def _judged(
    statement: PlannedStatement,
    names: Mapping[str, str],
    between: Mapping[tuple[str, str], Sequence[AnyCell]],
    outcome: Callable[[AnyCell], Outcome | Value],
) -> Judged[AnyCell]:
    cells = tuple(_about(statement, names, between))
    found = [outcome(cell) for cell in cells]
    both = list(zip(cells, found, strict=True))
    return Judged(
        statement,
        cells,
        tuple(cell for cell, what in both if what != "unknown" and _against(statement, cell, what)),
        tuple(cell for cell, what in both if what == "unknown"),
    )


def _against(statement: PlannedStatement, cell: Asked, what: Outcome | Value) -> bool:
    wanted = statement.seen.get(cell.protocol)
    if wanted is None:
        # A request that got there has reached them, whatever becomes of its answer.
        return what in (("answered", "arrived") if statement.never else ("arrived", "stopped"))
    if cell.protocol == "pmtu":
        return not str(what).isdigit() or int(str(what)) < int(wanted)
    return what != wanted


def _about(
    statement: PlannedStatement,
    names: Mapping[str, str],
    between: Mapping[tuple[str, str], Sequence[AnyCell]],
) -> Iterator[AnyCell]:
    asked = [names[key] for key in statement.destinations if key in names]
    for source in (names[key] for key in statement.sources if key in names):
        for destination in asked:
            for cell in between.get((source, destination), ()):
                if statement.family in (0, cell.family) and cell.protocol in statement.protocols:
                    yield cell


def _predicted(cell: Expectation) -> Outcome | Value:
    if cell.kind == "value":
        return cell.value
    if cell.reachable:
        return "answered"
    # Where it is refused on arrival, nobody has got it.
    return "arrived" if cell.arrives and cell.stop != "refused" else "stopped"
