"""The points that a packet and its answer pass, and where of them they were seen."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from underlay.errors import BadInput, count, did_you_mean, listed, nearest
from underlay.expect import Prediction, pairs
from underlay.faults.scene import Passage, Scene
from underlay.observe.capture import summary
from underlay.plan import SWITCH, family_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.expect import Expectation, Pair
    from underlay.observe.capture import Caught, Summary
    from underlay.plan import Plan

REQUEST, ANSWER = "request", "answer"
# What refuses a datagram, by its type: destination unreachable; RFC 792 and RFC 4443.
UNREACHABLE = {"ICMP": "type 3", "ICMPv6": "type 1"}
SYN, RST, ACK = 0x02, 0x04, 0x10


@dataclass(frozen=True)
class Point:
    """One point that a packet passes, and what was seen there.

    ``packet`` is the request or its answer, ``kind`` what is there, such as a switch port, ``at``
    where it is. ``arp`` are the ARP messages that were seen there; ``frame`` says in words what
    the packet looked like, and is empty where it wasn't seen.
    """

    packet: str
    kind: str
    at: str
    direction: str
    seen: bool
    arp: tuple[str, ...]
    frame: str


@dataclass(frozen=True)
class Packet:
    """What is sent: an echo request, or to ``port`` a TCP SYN or a UDP datagram.

    ``mark`` is what an echo carries; the other two are known by their pair of ports.
    """

    protocol: str = "icmp"
    port: int = 0
    source_port: int = 0
    mark: bytes = b""

    @property
    def words(self) -> str:
        """What is sent, as people call it."""
        if self.protocol == "icmp":
            return "one echo request"
        return f"{'TCP SYN' if self.protocol == 'tcp' else 'UDP datagram'} to port {self.port}"

    def marks(self) -> tuple[bytes, ...]:
        """Return the bytes by which the packet and its answer are known."""
        if self.protocol == "icmp":
            return (self.mark,)
        # An ICMP error holds the ports of what it refuses.
        return self._ports(), struct.pack("!HH", self.port, self.source_port)

    def seen_as(self, words: Summary, data: bytes, *, request: bool) -> str:
        """Return in words what ``data`` is of this packet, or of its answer; nothing if neither."""
        if self.protocol == "icmp":
            return words.what if words.what == ("echo request" if request else "echo reply") else ""
        if words.kind == self.protocol.upper():
            ports = (self.source_port, self.port) if request else (self.port, self.source_port)
            if words.what != f"{ports[0]} to {ports[1]}":
                return ""
            return (
                _flags(data, struct.pack("!HH", *ports)) if self.protocol == "tcp" else "datagram"
            )
        refused = self._ports() in data and words.what == UNREACHABLE.get(words.kind)
        return "unreachable" if refused and not request else ""

    def _ports(self) -> bytes:
        return struct.pack("!HH", self.source_port, self.port)


def _flags(data: bytes, ports: bytes) -> str:
    """Return the flags of the TCP segment in ``data`` that goes between ``ports``."""
    start = data.find(ports)
    flags = data[start + 13] if len(data) > start + 13 else 0
    names = [name for name, bit in (("SYN", SYN), ("RST", RST), ("ACK", ACK)) if flags & bit]
    return " ".join(names)


@dataclass(frozen=True)
class Trace:
    """Who asks whom, from which address to which, and what the packet passes there and back.

    ``expected`` is what should become of the packet; None where its port is none of the matrix.
    """

    plan: Plan
    source: str
    destination: str
    source_space: str
    destination_space: str
    source_address: str
    destination_address: str
    device: str
    passages: tuple[Passage, ...]
    packet: Packet
    expected: Expectation | None = None

    def spaces(self) -> dict[str, list[tuple[str, str, list[str]]]]:
        """Return what sniff.py has to listen at, by machine."""
        found: dict[str, dict[tuple[str, str], dict[str, None]]] = {}
        for passage in self.passages:
            machine, space, kind = self._machine(passage)
            devices = found.setdefault(machine, {}).setdefault((space, kind), {})
            devices[passage.interface] = None
        return {
            machine: [(space, kind, list(devices)) for (space, kind), devices in parts.items()]
            for machine, parts in found.items()
        }

    def name(self, passage: Passage) -> str:
        """Return the name under which sniff.py reports a passage's frames."""
        _, space, _ = self._machine(passage)
        return f"{space} {passage.interface}"

    def arp_marks(self) -> tuple[bytes, ...]:
        """Return the bytes by which ARP is known; `seen_points` picks this pair's."""
        if family_of(self.source_address) == 6:
            return ()
        # An ARP packet's addresses stand apart: its head, Ethernet and IPv4, has to do.
        return (bytes.fromhex("000108000604"),)

    def last(self, points: Sequence[Point]) -> str:
        """Say where the packet, or else ARP for it, was last seen."""
        for packet in (ANSWER, REQUEST):
            seen = [point for point in points if point.packet == packet and point.seen]
            if seen:
                return f"The {packet} was last seen at {seen[-1].at}, {seen[-1].direction}."
        asked = [point for point in points if point.packet == REQUEST and point.arp]
        if asked:
            answered = any(word.startswith("is at") for point in asked for word in point.arp)
            heard = f"ARP for it was last seen at {asked[-1].at}, {asked[-1].direction}"
            return f"Nothing was sent: {heard}{'' if answered else ', and nobody answered'}."
        return f"Nothing left {self.source}, not even ARP."

    def _machine(self, passage: Passage) -> tuple[str, str, str]:
        if passage.kind == "port":
            return SWITCH, SWITCH, "node"
        for container in self.plan.containers:
            if container.name == passage.where:
                return container.node, container.name, container.space_kind
        return passage.where, passage.where, "node"


