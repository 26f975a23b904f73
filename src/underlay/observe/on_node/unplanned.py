"""Looks for ways that nobody planned: sends a few frames from each interface, and listens at all.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer. It is the last
phase, so that nothing that it sends or teaches anybody can change a cell.

From each interface go, once: an ARP request for an address of nobody's and one for that of a
neighbour to everybody, requests for addresses of nobody's to one or two others, a datagram to all
nodes of the link from the link-local address, and what goes to everybody again from each address
of the namespace that isn't planned. What goes to everybody carries a mark (marked.py). Whoever
hears one that they shouldn't asks for its sender's address, by ARP or neighbour discovery. So a
way counts as found only where a frame was sent and heard, and as answered only where the answer
was heard as well.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from underlay.observe.on_node import rtnetlink
from underlay.observe.on_node.cells import Answer
from underlay.observe.on_node.marked import (
    LEADING,
    UNPLANNED,
    Mark,
    attach,
    marked,
    read_mark,
    source_of,
    to_all_nodes,
)
from underlay.observe.on_node.packets import (
    ETH_ARP,
    ETH_IPV6,
    advertisement,
    arp_reply,
    arp_request,
    family_of,
    packed,
    readable,
    solicitation,
)

if TYPE_CHECKING:
    from underlay.observe.on_node.spaces import Space
    from underlay.observe.on_node.station import Station

WORD = "unplanned"
# A question and its answer have four steps with ARP; the last round is under way by then.
# s at least, too; longer for a question that is asked for the second time.
ROUNDS, LEAST = 5, (0.15, 0.15, 0.5)
TWICE = 2
LIMIT = 8.0  # s; where another node is stuck there are no rounds
BURST = 24  # interfaces that send before what arrived is read again
CONFIRMED = 8  # addresses that one interface asks for, at most
HEARD = 64  # marks that one interface keeps
UNKNOWN = 0  # the sort of what goes out by an interface that isn't planned
KINDS = (ETH_ARP, ETH_IPV6)
ANYBODY = "0.0.0.0"  # noqa: S104 asks without telling who asks, RFC 5227, 1.1


class Spec(NamedTuple):
    """A planned interface as observe/tasks.py writes it: a Point of expect/unplanned.py."""

    number: int
    space: str
    interface: str
    sort: int
    hears: list[int]
    controls: list[int]
    leads: bool
    address: str
    questions: list[str]
    neighbour: str
    next_ones: list[str]
    still: bool = False


class Point:
    """An interface with its two sockets, and what was heard there."""

    def __init__(self, spec: Spec, space: Space, nonce: bytes) -> None:
        """Listen; raise OSError where there is no such interface."""
        self.spec, self.space = spec, space
        self.own: list[str] = []
        self.asked: set[str] = set(spec.questions)
        self.heard: dict[tuple[int, int, str], str] = {}
        self.answers: set[tuple[str, str]] = set()
        self.more = self.sent = 0
        self.control = False
        self.error = ""
        self.sockets: dict[int, socket.socket] = {}
        with space:
            self.index = socket.if_nametoindex(spec.interface)
            for kind in KINDS:
                made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
                made.setblocking(False)
                attach(made, self.index, nonce, kind, spec.hears, spec.controls)
                made.bind((spec.interface, kind))
                self.sockets[kind] = made
            self.proxies = _switched_on(spec.interface)
        self.mac: bytes = self.sockets[ETH_ARP].getsockname()[4]

    def send(self, kind: int, frame: bytes) -> None:
        """Send one frame; keep why that can't be done."""
        try:
            self.sockets[kind].send(frame)
            self.sent += 1
        except OSError as error:
            self.error = self.error or os.strerror(error.errno or 0)

    def ask_for_others(self) -> None:
        """Ask everybody for the neighbour, and the next ones by frames of their own for nobody.

        Without a mark: an ipvlan parent hands a request to the child whose address it asks for,
        whatever else its mode passes on (ipvlan_core.c, ipvlan_addr_lookup).
        """
        for wanted in self.spec.questions:
            frame = arp_request(self.mac, self.spec.address, wanted)
            if wanted == self.spec.neighbour:
                self.send(ETH_ARP, frame)
                continue
            for mac in self.spec.next_ones:
                self.send(ETH_ARP, bytes.fromhex(mac.replace(":", "")) + frame[6:])

    def say(self, nonce: bytes, mark: Mark, source: str, asked: str = "") -> None:
        """Send what goes to everybody, from ``source``; over IPv4 it asks for ``asked``."""
        words = marked(nonce, mark)
        if family_of(source) == 4:
            self.send(ETH_ARP, arp_request(self.mac, source, asked or source) + words)
        else:
            self.send(ETH_IPV6, to_all_nodes(self.mac, source, words))

    def ask(self, wanted: str) -> None:
        """Ask who has an address: by ARP or by neighbour discovery, from an address of its own."""
        self.asked.add(wanted)
        if family_of(wanted) == 4:
            own = next((one for one in self.own if family_of(one) == 4), ANYBODY)
            self.send(ETH_ARP, arp_request(self.mac, own, wanted))
            return
        six = [one for one in self.own if family_of(one) == 6]
        if six:
            source = next((one for one in six if one.startswith("fe8")), six[0])
            self.send(ETH_IPV6, solicitation(self.mac, source, wanted))

    def result(self) -> dict[str, Any]:
        """Return what was heard, and what the report says of the interface."""
        return {
            "stop": "",
            "heard": [[*key, mac] for key, mac in self.heard.items()],
            "answers": sorted(self.answers),
            "more": self.more,
            "control": self.control,
            "proxies": self.proxies,
            "reason": self.error,
        }


