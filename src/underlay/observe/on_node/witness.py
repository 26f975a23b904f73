"""What leaves a namespace, who answers for an address there, and which first segments reach it.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.

Silence has two meanings. Either the other end didn't get what was asked, or nothing was asked:
the link is gone, or something on the way out discards it. So where nobody answers, a frame must
have been seen that left for the destination or asked who has its address. And a SYN that arrives
shows nowhere else, as the kernel hands out a connection only after two more segments.

Somebody's word that they have an address is watched for as well. A kernel that looks for a
neighbour takes whatever else that one says to everybody for an answer (turns.py). In their turns
cells see to it that it says nothing, but nobody tells its kernel, or a container's, not to ask a
router's address or to look for an overlay's other end.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from underlay.observe.on_node import rtnetlink
from underlay.observe.on_node.packets import (
    ADVERTISEMENT,
    ARP_REPLY,
    ARP_REQUEST,
    ETH_ARP,
    ETH_IPV6,
    SOLICITATION,
    packed,
)
from underlay.observe.on_node.socket_options import (
    AND,
    ETHERTYPE,
    JEQ,
    LD,
    LDB,
    LDB_X,
    LDH,
    LDXB_HEADER,
    OUTGOING,
    PACKET_TYPE,
    RET,
    attach_filter,
    keep_unread,
)
from underlay.observe.on_node.spaces import INET, IPV6_PKTINFO, IPV6_RECVPKTINFO, drain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.observe.on_node.question import Question
    from underlay.observe.on_node.spaces import Space
    from underlay.observe.on_node.station import Station

# Who sends to whom, IP's number of the protocol, or one of ours, and the port.
Frame = tuple[bytes, bytes, int, int]

EVERY = 0x0003  # ETH_P_ALL
ETH_IPV4 = 0x0800
NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17}
NUMBERS6 = NUMBERS | {"icmp": 58}
ASKS, ANSWERS = -1, -2
HEADS = 40  # bytes of an IPv6 header
LONGEST = 128  # bytes that are read of a packet
SYN, SYN_OR_ACK = 0x02, 0x12
TAKE, LEAVE = (RET, 0, 0, LONGEST), (RET, 0, 0, 0)
# What leaves, and of what arrives the answers for an address.
LEAVING = [
    (LD, 0, 0, PACKET_TYPE),
    (JEQ, 9, 0, OUTGOING),
    (LD, 0, 0, ETHERTYPE),
    (JEQ, 0, 2, ETH_ARP),
    (LDH, 0, 0, 6),
    (JEQ, 5, 6, ARP_REPLY),
    (JEQ, 0, 5, ETH_IPV6),
    (LDB, 0, 0, 6),
    (JEQ, 0, 3, NUMBERS6["icmp"]),
    (LDB, 0, 0, HEADS),
    (JEQ, 0, 1, ADVERTISEMENT),
    TAKE,
    LEAVE,
]
_FLAGS = [(AND, 0, 0, SYN_OR_ACK), (JEQ, 0, 1, SYN), TAKE, LEAVE]
# A raw socket of IPv6 shows no header of IP.
BEGINNING = {
    4: [(LDXB_HEADER, 0, 0, 0), (LDB_X, 0, 0, 13), *_FLAGS],
    6: [(LDB, 0, 0, 13), *_FLAGS],
}


class Witness:
    """Watches all namespaces of ``station``: SYNs from the beginning, what leaves once asked for.

    ``phase`` is the one under way, with which SYNs are kept. ``left`` holds by namespace what was
    seen, each with how much had been seen before it.
    """

    def __init__(self, station: Station) -> None:
        self.station = station
        self.phase = ""
        self.left: dict[str, dict[Frame, int]] = {}
        self.own: dict[str, frozenset[bytes]] = {}
        self.syns: list[tuple[Space, int, socket.socket]] = []
        self.leaving: list[tuple[Space, socket.socket]] = []
        for space in station.present():
            for family in {family for family, _ in space.tcp}:
                self.syns.append((space, family, raw(space, family)))
                station.loop.watch(self.syns[-1][2], self.on_syn, self.syns[-1])

    def turn(self, phase: str) -> None:
        """Keep what is seen from now on with ``phase``, and what came before with the one before.

        On a busy node there is more to be read of that when the next phase begins.
        """
        for arriving in self.syns:
            self.on_syn(arriving)
        for leaving in self.leaving:
            self.on_leaving(leaving)
        self.phase = phase

    def begin(self) -> None:
        """Watch from now on what leaves; what was seen in the phase before is of no account."""
        for seen in self.left.values():
            seen.clear()
        for space in self.station.present():
            if space.name not in self.left:
                self.left[space.name] = {}
                self.own[space.name] = frozenset(rtnetlink.addresses(space.netlink))
                made = space.frames(EVERY)
                attach_filter(made, LEAVING)
                keep_unread(made)
                drain(made)  # what came before there was a program
                self.leaving.append((space, made))
                self.station.loop.watch(made, self.on_leaving, self.leaving[-1])

    def watches(self, question: Question) -> bool:
        """Whether it is known what leaves the question's namespace."""
        return question.space is not None and question.space.name in self.left

    def left_for(self, question: Question) -> bool:
        """Return whether a packet of a question's was seen to leave its namespace."""
        assert question.space is not None
        return self._packet(question) in self.left[question.space.name]

    def asked_for(self, question: Question, hop: bytes) -> bool:
        """Return whether somebody was seen to be asked for a question's next hop."""
        assert question.space is not None
        name = question.space.name
        return any((one, hop, ASKS, 0) in self.left[name] for one in self.own[name])

    def answered_for(self, space: Space, hop: bytes, questions: Iterable[Question]) -> bool:
        """Return whether somebody said that they have ``hop`` before a packet left by it.

        ``questions`` are those of the namespace whose packets go by it.
        """
        seen = self.left[space.name]
        said = seen.get((hop, b"", ANSWERS, 0))
        packets = (seen.get(self._packet(question)) for question in questions)
        return said is not None and all(left is None or said < left for left in packets)

    def _packet(self, question: Question) -> Frame:
        numbers = NUMBERS6 if question.family == 6 else NUMBERS
        number = numbers.get(question.word, numbers["udp"])  # checks go by it
        port = 0 if question.word == "icmp" else question.port or self.station.port
        return packed(question.source), packed(question.destination), number, port

    def on_leaving(self, subject: tuple[Space, socket.socket]) -> None:
        """Keep for which addresses frames leave a namespace, and which are answered for there."""
        space, made = subject
        seen = self.left[space.name]
        while True:
            try:
                data, place = made.recvfrom(LONGEST)
            except OSError:
                return
            if place[2] != OUTGOING:
                seen.setdefault((answering_for(place[1], data), b"", ANSWERS, 0), len(seen))
            elif found := bound_for(place[1], data):
                seen.setdefault(found, len(seen))

    def on_syn(self, subject: tuple[Space, int, socket.socket]) -> None:
        """Keep whose first segments have come, to which address and port, in which phase."""
        space, family, made = subject
        while True:
            try:
                data, extra, _, sender = made.recvmsg(LONGEST, 64)
            except OSError:
                return
            head = 0 if family == 6 else (data[0] & 15) * 4
            if family == 6:
                to = next((row[2][:16] for row in extra if row[1] == IPV6_PKTINFO), b"")
            else:
                to = data[16:20]
            if len(to) in (4, 16) and len(data) >= head + 4:
                wanted = socket.inet_ntop(INET[family], to)
                by, port = struct.unpack_from(">HH", data, head)
                source = sender[0].partition("%")[0]
                space.first_segments[family, port] += 1
                space.record("syn", port, 0, f"{by} {source} {wanted} {self.phase}")


