"""Changed cells as few lines: by what became of them, by rule, by network and direction.

Where all cells between two networks fare alike, that is one line however many they are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from underlay.expect import asked_as
from underlay.proof.difference.cells import WHAT, Change, Scope, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from underlay.drivers.rule import Stop
    from underlay.expect import End, Expectation
    from underlay.proof.difference.cells import Difference, What

NODES, HOSTS = "nodes", "external hosts"
SAME_NODE, OTHER_NODE, ANY_NODE = "same node", "another node", ""
# Where a cell is: from which network to which, whether on one node, whether its ends stay.
Way = tuple[str, str, str, Scope]


@dataclass(frozen=True)
class Outcome:
    """What is expected of cells, by which rule; ``rule`` is empty where there is no such cell.

    A rule's reason may say where it holds, as that of a filter does: ``because`` is the first
    cell's, and ``further`` how many others there are.
    """

    reachable: bool
    stop: Stop
    rule: str
    because: str
    reference: str
    further: int = 0


NO_CELL = Outcome(False, "", "", "", "")


@dataclass(frozen=True)
class Block:
    """Cells between two networks; ``nodes`` and ``external hosts`` stand for the machines.

    ``where`` is whether both ends are on one node, empty where that makes no difference.
    ``protocols`` are those that changed, with a 6 for IPv6, none where it is all that are asked.
    ``of`` is how many such cells there are: where it is as many as ``changes``, all of them.
    """

    source: str
    destination: str
    where: str
    protocols: tuple[str, ...]
    changes: tuple[Change, ...]
    of: int

    @property
    def whole(self) -> bool:
        """Whether all cells of the block changed."""
        return len(self.changes) == self.of


@dataclass(frozen=True)
class Group:
    """Cells of reachability that fare alike: what became of them, and by which rules.

    ``stays`` says whether their ends are in both labs.
    """

    what: What
    stays: bool
    before: Outcome
    now: Outcome
    blocks: tuple[Block, ...]

    @property
    def cells(self) -> int:
        """How many cells these are."""
        return sum(len(block.changes) for block in self.blocks)


def grouped(difference: Difference) -> list[Group]:
    """Return the changed cells of reachability in groups: what is lost first, the largest first."""
    changes = [change for change in difference.changes if change.cell.kind == "reach"]
    if not changes:
        return []
    places = _Places(difference)
    groups: dict[tuple[object, ...], list[Change]] = defaultdict(list)
    for change in changes:
        groups[change.what, change.stays, _decided(change.old), _decided(change.new)].append(change)
    found = [
        Group(
            what=alike[0].what,
            stays=alike[0].stays,
            before=_outcome([change.old for change in alike]),
            now=_outcome([change.new for change in alike]),
            blocks=places.blocks(alike),
        )
        for alike in groups.values()
    ]
    return sorted(found, key=lambda one: (WHAT.index(one.what), not one.stays, -one.cells))


def _decided(cell: Expectation | None) -> tuple[str, str] | None:
    return (cell.stop, cell.rule) if cell else None


def _outcome(cells: Sequence[Expectation | None]) -> Outcome:
    """Return what is expected of ``cells``, which are decided by one rule."""
    cell = cells[0]
    if cell is None:
        return NO_CELL
    reasons = {other.because for other in cells if other}
    told = (cell.reachable, cell.stop, cell.rule, cell.because, cell.reference)
    return Outcome(*told, further=len(reasons) - 1)


class _Places:
    """Between which networks the cells of two labs are, and how many there are of each."""

    def __init__(self, difference: Difference) -> None:
        renamed = {difference.names.get(n, n): end for n, end in difference.old.ends.items()}
        self._ends: dict[str, End] = {**renamed, **difference.new.ends}
        self._of: Counter[tuple[Way, str]] = Counter()
        for source, destination, asked, scope, count in counted(difference):
            self._of[self._way(source, destination, scope), asked] += count
        self._asked: dict[Way, list[str]] = defaultdict(list)
        for way, label in self._of:
            self._asked[way].append(label)

    def blocks(self, changes: Iterable[Change]) -> tuple[Block, ...]:
        """Return ``changes`` as blocks, in the order in which they come."""
        ways: dict[Way, dict[str, list[Change]]] = defaultdict(lambda: defaultdict(list))
        for change in changes:
            cell = change.cell
            way = self._way(change.source, change.destination, change.scope)
            ways[way][asked_as(cell.protocol, cell.family)].append(change)
        return _joined([block for way, by in ways.items() for block in self._of_way(way, by)])

    def _of_way(self, way: Way, by: dict[str, list[Change]]) -> list[Block]:
        """Return a block of the protocols of which all cells changed, and one of the others."""
        whole = [label for label in by if len(by[label]) == self._of[way, label]]
        part = [label for label in by if label not in whole]
        return [self._block(way, labels, by) for labels in (whole, part) if labels]

    def _block(self, way: Way, labels: Sequence[str], by: dict[str, list[Change]]) -> Block:
        source, destination, where, _ = way
        return Block(
            source=source,
            destination=destination,
            where=where,
            protocols=() if len(labels) == len(self._asked[way]) else tuple(labels),
            changes=tuple(change for label in labels for change in by[label]),
            of=sum(self._of[way, label] for label in labels),
        )

    def _way(self, source: str, destination: str, scope: Scope) -> Way:
        one, other = self._ends[source], self._ends[destination]
        where = SAME_NODE if one.node == other.node else OTHER_NODE
        # An external host is on no node.
        if "host" in (one.kind, other.kind):
            where = ANY_NODE
        return _network(one), _network(other), where, scope


def _network(end: End) -> str:
    return end.network or (NODES if end.kind == "node" else HOSTS)


def _joined(blocks: list[Block]) -> tuple[Block, ...]:
    """Make one of two whole blocks that differ in whether both ends are on one node."""
    found: dict[tuple[str, str, tuple[str, ...], bool | str], Block] = {}
    for block in blocks:
        key = (block.source, block.destination, block.protocols, block.whole or block.where)
        other = found.get(key)
        if other is None:
            found[key] = block
            continue
        found[key] = Block(
            source=block.source,
            destination=block.destination,
            where=ANY_NODE,
            protocols=block.protocols,
            changes=(*other.changes, *block.changes),
            of=other.of + block.of,
        )
    return tuple(found.values())
