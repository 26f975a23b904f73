"""Asks the same cells again and again by ICMP, as users do, while something happens elsewhere.

Runs on the node, as the probe does: standard library only, Python 3.9 or newer. Unlike the probe it
leaves neighbour tables as they are, for what a neighbour remembers is what is measured. The task
comes first on standard input, packed: ``spaces`` are (name, kind), ``cells`` are (number, place in
``spaces``, source address, destination address), ``interval`` the seconds between two requests of a
cell. ``ready`` on standard output says that all sockets are there. After that a line at a time:

    began    the event begins: what was lost until now doesn't count
    ended    the event has ended: healing is counted from here
    look     print, as JSON, what became of each cell since it began, and what was announced
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import socket
import struct
import sys
import time
import zlib
from typing import Any

from underlay.observe.on_node.namespaces import Missing, enter, opened
from underlay.observe.on_node.packets import (
    ADVERTISEMENT,
    ECHO_REPLY,
    ECHO_REPLY6,
    ETH_ARP,
    advertisement,
    echo,
    family_of,
    packed,
    readable,
)
from underlay.observe.on_node.socket_options import keep_unread
from underlay.observe.on_node.spaces import ICMP, INET, IP_PKTINFO, IPV6_PKTINFO, drain, quiet

MARK = b"underlay-again"
# s after which a request without an answer is lost.
GRACE = 1.0
SOLICITED = 0x40  # a neighbour advertisement that somebody has asked for (RFC 4861, 4.4)


class Cell:
    """One cell: what was sent and not answered yet, and what was lost.

    ``fine_since`` is when the first request was sent that was answered, and so were all after it.
    """

    def __init__(self, number: int, space: Space, source: str, destination: str) -> None:
        self.number = number
        self.space = space
        self.source = source
        self.destination = destination
        self.family = family_of(destination)
        self.answered = False
        self.sequence = 0
        self.waiting: dict[int, float] = {}
        self.lost = 0
        self.first_lost: float | None = None
        self.fine_since: float | None = None

    def forget(self) -> None:
        """Begin to count anew."""
        self.waiting.clear()
        self.lost, self.first_lost, self.fine_since = 0, None, None

    def send(self, now: float) -> None:
        """Send a request; what the kernel refuses to send is lost, too."""
        self.sequence += 1
        self.waiting[self.sequence] = now
        body = b"%s %d %d" % (MARK, self.number, self.sequence)
        data = echo(self.family, os.getpid() & 0xFFFF, self.sequence & 0xFFFF, body)
        with contextlib.suppress(OSError):
            self.space.icmp[self.family].sendmsg(
                [data], [_from(self.source)] if self.source else [], 0, (self.destination, 0)
            )

    def answer(self, sequence: int) -> None:
        """Take note of the answer to one of the requests."""
        sent = self.waiting.pop(sequence, None)
        self.answered = True
        if sent is not None and self.fine_since is None:
            self.fine_since = sent

    def give_up(self, now: float) -> None:
        """Count those requests as lost that have waited too long."""
        for sequence, sent in [pair for pair in self.waiting.items() if now - pair[1] > GRACE]:
            del self.waiting[sequence]
            self.lost += 1
            self.first_lost = sent if self.first_lost is None else self.first_lost
            if self.fine_since is not None and sent > self.fine_since:
                self.fine_since = None


def _from(address: str) -> tuple[int, int, bytes]:
    if family_of(address) == 6:
        return (socket.IPPROTO_IPV6, IPV6_PKTINFO, packed(address) + struct.pack("=i", 0))
    return (socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=i", 0) + packed(address) + bytes(4))


class Space:
    """A namespace's sockets: ICMP by family, and one that hears ARP."""

    def __init__(self, name: str, kind: str, home: int, families: set[int]) -> None:
        own = home if kind == "node" else opened(name, kind, "")
        enter(own)
        try:
            self.name = name
            self.icmp = {
                family: quiet(socket.SOCK_RAW, ICMP[family], INET[family]) for family in families
            }
            for made in self.icmp.values():
                keep_unread(made)
            self.arp = quiet(socket.SOCK_RAW, socket.htons(ETH_ARP), socket.AF_PACKET)
        finally:
            enter(home)
            if own != home:
                os.close(own)


