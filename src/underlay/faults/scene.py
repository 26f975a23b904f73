"""Where each packet of each cell passes: containers, parents and switch ports, both ways.

The plan and its prediction are all that this needs. A fault is a predicate on passages: the
cells that have a packet passing there are the ones that it breaks. The order of passages is
that of ``trace``, too.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from underlay.expect import End, Expectation, Pair, Prediction, pairs
from underlay.expect.ends import end_name
from underlay.expect.passages import Cell, Direction, Kind, Passage, stack, switch_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from underlay.plan import Plan, PlannedNetwork, Pool

__all__ = ["Cell", "Child", "Passage", "Scene", "cell_of", "involving", "stack"]


@dataclass(frozen=True)
class Child:
    """A container's interface on a parent; ``end`` is its name in the matrix."""

    end: str
    container: str
    node: str
    interface: str
    address: str
    prefix: str
    mac: str
    network: PlannedNetwork
    address6: str = ""

    def pool(self, family: int) -> Pool:
        """Return the network's pool that its address of ``family`` is of, or an empty one."""
        return self.network.pool_of(self.address if family == 4 else self.address6)


@dataclass(frozen=True)
class Scene:
    """A predicted plan: its ends, its healthy cells, and where the packets of those pass.

    A healthy cell is one of reachability that should be reachable. Everything is made once,
    when it is asked for.
    """

    prediction: Prediction

    @property
    def plan(self) -> Plan:
        """The plan that was predicted."""
        return self.prediction.plan

    @cached_property
    def ends(self) -> dict[str, End]:
        """Every end that has a cell, by its name in the matrix."""
        return {end.name: end for p in self._pairs.values() for end in (p.source, p.destination)}

    @cached_property
    def children(self) -> tuple[Child, ...]:
        """Every interface of every container."""
        return tuple(_children(self.plan))

    @property
    def values(self) -> tuple[Expectation, ...]:
        """The cells of kind ``value``."""
        return self.prediction.values

    @cached_property
    def every(self) -> frozenset[Cell]:
        """All cells of reachability, reachable or not."""
        return frozenset(cell_of(wanted) for wanted in self.prediction.reach)

    @cached_property
    def healthy(self) -> dict[Cell, tuple[Passage, ...]]:
        """Each healthy cell with all that its request and its answer pass."""
        cells = [cell_of(wanted) for wanted in self.prediction.reach if wanted.reachable]
        return {cell: self._followed(cell) for cell in cells}

    @cached_property
    def closed(self) -> frozenset[Cell]:
        """The cells of reachability that should not be reachable."""
        return self.every - set(self.healthy)

    @cached_property
    def arriving(self) -> dict[Cell, tuple[Passage, ...]]:
        """Each cell whose request arrives while its answer is lost, with what the request passes.

        What takes such a request away moves where the cell stops, and nothing else.
        """
        cells = [
            cell_of(wanted)
            for wanted in self.prediction.reach
            if wanted.arrives and not wanted.reachable
        ]
        return {
            cell: tuple(passed for passed in self._followed(cell) if passed.packet.request)
            for cell in cells
        }

    @cached_property
    def _pairs(self) -> dict[tuple[str, str, int], Pair]:
        """Each pair by the names of its ends and its family."""
        found = pairs(self.plan)
        return {(p.source.name, p.destination.name, int(p.family)): p for p in found}

    @cached_property
    def _by_end(self) -> dict[str, Child]:
        return {child.end: child for child in self.children}

    @cached_property
    def _passages_at(self) -> dict[tuple[Kind, str, str], list[Passage]]:
        """The passages of healthy cells, by kind, place and interface."""
        found: defaultdict[tuple[Kind, str, str], list[Passage]] = defaultdict(list)
        for passages in self.healthy.values():
            for passage in passages:
                found[passage.kind, passage.where, passage.interface].append(passage)
        return found

    @cached_property
    def _sized_at(self) -> dict[tuple[Kind, str, str, Direction], set[Cell]]:
        """The cells of the check ``pmtu``, by what their requests pass, and in which direction."""
        found: defaultdict[tuple[Kind, str, str, Direction], set[Cell]] = defaultdict(set)
        for size in self.values:
            if size.protocol != "pmtu":
                continue
            cell = cell_of(size)
            for passage in self._followed(cell):
                if passage.packet.request:
                    found[passage[:4]].add(cell)
        return found

    def _followed(self, cell: Cell) -> tuple[Passage, ...]:
        return self.prediction.passages.of(cell, self._pairs[(*cell[:2], cell[3])])

    def cells(
        self,
        kind: Kind,
        where: str,
        interface: str = "",
        wanted: Callable[[Passage], bool] = lambda _: True,
    ) -> frozenset[Cell]:
        """Return the healthy cells with a packet that passes there and is ``wanted``."""
        found: set[Cell] = set()
        for key, passages in self._passages_at.items():
            if key[:2] == (kind, where) and interface in ("", key[2]):
                found.update(p.packet.cell for p in passages if wanted(p))
        return frozenset(found)

    def sized(self, kind: Kind, where: str, interface: str, way: Direction) -> frozenset[Cell]:
        """Return the cells of the check ``pmtu`` whose packets pass there, in that direction."""
        return frozenset(self._sized_at.get((kind, where, interface, way), ()))

    def passages(self, cell: Cell) -> tuple[Passage, ...]:
        """Return where a healthy cell's request passes, then its answer."""
        return self.healthy[cell]

    def child(self, end: str) -> Child | None:
        """Return the child with that name in the matrix, or None for a node."""
        return self._by_end.get(end)

    def children_on(self, node: str, parent: str) -> tuple[Child, ...]:
        """Return a node's children on one parent."""
        return tuple(c for c in self.children if (c.node, c.network.parent) == (node, parent))

    def parents(self, node: str) -> list[str]:
        """Return a node's interfaces that containers' networks sit on, and their NICs."""
        names: dict[str, None] = {}
        for child in self.children:
            if child.node == node:
                names.update(dict.fromkeys(reversed(stack(child.network))))
        return list(names)

    def port(self, node: str, segment: str) -> str:
        """Return the switch port of a node or host in a segment; empty where it has none."""
        return switch_port(self.plan, node, segment)

    def leads(self, space: str, address: str) -> str:
        """Return the interface by which the plan's routes of ``space`` lead to ``address``."""
        return self.prediction.passages.leads(space, address)

    def way(self, pair: Pair) -> tuple[Passage, ...]:
        """Return where an echo request between any pair would pass, then its answer."""
        cell = (pair.source.name, pair.destination.name, "icmp", int(pair.family))
        return self.prediction.passages.of(cell, pair)


def cell_of(expectation: Expectation) -> Cell:
    """Return the name of an expectation's cell."""
    return (
        expectation.source,
        expectation.destination,
        str(expectation.protocol),
        expectation.family,
    )


def involving(cells: Iterable[Cell], *names: str) -> frozenset[Cell]:
    """Return those of ``cells`` that have an end called one of ``names``."""
    return frozenset(cell for cell in cells if cell[0] in names or cell[1] in names)


def _children(plan: Plan) -> Iterator[Child]:
    for container in plan.containers:
        for attachment in container.attachments:
            yield Child(
                end=end_name(container, attachment),
                container=container.name,
                node=container.node,
                interface=attachment.interface,
                address=attachment.address.ip,
                prefix=attachment.address.prefix,
                mac=attachment.mac,
                network=plan.network(attachment.network),
                address6=attachment.address6.ip,
            )