class Unplanned:
    """The phase: everybody speaks once, then those who heard too much ask back."""

    def __init__(self, station: Station) -> None:
        self.station = station
        spec = station.spec.get(WORD, {"points": [], "planned": {}, "alone": []})
        self.planned: dict[str, list[str]] = spec["planned"]
        self.alone: list[str] = spec["alone"]
        self.points: list[Point] = []
        self.failed: dict[int, str] = {}
        self.strays: dict[int, list[list[Any]]] = {}
        self.total = 0
        station.settle()
        self.last, self.round = time.monotonic(), station.round
        self.looked = self.over = self.told = False
        self.times = 0
        self.numbers: dict[str, set[int]] = {}
        spaces = {space.name: space for space in station.present()}
        for row in spec["points"]:
            one = Spec(*row)
            self.numbers.setdefault(one.space, set()).add(one.number)
            self.total = max(self.total, one.number)
            space = spaces.get(one.space)
            if space is None:
                self.failed[one.number] = station.missing.get(one.space, "it is missing")
                continue
            try:
                self.points.append(Point(one, space, station.nonce))
            except OSError as error:
                self.failed[one.number] = f"{one.interface}: {error}"
        for point in self.points:
            for kind, made in point.sockets.items():
                station.loop.watch(made, self.on_frame, (point, kind))
        self.over = not self.points
        self.waiting = list(self.points)

    @property
    def busy(self) -> int:
        """How many interfaces aren't done."""
        return 0 if self.over else len(self.points)

    @property
    def decided(self) -> int:
        """How many interfaces are done: they all are at once."""
        return len(self.points) if self.over else 0

    @property
    def eager(self) -> bool:
        """Whether there is something to send at once."""
        return bool(self.waiting)

    def step(self) -> None:
        """Send what is due; ask back once all was heard; it is over when that is answered."""
        if self.over:
            return
        if not self.looked:
            self.looked = True
            self._look_at_addresses()
        if self.waiting:
            for point in self.waiting[:BURST]:
                self._speak(point)
            del self.waiting[:BURST]
            self._sent()
        elif self._overdue():
            self._ask_back()

    def _sent(self) -> None:
        self.last, self.round = time.monotonic(), self.station.round

    def _overdue(self) -> bool:
        """Whether everybody has had their turn since the last frame was sent, and some time."""
        age = time.monotonic() - self.last
        if age > LIMIT * self.station.pace:
            return True
        return (
            self.station.round - self.round >= ROUNDS
            and age > LEAST[self.times] * self.station.pace
        )

    def _look_at_addresses(self) -> None:
        """Read which addresses each interface has, and which of those nobody planned."""
        by_space: dict[str, list[Point]] = {}
        for point in self.points:
            by_space.setdefault(point.space.name, []).append(point)
        for name, points in by_space.items():
            planned = {packed(one) for one in self.planned.get(name, [])}
            with contextlib.suppress(OSError):
                for address, index, for_a_while in rtnetlink.origins(points[0].space.netlink):
                    self._look_at(points, address, index, for_a_while, address in planned)

    def _look_at(
        self, points: list[Point], address: bytes, index: int, for_a_while: bool, planned: bool
    ) -> None:
        text = socket.inet_ntop(rtnetlink.SIZES[len(address)], address)
        here = next((point for point in points if point.index == index), None)
        if here:
            here.own.append(text)
        if planned or text.startswith(("127.", "fe8", "fe9", "fea", "feb")) or text == "::1":
            return
        first = points[0]
        interface = first.space.interface(index)
        if interface in self.alone and first.space is self.station.spaces[0]:
            return
        row = [text, interface, for_a_while]
        self.strays.setdefault((here or first).spec.number, []).append(row)

    def _speak(self, point: Point) -> None:
        """Send what goes out from one interface."""
        spec, nonce = point.spec, self.station.nonce
        if spec.still:
            return
        mark = Mark(spec.sort, spec.number, LEADING if spec.leads else 0)
        if spec.address:
            nobodys = (one for one in spec.questions if one != spec.neighbour)
            point.say(nonce, mark, spec.address, next(nobodys, spec.address))
            point.ask_for_others()
        local = next((one for one in point.own if one.startswith("fe8")), "")
        if local:
            point.say(nonce, mark, local)
        for address, interface, _ in self.strays.get(spec.number, []):
            stray = Mark(UNKNOWN, spec.number, UNPLANNED)
            if interface == spec.interface:
                point.say(nonce, stray, address)
                continue
            # An interface that nobody planned, too.
            with contextlib.suppress(OSError):
                row = spec._replace(interface=interface, hears=[], questions=[])
                Point(row, point.space, nonce).say(nonce, stray, address)

    def on_frame(self, subject: tuple[Point, int]) -> None:
        """Keep an answer to what was asked, and who else was heard that shouldn't be."""
        point, kind = subject
        while True:
            try:
                frame = point.sockets[kind].recv(512)
            except OSError:
                return
            mark = read_mark(self.station.nonce, frame, kind)
            if mark is None:
                found = arp_reply(frame) if kind == ETH_ARP else advertisement(frame[54:])
                if found and found[0] in point.asked:
                    point.answers.add((found[0], found[1]))
            elif mark.number not in self.numbers[point.spec.space]:
                self.hear(point, mark, source_of(frame, kind), readable(frame[6:12]))

    def hear(self, point: Point, mark: Mark, source: str, mac: str) -> None:
        """Keep a mark that came to an interface, unless it is as planned."""
        if mark.sort in point.spec.hears and not mark.flags & UNPLANNED:
            point.control = point.control or mark.sort in point.spec.controls
            return
        key = (mark.number, mark.flags & UNPLANNED, source)
        if key in point.heard:
            return
        if len(point.heard) >= HEARD:
            point.more += 1
            return
        point.heard[key] = mac

    def _ask_back(self) -> None:
        """Ask for the senders of what was heard, and once more for those that didn't answer."""
        left = [
            (point, address)
            for point in (self.points if self.times < TWICE else ())
            for address in self._to_confirm(point)
            if address not in {answered for answered, _ in point.answers}
        ]
        for point, address in left:
            point.ask(address)
        self.times += 1
        self.over = not left
        self._sent()

    def _to_confirm(self, point: Point) -> list[str]:
        """Return senders that were heard: those next in number, so that each is asked by some."""
        nearest = sorted(
            point.heard, key=lambda key: ((key[0] - point.spec.number) % (self.total + 1), key)
        )
        return [address for _, _, address in nearest[:CONFIRMED]]

    def cut(self) -> None:
        """Leave undecided what isn't decided yet: nobody knows what would have been heard."""
        if not self.over:
            self.failed |= {point.spec.number: "it was cut short" for point in self.points}
        self.over = True
        self.waiting.clear()

    def news(self, *, over: bool) -> list[Answer]:
        """Return what was heard at each interface, once the phase is over."""
        if not over or self.told:
            return []
        self.told = True
        rows = []
        for point in self.points:
            number = point.spec.number
            result = point.result() | {"strays": self.strays.get(number, [])}
            if number in self.failed:
                result["reason"] = self.failed[number]
            rows.append(Answer(number, WORD, point.sent, result))
        lost = set(self.failed) - {point.spec.number for point in self.points}
        return rows + [
            Answer(number, WORD, 0, {"stop": "", "reason": self.failed[number]})
            for number in sorted(lost)
        ]


def _switched_on(interface: str) -> bool:
    """Whether the kernel answers ARP for others there; the thread is in the namespace."""
    for path in (
        f"/proc/sys/net/ipv4/conf/{name}/{key}"
        for name in ("all", interface)
        for key in ("proxy_arp", "proxy_arp_pvlan")
    ):
        with contextlib.suppress(OSError), open(path, encoding="ascii") as value:
            if value.read().strip() != "0":
                return True
    return False
