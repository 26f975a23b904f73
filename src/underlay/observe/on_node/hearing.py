"""Sends what is meant for everybody, and watches whose MAC addresses frames carry.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from typing import TYPE_CHECKING

from underlay.observe.on_node import rtnetlink
from underlay.observe.on_node.asking import GIVE_UP, overdue
from underlay.observe.on_node.cells import Answer
from underlay.observe.on_node.packets import (
    MAGIC,
    family_of,
    packed,
    read_token,
    readable,
    token,
)
from underlay.observe.on_node.socket_options import JEQ, LD, Instruction, attach_filter, keep_unread
from underlay.observe.on_node.spaces import drain
from underlay.observe.on_node.witness import LEAVE, TAKE

if TYPE_CHECKING:
    from underlay.observe.on_node.cells import Cell
    from underlay.observe.on_node.spaces import Space
    from underlay.observe.on_node.station import Station

TIMES = 2  # packets; nobody says whether one was lost
APART = 0.1  # s between them
ETH_P_ALL_IP = {4: 0x0800, 6: 0x86DD}
LINK_LOCAL = (0xFE, 0x80)  # the first ten bits of IPv6's own, RFC 4291, 2.5.6
HEADS = {4: 28, 6: 48}  # bytes of the IP and UDP headers


class Hearing:
    """Sends the datagrams of ``check``, broadcast or multicast; the receivers keep record."""

    def __init__(self, station: Station, cells: list[Cell], check: str) -> None:
        self.station, self.check = station, check
        self.waiting = [(0.0, attempt, cell) for attempt in range(TIMES) for cell in cells]
        self.errors: dict[int, str] = {}
        self.cells = cells
        self.last, self.round = time.monotonic(), station.round
        self.over = not cells
        self.left = self.told = False
        for space in station.present():
            _join(space, station.spec["groups"], station.port)

    @property
    def busy(self) -> int:
        """How many cells aren't decided yet."""
        return 0 if self.over else len(self.cells)

    @property
    def eager(self) -> bool:
        """Whether there is something to send at once."""
        return False

    def step(self) -> None:
        """Send what is due; it is over when everybody has had the time to hear it."""
        now = time.monotonic()
        # After some rounds everybody has begun this phase, too, and is listening.
        if self.waiting and now - self.last >= APART and self.station.round - self.round > 3:
            attempt = self.waiting[0][1]
            while self.waiting and self.waiting[0][1] == attempt:
                self.send(self.waiting.pop(0)[2], attempt)
            self.last, self.round = now, self.station.round
        elif not self.waiting and overdue(self.station, self.round, now - self.last, GIVE_UP):
            self.over = True

    def send(self, cell: Cell, attempt: int) -> None:
        """Send one datagram from the interface that has the cell's source address."""
        source, space = cell.source, self.station.spaces[cell.space]
        if space is None:
            return
        words = token(self.station.nonce, cell.number, self.check, attempt)
        family = family_of(source)
        try:
            found = rtnetlink.addresses(space.netlink).get(packed(source))
            if found is None:
                raise OSError("no interface has that address")
            index = found[0]
            with contextlib.closing(space.open(socket.SOCK_DGRAM, family)) as made:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                if family == 6:
                    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
                else:
                    interface = struct.pack("=4s4si", bytes(4), packed(source), index)
                    made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
                name = space.interface(index).encode()
                made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
                made.bind((source, 0))
                made.sendto(words, (cell.destination, self.station.port))
        except OSError as error:
            self.errors[cell.number] = f"nothing can be sent from {source}: {error}"

    @property
    def decided(self) -> int:
        """How many cells are decided: they all are at once."""
        return len(self.cells) if self.over else 0

    def cut(self) -> None:
        """Leave undecided what isn't decided yet: nobody knows who else would have heard it."""
        self.left = not self.over
        self.over = True
        self.waiting.clear()

    def news(self, *, over: bool) -> list[Answer]:
        """Return, for each cell, what went wrong in sending, once the phase is over."""
        if not over or self.told:
            return []
        self.told = True
        return [Answer(cell.number, self.check, TIMES, self.result(cell)) for cell in self.cells]

    def result(self, cell: Cell) -> dict[str, str] | None:
        """Return what came of sending a cell's packets; None where it was left."""
        if self.left:
            return None
        return {"stop": "", "reason": self.errors.get(cell.number, "")}


def _join(space: Space, groups: list[str], port: int) -> None:
    """Join the groups on every interface of the namespace that has an address for them.

    One that IPv6 alone has given itself is none: whoever is planned without IPv6 is no member.
    """
    interfaces = {
        (index, len(address))
        for address, (index, _) in rtnetlink.addresses(space.netlink).items()
        if (address[0], address[1] & 0xC0) != LINK_LOCAL
    }
    for group in (group for group in groups if (family_of(group), port) in space.udp):
        wanted = packed(group)
        for index in {index for index, size in interfaces if size == len(wanted)}:
            with contextlib.suppress(OSError):  # joined already, or no multicast there
                if len(wanted) == 16:
                    what = wanted + struct.pack("=i", index)
                    space.udp[6, port].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, what)
                else:
                    what = wanted + bytes(4) + struct.pack("=i", index)
                    space.udp[4, port].setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, what)


def watch(station: Station) -> None:
    """Record the source MAC addresses of the frames that bring datagrams of the check macs.

    Where a node is busy more frames arrive meanwhile than a socket holds, and most are others'.
    So the kernel hands out those of this measurement alone.
    """
    for space in station.present():
        for family in station.spec["families"]:
            made = space.frames(ETH_P_ALL_IP[family])
            attach_filter(made, _ours(family, station.nonce))
            keep_unread(made)
            drain(made)  # what came before there was a program
            station.loop.watch(made, _Watcher(station, space, family, made).on_frame, None)


def _ours(family: int, nonce: bytes) -> list[Instruction]:
    """Return the program of classic BPF that takes what begins as a token of ``nonce`` does."""
    begins = MAGIC + b" " + nonce
    words = [number for (number,) in struct.iter_unpack("!I", begins[: len(begins) // 4 * 4])]
    program: list[Instruction] = []
    for position, word in enumerate(words):
        left = 2 * (len(words) - 1 - position)
        program += [(LD, 0, 0, HEADS[family] + 4 * position), (JEQ, 0, left + 1, word)]
    return [*program, TAKE, LEAVE]


class _Watcher:
    def __init__(self, station: Station, space: Space, family: int, made: socket.socket) -> None:
        self.station, self.space, self.family, self.made = station, space, family, made

    def on_frame(self, _: None) -> None:
        """Keep the sender's MAC address of each datagram of ours."""
        while True:
            try:
                packet, sender = self.made.recvfrom(256)
            except OSError:
                return
            found = read_token(self.station.nonce, packet[HEADS[self.family] :])
            if found and found.protocol == "macs":
                mac = readable(sender[4])
                self.space.record("macs frame", found.number, found.attempt, mac)