def announced(frame: bytes) -> tuple[str, str] | None:
    """Return (address, MAC address) of a gratuitous ARP packet; None for any other frame.

    Its sender asks for its own address, or answers nobody's question for it (RFC 5227, 3).
    """
    if len(frame) < 42:
        return None
    sender, target = frame[28:32], frame[38:42]
    if sender != target or sender == bytes(4):
        return None
    return socket.inet_ntoa(sender), readable(frame[22:28])


class Pinging:
    """All cells of a node, asked in turns."""

    def __init__(self, task: dict[str, Any]) -> None:
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.interval = float(task["interval"])
        self.began = self.ended = time.monotonic()
        self.missing: dict[str, str] = {}
        self.announced: dict[tuple[str, str, str], float] = {}
        families = {family_of(cell[3]) for cell in task["cells"]} or {4}
        spaces: list[Space | None] = []
        for name, kind in task["spaces"]:
            try:
                spaces.append(Space(name, kind, home, families))
            except (Missing, OSError) as error:
                spaces.append(None)
                self.missing[name] = str(error)
        self.spaces = [space for space in spaces if space is not None]
        self.cells: dict[int, Cell] = {}
        for number, place, source, destination in task["cells"]:
            space = spaces[place]
            if space is not None:
                self.cells[number] = Cell(number, space, source, destination)

    def hear(self, space: Space) -> None:
        """Take in what has come to a namespace."""
        for family, made in space.icmp.items():
            for data, _ in drain(made):
                message = data[(data[0] & 15) * 4 :] if family == 4 else data
                if message[:1] == bytes([ECHO_REPLY if family == 4 else ECHO_REPLY6]):
                    self._answer(message[8:])
                elif family == 6 and message[:1] == bytes([ADVERTISEMENT]):
                    said = advertisement(message)
                    if said and not message[4] & SOLICITED:
                        self._announce("nd", *said)
        for frame, _ in drain(space.arp):
            if told := announced(frame):
                self._announce("arp", *told)

    def _answer(self, body: bytes) -> None:
        words = body.split(b" ")
        if words[0] == MARK and len(words) == 3:
            cell = self.cells.get(int(words[1]))
            if cell is not None:
                cell.answer(int(words[2]))

    def _announce(self, how: str, address: str, mac: str) -> None:
        self.announced.setdefault((how, address, mac), time.monotonic())

    def told(self) -> str:
        """Return what became of all cells, as a line of JSON."""
        rows = []
        for cell in self.cells.values():
            first = None if cell.first_lost is None else round(cell.first_lost - self.began, 2)
            fine = None if cell.fine_since is None else round(cell.fine_since - self.ended, 2)
            rows.append([cell.number, cell.answered, cell.lost, first, fine])
        heard = [
            [*key, round(when - self.began, 2)]
            for key, when in self.announced.items()
            if when >= self.began
        ]
        found = {"cells": rows, "announced": heard, "missing": self.missing}
        return json.dumps(found, separators=(",", ":"))

    def obey(self, word: str) -> None:
        """Do what a line on standard input says."""
        now = time.monotonic()
        if word == "began":
            self.began = now
            for cell in self.cells.values():
                cell.forget()
        elif word == "ended":
            self.ended = now
        elif word == "look":
            sys.stdout.write(self.told() + "\n")
            sys.stdout.flush()

    def run(self) -> None:
        """Ask until standard input ends."""
        by_socket = {made: space for space in self.spaces for made in space.icmp.values()}
        by_socket |= {space.arp: space for space in self.spaces}
        turn = 0.0
        buffer = b""
        while True:
            now = time.monotonic()
            if now >= turn:
                turn = now + self.interval
                for cell in self.cells.values():
                    cell.give_up(now)
                    cell.send(time.monotonic())
            wait = max(0.0, turn - time.monotonic())
            ready, _, _ = select.select([sys.stdin.fileno(), *by_socket], [], [], wait)
            for space in {id(by_socket[r]): by_socket[r] for r in ready if r in by_socket}.values():
                self.hear(space)
            if sys.stdin.fileno() in ready:
                more = os.read(sys.stdin.fileno(), 4096)
                if not more:
                    return
                buffer += more
                *lines, buffer = buffer.split(b"\n")
                for line in lines:
                    self.obey(line.decode().strip())


def main(_: str) -> int:
    """Read the task, say ``ready``, and ask until standard input ends."""
    line = b""
    while not line.endswith(b"\n"):
        more = os.read(0, 1 << 16)
        if not more:
            return 1
        line += more
    pinging = Pinging(json.loads(zlib.decompress(base64.b64decode(line))))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    with contextlib.suppress(BrokenPipeError):
        pinging.run()
    return 0
