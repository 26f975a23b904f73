"""The way of a packet from interface to interface: namespaces, parents and switch ports.

Which links send and take it on each wire is what the prediction itself goes by
(expect/path.py). Here each wire becomes the interfaces that a capture would see it at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from underlay.drivers import driver
from underlay.expect.ends import FAMILIES, End, Family, Pair
from underlay.plan import NodeLink, Plan, PlannedNetwork, family_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from underlay.expect.path import Arrival, Paths
    from underlay.expect.world import Link, World

# (source, destination, protocol, family)
Cell = tuple[str, str, str, int]
# Checks of what is seen whose packets are datagrams (observe/on_node).
CARRIED = dict.fromkeys(("source", "macs", "pmtu", "broadcast", "multicast"), "udp")
# What a node routes for an ipvlan l3 child passes its routing table, but no interface of its own.
Kind = Literal["space", "parent", "port", "route"]
Direction = Literal["out", "in"]


class Packet(NamedTuple):
    """A cell's request, or its answer, on one wire: whose it is and what its headers say.

    ``outer`` is the protocol of the packet that carries it through an overlay's underlay,
    and the addresses and ``port`` are that one's then.
    """

    cell: Cell
    request: bool
    sender: str
    receiver: str
    source: str
    destination: str
    source_mac: str
    destination_mac: str
    vlan: int | None
    outer: str = ""
    port: int = 0

    @property
    def protocol(self) -> str:
        """The protocol that a filter would see; what only looks goes by UDP, but for ARP and ND."""
        return self.outer or CARRIED.get(self.cell[2], self.cell[2])

    @property
    def family(self) -> int:
        """4 or 6, for IPv4 or IPv6; an overlay's own packets are IPv4's."""
        return 4 if self.outer else self.cell[3]


class Passage(NamedTuple):
    """A packet at one interface. ``where`` is a container or node, or a segment for a port.

    ``driver`` and ``mode`` are those of the container network that the packet uses, empty
    at a parent where it is the node's own; ``sibling`` says that it stays on its node,
    ``forwarded`` that the namespace passes it on.
    """

    kind: Kind
    where: str
    interface: str
    direction: Direction
    packet: Packet
    driver: str
    mode: str
    sibling: bool
    forwarded: bool = False


class _Wire(NamedTuple):
    """One wire of a packet's way; ``first`` and ``last`` are those at the packet's own ends."""

    out: Link
    into: Link
    packet: Packet
    first: bool
    last: bool


class Passages:
    """Where the packets of a plan's cells pass."""

    def __init__(self, plan: Plan, paths: Mapping[Family, Paths]) -> None:
        self._plan, self._paths = plan, paths
        self._worlds: dict[int, World] = {family: paths[family].world for family in FAMILIES}

    def of(self, cell: Cell, pair: Pair) -> tuple[Passage, ...]:
        """Return where a cell's request passes, then its answer."""
        paths = self._paths[pair.family]
        there = paths.request(pair)
        back = paths.answer(pair, there.masqueraded)
        return (
            *self._passages(cell, pair, there, request=True),
            *self._passages(cell, pair, back, router=there.masqueraded, request=False),
        )

    def leads(self, space: str, address: str) -> str:
        """Return the interface by which a namespace's routes lead to ``address``, or nothing."""
        route = self._worlds[family_of(address)].spaces[space].route(address)
        return route.link.interface if route else ""

    def _passages(
        self,
        cell: Cell,
        pair: Pair,
        arrival: Arrival,
        *,
        request: bool,
        router: Link | None = None,
    ) -> Iterator[Passage]:
        ends = (pair.source, pair.destination)
        source, destination = pair.source_address, pair.destination_address
        if not request:
            ends, source, destination = ends[::-1], destination, source
        over, into = arrival.over, arrival.into
        if not over:
            spaces = self._worlds[pair.family].spaces
            over = (spaces[ends[0].space].link(source),)
            into = (spaces[ends[1].space].link(destination),)
        to = router.address if router else destination
        count = len(over)
        for number, (out, taker) in enumerate(zip(over, into, strict=True)):
            if request and arrival.masqueraded is out:
                source = out.address
            packet = Packet(
                cell, request, ends[0].name, ends[1].name, source, to, out.mac, taker.mac,
                out.tag,
            )  # fmt: skip
            wire = _Wire(out, taker, packet, number == 0, number == count - 1)
            yield from self._sent(wire, ends[0])
            yield from self._wire(wire)
            if router and taker.space == router.space:
                to = destination

    def _sent(self, wire: _Wire, source: End) -> Iterator[Passage]:
        """An ipvlan l3 child's packet leaves the child, then its node routes it."""
        out = wire.out
        if wire.first and out.space != source.space:
            links = self._worlds[wire.packet.cell[3]].spaces[source.space].links
            near = [one for one in links if one.parent == out.parent]
            # Its IPv6 packets may leave by another of its node's interfaces.
            child = next(iter(near), None) or next(one for one in links if one.by_node)
            yield self._passing("space", child.space, child.interface, "out", wire, child)
            yield self._passing("route", out.space, out.parent, "out", wire, child)
            return
        here = (out.space, out.interface)
        yield self._passing("space", *here, "out", wire, out, forwarded=not wire.first)
        if out.by_node and out.node != wire.into.node:
            yield self._passing("route", out.node, out.parent, "out", wire, out)

    def _wire(self, wire: _Wire) -> Iterator[Passage]:
        out, into = wire.out, wire.into
        if (out.node, out.parent) == (into.node, into.parent) and not self._reflected(out, into):
            if not driver(out.driver).by_address:
                # A macvlan sibling's frame comes in again by the parent; a bridge is the parent.
                own = into if out.driver else out
                yield self._passing("parent", into.node, into.parent, "in", wire, own)
        else:
            overlay = self._worlds[4].overlay(out)
            yield from self._tunnelled(wire, overlay) if overlay else self._crossed(wire)
        here = (into.space, into.interface)
        yield self._passing("space", *here, "in", wire, into, forwarded=not wire.last)

    def _reflected(self, out: Link, into: Link) -> bool:
        """Whether frames between two links of one parent go by way of the switch."""
        drivers = {out.driver, into.driver}
        if not any(driver(name).has_children for name in drivers):
            return False
        # The drivers have no way between a child and its own node: such a frame goes out.
        return "" in drivers or "vepa" in out.mode

    def _crossed(self, wire: _Wire) -> Iterator[Passage]:
        out, into = wire.out, wire.into
        for name in self._below(out):
            yield self._passing("parent", out.node, name, "out", wire, out)
        segment = out.domain.segment
        near, there = (switch_port(self._plan, link.node, segment) for link in (out, into))
        if near and there:
            yield self._passing("port", segment, near, "in", wire, out)
            yield self._passing("port", segment, there, "out", wire, into)
        for name in reversed(self._below(into)):
            yield self._passing("parent", into.node, name, "in", wire, into)

    def _tunnelled(self, wire: _Wire, network: PlannedNetwork) -> Iterator[Passage]:
        """An overlay's frame: through bridge and tunnel, in a packet between the nodes."""
        out, into, overlay = wire.out, wire.into, network.traits.overlay
        near = self._tunnel(network, out.node, into.node)
        there = self._tunnel(network, into.node, out.node)
        for name in (network.parent, near.interface):
            yield self._passing("parent", out.node, name, "out", wire, out)
        links = [
            next(x for x in self._worlds[4].spaces[node].links if x.parent == tunnel.parent)
            for node, tunnel in ((out.node, near), (into.node, there))
        ]
        packet = wire.packet._replace(
            source=near.options["local"],
            destination=there.options["local"],
            source_mac=links[0].mac,
            destination_mac=links[1].mac,
            vlan=links[0].tag,
            outer=overlay.outer if overlay else "",
            port=network.port,
        )
        outer = _Wire(links[0], links[1], packet, first=True, last=True)
        yield self._passing("space", out.node, links[0].parent, "out", outer, out)
        yield from self._crossed(outer)
        yield self._passing("space", into.node, links[1].parent, "in", outer, into)
        for name in (there.interface, network.parent):
            yield self._passing("parent", into.node, name, "in", wire, into)

    def _tunnel(self, network: PlannedNetwork, node: str, far: str) -> NodeLink:
        """Return the device of a node that leads to another node in an overlay."""
        made = [
            link
            for link in self._plan.node(node).links
            if link.master == network.parent and link.kind == network.driver
        ]
        theirs = {link.options.get("local") for link in self._plan.node(far).links}
        return next((one for one in made if one.options.get("remote") in theirs), made[0])

    def _below(self, link: Link) -> list[str]:
        """Return the node's interfaces that a link's frames leave by, the uppermost first."""
        if link.node not in {node.name for node in self._plan.nodes}:
            return []
        if link.network:
            return stack(link.network)
        return self._plan.node(link.node).below(link.parent)

    def _passing(
        self,
        kind: Kind,
        where: str,
        name: str,
        direction: Direction,
        wire: _Wire,
        link: Link,
        *,
        forwarded: bool = False,
    ) -> Passage:
        mode = link.network.mode if link.network else link.mode
        sibling = wire.out.node == wire.into.node
        return Passage(
            kind, where, name, direction, wire.packet, link.driver, mode, sibling, forwarded
        )


def switch_port(plan: Plan, machine: str, segment: str) -> str:
    """Return the switch's end of a node's or host's cable in a segment; empty where none is."""
    for planned in plan.segments:
        if planned.name == segment and machine in planned.ports:
            return planned.ports[machine]
    for host in plan.hosts:
        for port in host.ports:
            if (host.name, port.segment) == (machine, segment):
                return port.port
    return ""


def stack(network: PlannedNetwork) -> list[str]:
    """Return the node's interfaces that a frame leaves by: parent, uplink, the NIC below it.

    A sub-interface that was moved into its container is none of the node's any more.
    """
    if not network.uplink:
        return [network.parent]
    moved = network.traits.attach == "moved"
    names = (network.parent, *(() if moved else (network.uplink,)), network.nic)
    return list(dict.fromkeys(names))
