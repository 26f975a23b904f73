"""Where each packet of each cell passes: containers, parents and switch ports, both ways.

The plan and its prediction are all that this needs. A fault is a predicate on passages: the
cells that have a packet passing there are the ones that it breaks. The order of passages is
that of ``trace``, too.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from underlay.expect import pairs, predict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from underlay.expect import End, Expectation, Pair
    from underlay.plan import Plan, PlannedNetwork

# (source, destination, protocol, family)
Cell = tuple[str, str, str, int]
Kind = Literal["space", "parent", "port"]
Direction = Literal["out", "in"]


@dataclass(frozen=True)
class Packet:
    """A cell's request, or its answer: whose it is and what its headers say."""

    cell: Cell
    request: bool
    sender: str
    receiver: str
    source: str
    destination: str
    source_mac: str
    destination_mac: str
    vlan: int | None

    @property
    def protocol(self) -> str:
        """The protocol of the packet's cell."""
        return self.cell[2]

    @property
    def family(self) -> int:
        """4 or 6, for IPv4 or IPv6."""
        return self.cell[3]


@dataclass(frozen=True)
class Passage:
    """A packet at one interface. ``where`` is a container or node, or a segment for a port.

    ``driver`` and ``mode`` are those of the container network that the packet uses;
    ``sibling`` says that it stays on its node.
    """

    kind: Kind
    where: str
    interface: str
    direction: Direction
    packet: Packet
    driver: str
    mode: str
    sibling: bool


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


@dataclass
class Scene:
    """A plan with its healthy cells and their packets' ways."""

    plan: Plan
    ends: dict[str, End] = field(init=False)
    children: tuple[Child, ...] = field(init=False)
    healthy: dict[Cell, tuple[Passage, ...]] = field(init=False)
    every: frozenset[Cell] = field(init=False)

    def __post_init__(self) -> None:
        """Follow every packet of every cell that should be reachable."""
        self.children = tuple(_children(self.plan))
        self._child = {child.end: child for child in self.children}
        by_pair = {(p.source.name, p.destination.name, int(p.family)): p for p in pairs(self.plan)}
        self.ends = {end.name: end for p in by_pair.values() for end in (p.source, p.destination)}
        self.healthy, self._at = {}, defaultdict(list)
        expectations = [e for e in predict(self.plan) if measures_reach(e)]
        self.every = frozenset(cell_of(e) for e in expectations)
        for wanted in expectations:
            if not wanted.reachable:
                continue
            cell = cell_of(wanted)
            way = tuple(self._way(cell, by_pair[(*cell[:2], cell[3])]))
            self.healthy[cell] = way
            for passage in way:
                self._at[passage.kind, passage.where, passage.interface].append(passage)

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

    def way(self, pair: Pair) -> tuple[Passage, ...]:
        """Return where an echo request between any pair would pass, then its answer."""
        cell = (pair.source.name, pair.destination.name, "icmp", int(pair.family))
        return tuple(self._way(cell, pair))

    def _way(self, cell: Cell, pair: Pair) -> Iterator[Passage]:
        yield from self._one_way(cell, pair, request=True)
        yield from self._one_way(cell, pair, request=False)

    def _one_way(self, cell: Cell, pair: Pair, *, request: bool) -> Iterator[Passage]:
        ends = (pair.source, pair.destination)
        addresses = (pair.source_address, pair.destination_address)
        if not request:
            ends, addresses = ends[::-1], addresses[::-1]
        sender, receiver = ends
        network = self.plan.network(sender.network or receiver.network)
        far = self.plan.network(receiver.network or sender.network)
        packet = Packet(
            cell,
            request,
            sender.name,
            receiver.name,
            *addresses,
            self._mac(sender, network),
            self._mac(receiver, far),
            network.vlan,
        )
        sibling = sender.node == receiver.node
        # The drivers have no way between a child and its own node: such a frame goes out.
        outwards = (
            "node" in (sender.kind, receiver.kind)
            and network.own == network.parent
            and network.driver in ("macvlan", "ipvlan")
        )

        def passing(kind: Kind, where: str, name: str, direction: Direction) -> Passage:
            net = network if direction == "out" else far
            return Passage(kind, where, name, direction, packet, net.driver, net.mode, sibling)

        yield passing("space", sender.space, sender.interface or network.own, "out")
        if not sibling or outwards:
            for name in stack(network):
                yield passing("parent", sender.node, name, "out")
            near, there = (
                self.port(sender.node, network.segment),
                self.port(receiver.node, far.segment),
            )
            if near and there:
                yield passing("port", network.segment, near, "in")
                yield passing("port", far.segment, there, "out")
            for name in reversed(stack(far)):
                yield passing("parent", receiver.node, name, "in")
        elif network.driver != "ipvlan":
            # A macvlan sibling's frame comes in again through the parent; a bridge is its parent.
            yield passing("parent", receiver.node, network.parent, "in")
        yield passing("space", receiver.space, receiver.interface or far.own, "in")

    def _mac(self, end: End, network: PlannedNetwork) -> str:
        child = self.child(end.name)
        if child is not None:
            return child.mac
        return mac_of(self.plan, end.node, network.own)


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


def stack(network: PlannedNetwork) -> list[str]:
    """Return the node's interfaces that a frame leaves by: parent, uplink, the NIC below it."""
    uplink = network.uplink or network.parent
    return list(dict.fromkeys((network.parent, uplink, uplink.partition(".")[0])))


def _children(plan: Plan) -> Iterator[Child]:
    for container in plan.containers:
        several = len(container.attachments) > 1
        for attachment in container.attachments:
            address, _, prefix = attachment.address.partition("/")
            yield Child(
                end=f"{container.name}@{attachment.network}" if several else container.name,
                container=container.name,
                node=container.node,
                interface=attachment.interface,
                address=address,
                prefix=prefix,
                mac=attachment.mac,
                network=plan.network(attachment.network),
            )