def bound_for(protocol: int, data: bytes) -> Frame | None:
    """Return who sends a packet to whom, IP's number of its protocol, and its port or 0.

    Where it asks who has an address, that and ``ASKS``; None for what is neither.
    """
    if protocol == ETH_ARP:
        asks = data[6:8] == ARP_REQUEST.to_bytes(2, "big")
        return (data[14:18], data[24:28], ASKS, 0) if asks else None
    if protocol == ETH_IPV6:
        if data[6] == NUMBERS6["icmp"] and data[HEADS : HEADS + 1] == bytes([SOLICITATION]):
            return data[8:24], data[HEADS + 8 : HEADS + 24], ASKS, 0
        return data[8:24], data[24:40], data[6], _port(data[6], data[HEADS:])
    if protocol == ETH_IPV4:
        return data[12:16], data[16:20], data[9], _port(data[9], data[(data[0] & 15) * 4 :])
    return None


def answering_for(protocol: int, data: bytes) -> bytes:
    """Return the address that an ARP reply or a neighbour advertisement says somebody has."""
    return data[14:18] if protocol == ETH_ARP else data[HEADS + 8 : HEADS + 24]


def _port(number: int, data: bytes) -> int:
    ported = number in (NUMBERS["tcp"], NUMBERS["udp"]) and len(data) >= 4
    return int.from_bytes(data[2:4], "big") if ported else 0


def raw(space: Space, family: int) -> socket.socket:
    """Return a socket of a namespace for first segments that its own stack takes in.

    A packet socket would see them before the kernel hands them to a child of the interface.
    """
    with space:
        made = socket.socket(INET[family], socket.SOCK_RAW, socket.IPPROTO_TCP)
    made.setblocking(False)
    attach_filter(made, BEGINNING[family])
    keep_unread(made)
    if family == 6:
        made.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
    drain(made)
    return made
