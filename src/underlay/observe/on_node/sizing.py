"""Finds the largest packet that arrives without being taken apart.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.

Datagrams with DF set can't be merged by offloading, and no cached path MTU is asked
(ip(7), IP_PMTUDISC_PROBE): each is sent as it is, or refused by its own interface.

Where a datagram arrives and its answer doesn't, only the receiver knows. Then the sizes of all
interfaces of the lab are tried, and one byte more: it is one of them that a way is narrow by.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from underlay.observe.on_node.asking import GIVE_UP, RESEND, overdue
from underlay.observe.on_node.cells import Answer
from underlay.observe.on_node.packets import family_of, read_token, token
from underlay.observe.on_node.renewing import renew

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.observe.on_node.cells import Cell
    from underlay.observe.on_node.spaces import Space
    from underlay.observe.on_node.station import Station

# Of a family: level, its option MTU_DISCOVER, its option MTU.
OPTIONS = {4: (socket.IPPROTO_IP, 10, 14), 6: (socket.IPPROTO_IPV6, 23, 24)}
PROBE = 3
HEADERS = {4: 28, 6: 48}
LEAST = {4: 68, 6: 1280}  # RFC 791, RFC 8200
PARTS = 16  # sizes tried at once
BURST = 8


class _Search:
    """One cell: ``low`` arrived, ``high`` doesn't; ``tried`` are the sizes under way, in order."""

    def __init__(
        self,
        cell: Cell,
        made: socket.socket,
        largest: int,
        sizes: Sequence[int] = (),
        space: Space | None = None,
    ) -> None:
        self.number, self.destination = cell.number, cell.destination
        self.source, self.space = cell.source, space
        self.made, self.sizes = made, sizes
        self.low, self.high, self.over = 0, largest + 1, largest + 1
        self.tried: list[int] = [largest]
        self.sent: list[float] = []
        self.round = 0
        self.packets = 0

    def arrived(self, size: int) -> None:
        """Note that ``size`` arrived. It may come late, when it is held for too large already."""
        self.low = max(self.low, size)
        if self.low >= self.high:
            self.high = self.over

    def next_sizes(self, least: int) -> list[int]:
        """Return the sizes to try next; none where the answer is certain."""
        low = max(self.low, least - 1)
        if self.high - low <= 1:
            return []
        step = max(1, (self.high - low) // PARTS)
        found = [*range(low + step, self.high, step)][:PARTS]
        if self.low:
            return found
        near = {size + more for size in self.sizes for more in (0, 1)}
        return sorted({*found, *(size for size in near if low < size < self.high)})


class Sizing:
    """Tries each cell with the largest packet its interface sends, then with smaller ones."""

    def __init__(self, station: Station, cells: list[Cell], check: str) -> None:
        self.station, self.check = station, check
        self.cells = cells
        self.waiting = list(cells)
        self.searches: dict[int, _Search] = {}
        self.results: list[Answer] = []
        self.told = 0

    @property
    def busy(self) -> int:
        """How many cells aren't decided yet."""
        return len(self.waiting) + len(self.searches)

    @property
    def eager(self) -> bool:
        """Whether there is something to send at once."""
        return bool(self.waiting)

    def step(self) -> None:
        """Begin some searches, and continue those whose last packets arrived or are overdue."""
        for cell in self.waiting[:BURST]:
            self.begin(cell)
        del self.waiting[:BURST]
        now = time.monotonic()
        unanswered: list[_Search] = []
        for search in list(self.searches.values()):
            if search.low >= search.tried[-1]:
                self.lead(search)
                continue
            least = RESEND if len(search.sent) == 1 else GIVE_UP
            if overdue(self.station, search.round, now - search.sent[-1], least):
                if len(search.sent) == 1:
                    unanswered.append(search)
                else:
                    search.high = min(size for size in search.tried if size > search.low)
                    self.lead(search)
        if unanswered:
            renew(self.station, unanswered)
            for search in unanswered:
                self.send(search)

    def begin(self, cell: Cell) -> None:
        """Open the cell's socket, and send as much as its interface takes."""
        space = self.station.spaces[cell.space]
        if space is None:
            self.results.append(Answer(cell.number, self.check, 0, {"stop": "not_measured"}))
            return
        family = family_of(cell.destination)
        level, discover, mtu = OPTIONS[family]
        try:
            made = space.open(socket.SOCK_DGRAM, family)
            made.setsockopt(level, discover, PROBE)
            made.bind(space.place(cell.source, cell.source, 0))
            made.connect(space.place(cell.source, cell.destination, self.station.port))
            sizes = self.station.spec.get("sizes", ())
            search = _Search(cell, made, made.getsockopt(level, mtu), sizes, space)
        except OSError as error:
            result = {"stop": "no_route", "reason": str(error)}
            self.results.append(Answer(cell.number, self.check, 0, result))
            return
        self.searches[search.number] = search
        self.station.loop.watch(made, self.on_answer, search)
        self.send(search)

    def lead(self, search: _Search) -> None:
        """Try the next sizes; where there are none the search is over."""
        search.tried = search.next_sizes(LEAST[family_of(search.destination)])
        search.sent = []
        if search.tried:
            self.send(search)
            return
        self.results.append(Answer(search.number, self.check, search.packets, {"stop": ""}))
        self.station.loop.close(search.made)
        del self.searches[search.number]

    def send(self, search: _Search) -> None:
        """Send one datagram of each size that is tried."""
        search.sent.append(time.monotonic())
        search.round = self.station.round
        room = HEADERS[family_of(search.destination)]
        for size in search.tried:
            words = token(self.station.nonce, search.number, self.check, size) + b" "
            search.packets += 1
            try:
                search.made.send(words.ljust(size - room, b"."))
            except OSError:
                continue  # larger than the interface's MTU, or nobody to send it to

    def on_answer(self, search: _Search) -> None:
        """The receiver names the size that it got."""
        while True:
            try:
                found = read_token(self.station.nonce, search.made.recv(512))
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error about an earlier packet
            if found and (found.number, found.protocol) == (search.number, self.check):
                search.arrived(found.attempt)

    @property
    def decided(self) -> int:
        """How many cells are decided."""
        return len(self.results)

    def cut(self) -> None:
        """Leave undecided what isn't decided yet: its row has no result."""
        left = [cell.number for cell in self.waiting] + list(self.searches)
        for search in self.searches.values():
            self.station.loop.close(search.made)
        self.waiting.clear()
        self.searches.clear()
        self.results += [Answer(number, self.check, 0, None) for number in left]

    def news(self, *, over: bool) -> list[Answer]:
        """Return what came of each cell that wasn't told yet; no later answer changes it."""
        fresh, self.told = self.results[self.told :], len(self.results)
        return fresh
