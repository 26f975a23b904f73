"""Where each packet of each cell passes: containers, parents and switch ports, both ways.

The plan and its prediction are all that this needs. A fault is a predicate on passages: the
cells that have a packet passing there are the ones that it breaks. The order of passages is
that of ``trace``, too.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from underlay.expect import pairs, predict
from underlay.expect.ends import end_name
from underlay.expect.passages import Cell, Passage, Ways, stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from underlay.expect import End, Expectation, Pair
    from underlay.expect.passages import Direction, Kind
    from underlay.plan import Plan, PlannedNetwork

__all__ = ["Cell", "Child", "Passage", "Scene", "cell_of", "involving", "mac_of", "stack"]


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


@dataclass
class Scene:
    """A plan with its healthy cells and their packets' ways."""

    plan: Plan
    ends: dict[str, End] = field(init=False)
    children: tuple[Child, ...] = field(init=False)
    healthy: dict[Cell, tuple[Passage, ...]] = field(init=False)
    every: frozenset[Cell] = field(init=False)
    values: tuple[Expectation, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Follow every packet of every cell that should be reachable."""
        self.children = tuple(_children(self.plan))
        self._child = {child.end: child for child in self.children}
        by_pair = {(p.source.name, p.destination.name, int(p.family)): p for p in pairs(self.plan)}
        self.ends = {end.name: end for p in by_pair.values() for end in (p.source, p.destination)}
        self.healthy, self._at = {}, defaultdict(list)
        self._sized_at: defaultdict[tuple[str, ...], set[Cell]] = defaultdict(set)
        self._ways = Ways(self.plan)
        every = predict(self.plan)
        expectations = [e for e in every if measures_reach(e)]
        self.every = frozenset(cell_of(e) for e in expectations)
        self.values = tuple(e for e in every if not measures_reach(e))
        for wanted in expectations:
            if not wanted.reachable:
                continue
            cell = cell_of(wanted)
            way = self._ways.way(cell, by_pair[(*cell[:2], cell[3])])
            self.healthy[cell] = way
            for passage in way:
                self._at[passage.kind, passage.where, passage.interface].append(passage)
        for size in (e for e in every if e.protocol == "pmtu"):
            cell = cell_of(size)
            for passage in self._ways.way(cell, by_pair[(*cell[:2], cell[3])]):
                if passage.packet.request:
                    key = (passage.kind, passage.where, passage.interface, passage.direction)
                    self._sized_at[key].add(cell)

    def cells(
        self,
        kind: Kind,
        where: str,
        interface: str = "",
        wanted: Callable[[Passage], bool] = lambda _: True,
    ) -> frozenset[Cell]:
        """Return the healthy cells with a packet that passes there and is ``wanted``."""
        found: set[Cell] = set()
        for key, passages in self._at.items():
            if key[:2] == (kind, where) and interface in ("", key[2]):
                found.update(p.packet.cell for p in passages if wanted(p))
        return frozenset(found)

    def sized(self, kind: Kind, where: str, interface: str, way: Direction) -> frozenset[Cell]:
        """Return the cells of the check ``pmtu`` whose packets pass there, in that direction."""
        return frozenset(self._sized_at[kind, where, interface, way])

    def passages(self, cell: Cell) -> tuple[Passage, ...]:
        """Return where a healthy cell's request passes, then its answer."""
        return self.healthy[cell]

    def child(self, end: str) -> Child | None:
        """Return the child with that name in the matrix, or None for a node."""
        return self._child.get(end)

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
        for planned in self.plan.segments:
            if planned.name == segment and node in planned.ports:
                return planned.ports[node]
        for host in self.plan.hosts:
            for port in host.ports:
                if (host.name, port.segment) == (node, segment):
                    return port.port
        return ""

    def leads(self, space: str, address: str) -> str:
        """Return the interface by which the plan's routes of ``space`` lead to ``address``."""
        return self._ways.leads(space, address)

    def way(self, pair: Pair) -> tuple[Passage, ...]:
        """Return where an echo request between any pair would pass, then its answer."""
        cell = (pair.source.name, pair.destination.name, "icmp", int(pair.family))
        return self._ways.way(cell, pair)


def measures_reach(expectation: Expectation) -> bool:
    """Whether a cell is about reaching somebody, as opposed to a value such as a path's MTU."""
    return expectation.kind == "reach"


def cell_of(expectation: Expectation) -> Cell:
    """Return the name of an expectation's cell."""
    return (
        expectation.source,
        expectation.destination,
        str(expectation.protocol),
        expectation.family,
    )


def mac_of(plan: Plan, node: str, interface: str) -> str:
    """Return the planned MAC address of a node's or host's interface; empty where unknown."""
    for planned in plan.nodes:
        if planned.name == node:
            found = {link.interface: link.mac for link in planned.links}
            found |= {link.interface: link.mac for link in planned.vlans}
            found |= {nic.interface: nic.mac for nic in (planned.management, *planned.nics)}
            return found.get(interface, "")
    for host in plan.hosts:
        if host.name == node:
            return next((port.mac for port in host.ports), "")
    return ""


def involving(cells: Iterable[Cell], *names: str) -> frozenset[Cell]:
    """Return those of ``cells`` that have an end called one of ``names``."""
    return frozenset(cell for cell in cells if cell[0] in names or cell[1] in names)


def _children(plan: Plan) -> Iterator[Child]:
    for container in plan.containers:
        for attachment in container.attachments:
            address, _, prefix = attachment.address.partition("/")
            yield Child(
                end=end_name(container, attachment),
                container=container.name,
                node=container.node,
                interface=attachment.interface,
                address=address,
                prefix=prefix,
                mac=attachment.mac,
                network=plan.network(attachment.network),
                address6=attachment.address6.partition("/")[0],
            )