def trace_of(plan: Plan, source: str, destination: str, packet: Packet) -> Trace:
    """Return what ``packet`` passes between two ends of the matrix.

    Raises BadInput where they are no pair of it.
    """
    found = next(
        (p for p in pairs(plan) if (p.source.name, p.destination.name) == (source, destination)),
        None,
    )
    if found is None:
        names = list(dict.fromkeys(p.source.name for p in pairs(plan)))
        wrong = next((name for name in (source, destination) if name not in names), None)
        if wrong is None:
            raise BadInput(
                f"{source} to {destination} is no pair of the matrix",
                hint="containers among each other, and containers with nodes",
            )
        hint = (
            did_you_mean(nearest(wrong, names))
            or f"ends: {listed(names, more=f'underlay status --lab {plan.lab}')}"
        )
        raise BadInput(f"the lab {plan.lab} has no end {wrong!r}", hint=hint)
    return trace_of_pair(Scene(Prediction(plan)), found, packet)


def trace_of_pair(scene: Scene, found: Pair, packet: Packet) -> Trace:
    """Return what ``packet`` passes between the two ends of a pair of the matrix."""
    passages = tuple(p for p in scene.way(found) if p.kind != "route")
    word = f"{packet.protocol}:{packet.port}" if packet.port else packet.protocol
    return Trace(
        plan=scene.plan,
        source=found.source.name,
        destination=found.destination.name,
        source_space=found.source.space,
        destination_space=found.destination.space,
        source_address=found.source_address,
        destination_address=found.destination_address,
        device=passages[0].interface,
        passages=passages,
        packet=packet,
        expected=scene.prediction.cell(found, word) if word in scene.prediction.protocols else None,
    )


def seen_points(trace: Trace, caught: Caught) -> list[Point]:
    """Return every point that the packet and its answer pass, in order, with what was seen."""
    points = []
    for passage in trace.passages:
        name = trace.name(passage)
        # What enters a port leaves the node: the switch's end of a cable sees it come in.
        outward = passage.direction == "out"
        here = [frame for frame in caught.frames if frame.at == name and frame.out is outward]
        request = passage.packet.request
        packet, arp = "", []
        for frame in here:
            words = summary(frame.data)
            if words.kind == "ARP":
                pair = {words.source, words.destination}
                if pair == {trace.source_address, trace.destination_address}:
                    asked = words.destination if words.what == "who has" else words.source
                    arp.append(f"{words.what} {asked}")
            elif what := trace.packet.seen_as(words, frame.data, request=request):
                tag = f" vlan {words.vlan}" if words.vlan else ""
                # TCP asks and closes: the first word of either side is what counts.
                packet = packet or f"{words.kind} {what}{tag}"
            elif passage.packet.outer and not words.what.startswith("echo"):
                packet = f"{passage.packet.outer.upper()} around it, {words.what}"
        points.append(
            Point(
                packet=REQUEST if request else ANSWER,
                kind=_kind(passage),
                at=_at(passage, caught.missing.get(name, ""), caught.lost.get(name, 0)),
                direction=passage.direction,
                seen=bool(packet),
                arp=tuple(dict.fromkeys(arp)),
                frame=packet,
            )
        )
    return points


def _kind(passage: Passage) -> str:
    if passage.kind == "port":
        return "switch port"
    return "parent" if passage.kind == "parent" else "end"


def _at(passage: Passage, missing: str, lost: int) -> str:
    where = SWITCH if passage.kind == "port" else passage.where
    words = f" (not captured: {missing})" if missing else ""
    if lost:
        words += f" ({count(lost, 'frame')} lost, as they came too fast)"
    return f"{where}, {passage.interface}{words}"
