"""What becomes of cells about reachability: of all that fare alike in both labs, at once.

A fleet has hundreds of thousands of them. Those that are as before are counted, and only the
others are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from underlay.expect import FAMILIES
from underlay.expect.alike import Alike, alike

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

    from underlay.expect import End, Expectation, Family, Pair, Prediction


class BothPairs(NamedTuple):
    """Two ends as they ask each other in the old lab and in the new one; None where they don't."""

    old: Pair | None
    new: Pair | None


class BothCells(NamedTuple):
    """A cell in the old lab and in the new one; None where it isn't there."""

    old: Expectation | None
    new: Expectation | None


@dataclass(frozen=True)
class Reached:
    """How many cells about reachability there are in either of two labs, and those that differ.

    ``gone`` are of ends that the new lab hasn't, ``now`` are in the new lab, and ``left`` those
    that aren't, although it has their ends; each in the order of the matrix.
    """

    count: int
    gone: list[BothCells]
    now: list[BothCells]
    left: list[BothCells]


def reached(
    old: Prediction,
    new: Prediction,
    names: Mapping[str, str],
    differs: Callable[[BothCells], bool],
) -> Reached:
    """Return the cells about reachability of two labs of which ``differs`` says so.

    ``names`` are those of the old lab's ends in the new one, of all that stay. Both labs are asked
    by the same protocols.
    """
    there = {end.name: end for end in new.ends}
    stay = [(end, there[names[end.name]]) for end in old.ends if end.name in names]
    taken = {now.name for _, now in stay}
    gone = [end for end in old.ends if end.name not in names]
    come = [end for end in new.ends if end.name not in taken]
    lost = list(chain(old.alike(gone), old.alike([one for one, _ in stay], gone)))
    won = list(chain(new.alike(come), new.alike([now for _, now in stay], come)))
    both = list(_staying(old, new, stay))
    found = list(_differing(old, new, both, differs))
    pairs = sum(one.count for one in chain(lost, won)) + sum(one.count for one in both)
    return Reached(
        count=pairs * len(old.protocols),
        gone=_in_order([BothCells(cell, None) for cell in _made(old, lost)], old),
        now=_in_order(
            [
                *(cells for cells in found if cells.new),
                *(BothCells(None, cell) for cell in _made(new, won)),
            ],
            new,
        ),
        left=_in_order([cells for cells in found if not cells.new], old),
    )


def _made(prediction: Prediction, all_alike: Iterable[Alike[Pair]]) -> Iterator[Expectation]:
    for one in all_alike:
        for pair in one.pairs():
            yield from (prediction.cell(pair, word) for word in prediction.protocols)


def _differing(
    old: Prediction,
    new: Prediction,
    both: Iterable[Alike[BothPairs]],
    differs: Callable[[BothCells], bool],
) -> Iterator[BothCells]:
    for one in both:
        words = [word for word in old.protocols if differs(_cells(old, new, one.first, word))]
        for pair in one.pairs() if words else ():
            yield from (_cells(old, new, pair, word) for word in words)


def _cells(old: Prediction, new: Prediction, pair: BothPairs, protocol: str) -> BothCells:
    return BothCells(
        old.cell(pair.old, protocol) if pair.old else None,
        new.cell(pair.new, protocol) if pair.new else None,
    )


def _in_order(cells: list[BothCells], prediction: Prediction) -> list[BothCells]:
    """Return cells as the matrix of ``prediction`` has them; those of a pair are in order."""
    places = {end.name: place for place, end in enumerate(prediction.ends)}

    def place(both: BothCells) -> tuple[int, int, int]:
        cell = both.new or both.old
        assert cell is not None
        return cell.family, places[cell.source], places[cell.destination]

    return sorted(cells, key=place)


def _staying(
    old: Prediction, new: Prediction, stay: list[tuple[End, End]]
) -> Iterator[Alike[BothPairs]]:
    """Yield the pairs of ends that ``stay``, all that fare alike in both labs at once.

    Whether two ends are on one node is the same in both labs but for those that are moved: these
    are looked at pair by pair.
    """
    moved = _moved(stay)
    firm = [end for end, _ in stay if end.name not in moved]
    others = [end for end, _ in stay if end.name in moved]
    for family in FAMILIES:
        both = _Both(old, new, stay, family)
        yield from alike(both.kind, both.pair, firm, firm)
        singly = chain(
            ((source, destination) for source in others for destination in (*firm, *others)),
            ((source, destination) for source in firm for destination in others),
        )
        for source, destination in singly:
            pair = both.pair(source, destination)
            if pair is not None:
                on_one_node = source.node == destination.node
                yield Alike(pair, 1, (source,), (destination,), on_one_node, both.pair)


class _Both:
    """Ends that stay, by their old ends: their kinds and pairs in both labs, in one family."""

    def __init__(
        self, old: Prediction, new: Prediction, stay: list[tuple[End, End]], family: Family
    ) -> None:
        self._now = {end.name: now for end, now in stay}
        self._kinds = old.paths[family].kinds, new.paths[family].kinds
        self._pairings = old.pairings.get(family), new.pairings.get(family)

    def kind(self, end: End) -> Hashable:
        """Return what an end has in common with all that are like it in both labs."""
        before, after = self._kinds
        return before.of(end), after.of(self._now[end.name])

    def pair(self, source: End, destination: End) -> BothPairs | None:
        """Return the pair of two ends in both labs; None where they don't ask each other."""
        before, after = self._pairings
        pair = BothPairs(
            before.pair(source, destination) if before else None,
            after.pair(self._now[source.name], self._now[destination.name]) if after else None,
        )
        return pair if any(pair) else None


def _moved(stay: list[tuple[End, End]]) -> set[str]:
    """Return the ends that stay beside others than before: on another node, or as another's.

    Nodes and namespaces may have other names. Machines come first: they say which is which.
    """
    found: set[str] = set()
    known: tuple[dict[str, str], dict[str, str]] = {}, {}
    for end, now in sorted(stay, key=lambda one: one[0].kind == "container"):
        for was, is_now in (("node " + end.node, "node " + now.node), (end.space, now.space)):
            there, back = known
            if there.setdefault(was, is_now) != is_now or back.setdefault(is_now, was) != was:
                found.add(end.name)
    return found
