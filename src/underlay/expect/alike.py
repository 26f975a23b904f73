"""Pairs of ends whose cells fare alike, told at once instead of one by one."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from underlay.expect.ends import End


AnyPair = TypeVar("AnyPair")


@dataclass(frozen=True)
class Alike(Generic[AnyPair]):
    """Pairs of which each is decided as the ``first``: there are ``count`` of them.

    They are each of ``sources`` with each of ``destinations`` that is on its node where
    ``on_one_node`` says so, else on another one, but for those that don't ask each other.
    """

    first: AnyPair
    count: int
    sources: Sequence[End]
    destinations: Sequence[End]
    on_one_node: bool
    pair_of: Callable[[End, End], AnyPair | None]

    def pairs(self) -> Iterator[AnyPair]:
        """Yield all of them, source by source."""
        for source in self.sources:
            for destination in self.destinations:
                if (source.node == destination.node) == self.on_one_node:
                    pair = self.pair_of(source, destination)
                    if pair is not None:
                        yield pair


def alike(
    kind_of: Callable[[End], Hashable],
    pair_of: Callable[[End, End], AnyPair | None],
    sources: Iterable[End],
    destinations: Iterable[End],
) -> Iterator[Alike[AnyPair]]:
    """Yield the pairs of each of ``sources`` with each of ``destinations``, all that are alike.

    ``kind_of`` says which ends are alike but for their nodes, and ``pair_of`` makes the pair of two
    ends, or none where they don't ask each other.
    """
    asking, asked = _by_kind(kind_of, sources), _by_kind(kind_of, destinations)
    for source in asking:
        for destination in asked:
            near, beyond = source.pairs_with(destination)
            for count, on_one_node in ((near, True), (beyond, False)):
                ends = source.first_with(destination, on_one_node) if count else None
                first = pair_of(*ends) if ends else None
                if first is not None:
                    both = source.ends, destination.ends
                    yield Alike(first, count, *both, on_one_node, pair_of)


class _Kind:
    """Ends of one kind, and how many of them are on each node and in each namespace."""

    def __init__(self, ends: list[End]) -> None:
        self.ends = ends
        self._nodes = Counter(end.node for end in ends)
        self._spaces = Counter(end.space for end in ends)

    def pairs_with(self, other: _Kind) -> tuple[int, int]:
        """Return how many pairs are on one node, and on two; nobody asks its own namespace."""
        near = sum(count * other._nodes[node] for node, count in self._nodes.items())
        own = sum(count * other._spaces[space] for space, count in self._spaces.items())
        return near - own, len(self.ends) * len(other.ends) - near

    def first_with(self, other: _Kind, on_one_node: bool) -> tuple[End, End] | None:
        """Return the first two ends of different namespaces, on one node or on two."""
        for source in self.ends:
            for destination in other.ends:
                apart = source.space != destination.space
                if apart and (source.node == destination.node) == on_one_node:
                    return source, destination
        return None


def _by_kind(kind_of: Callable[[End], Hashable], ends: Iterable[End]) -> list[_Kind]:
    found: dict[Hashable, list[End]] = defaultdict(list)
    for end in ends:
        found[kind_of(end)].append(end)
    return [_Kind(alike) for alike in found.values()]
