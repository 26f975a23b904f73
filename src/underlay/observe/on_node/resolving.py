"""Asks by ARP or neighbour discovery who has an address, and keeps every answer.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.

The kernel takes the last answer and says nothing of others. These requests are
sent by hand, so that two owners of one address show. Neighbours are forgotten before:
a kernel that knows one asks it by unicast whether it is still there, and that request
passes where a broadcast doesn't (Linux net/ipv4/arp.c, arp_solicit).
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from underlay.observe.on_node import rtnetlink
from underlay.observe.on_node.asking import GIVE_UP, RESEND, overdue
from underlay.observe.on_node.cells import Answer
from underlay.observe.on_node.packets import ETH_ARP, advertisement, arp_reply, packed
from underlay.observe.on_node.renewing import ask

if TYPE_CHECKING:
    from underlay.observe.on_node.cells import Cell
    from underlay.observe.on_node.spaces import Space
    from underlay.observe.on_node.station import Station

BURST = 24  # requests sent before answers are read again


class Resolving:
    """Sends each cell's request, and once more where nobody answers."""

    def __init__(self, station: Station, cells: list[Cell], check: str) -> None:
        self.station, self.check = station, check
        self.cells = cells
        self.waiting = list(cells)
        self.watched: set[socket.socket] = set()
        self.sent: dict[int, list[float]] = {cell.number: [] for cell in cells}
        self.round: dict[int, int] = {}
        self.results: dict[int, dict[str, Any] | None] = {}
        self.told = 0
        # By namespace, interface, address, and who asked. An ARP reply says that, and comes to the
        # interface; an advertisement says nothing, and is heard by the namespace.
        self.answers: dict[tuple[str, int, str, str], Counter[str]] = {}
        self.by: dict[int, int] = {}
        asking = (station.spaces[place] for place in {cell.space for cell in cells})
        station.forget(space for space in asking if space)

    @property
    def busy(self) -> int:
        """How many cells aren't decided yet."""
        return len(self.cells) - len(self.results)

    @property
    def eager(self) -> bool:
        """Whether there is something to send at once."""
        return bool(self.waiting)

    def step(self) -> None:
        """Send some requests; decide what has had the time to be answered."""
        for cell in self.waiting[:BURST]:
            self.send(cell)
        del self.waiting[:BURST]
        now = time.monotonic()
        for cell in self.cells:
            number, sent = cell.number, self.sent[cell.number]
            if number in self.results or not sent:
                continue
            least = RESEND if len(sent) == 1 else GIVE_UP
            if not overdue(self.station, self.round[number], now - sent[-1], least):
                continue
            space = self.station.spaces[cell.space]
            asker = cell.source if self.check == "arp" else ""
            by = self.by.get(number, 0)
            name = space.name if space else ""
            found = self.answers.get((name, by, cell.destination, asker), Counter())
            if found or len(sent) > 1:
                lost = max(0, len(sent) - max(found.values())) if found else 0
                self.results[number] = {"stop": "", "macs": sorted(found), "lost": lost}
            else:
                self.send(cell)

    def send(self, cell: Cell) -> None:
        """Send the cell's request from the interface that leads to its destination."""
        number, destination = cell.number, cell.destination
        space = self.station.spaces[cell.space]
        if space is None:
            self.results[number] = {"stop": "not_measured"}
            return
        self.sent[number].append(time.monotonic())
        self.round[number] = self.station.round
        try:
            hop = rtnetlink.next_hop(space.netlink, packed(destination))
            if hop is None:
                raise OSError("the address is its own")
            self.listen(space, hop[0])
            self.by[number] = 0 if self.check == "nd" else hop[0]
            ask(space, hop[0], cell.source, destination)
        except OSError as error:
            self.results[number] = {"stop": "no_route", "macs": [], "reason": str(error)}

    def listen(self, space: Space, index: int) -> None:
        """Take ARP replies on one interface, or a namespace's neighbour advertisements."""
        made = space.icmp_again() if self.check == "nd" else space.packet_socket(index, ETH_ARP)
        asked = 0 if self.check == "nd" else index
        if made not in self.watched:
            self.watched.add(made)
            self.station.loop.watch(made, self.on_answer, (space, made, asked))

    def on_answer(self, subject: tuple[Space, socket.socket, int]) -> None:
        """Keep who says to have which address, and by which interface: the kernel takes no other's.

        A reply to somebody else comes by, too: an ipvlan parent takes in what its children send
        to no address of theirs.
        """
        space, made, index = subject
        while True:
            try:
                data = made.recv(512)
            except OSError:
                return
            found = advertisement(data) if self.check == "nd" else arp_reply(data)
            if found:
                address, mac, *asker = found
                key = (space.name, index, address, asker[0] if asker else "")
                self.answers.setdefault(key, Counter())[mac] += 1

    @property
    def decided(self) -> int:
        """How many cells are decided."""
        return len(self.results)

    def cut(self) -> None:
        """Leave undecided what isn't decided yet: its row has no result."""
        self.waiting.clear()
        for cell in self.cells:
            self.results.setdefault(cell.number, None)

    def news(self, *, over: bool) -> list[Answer]:
        """Return what came of each cell that wasn't told yet; no later answer changes it."""
        fresh = list(self.results.items())[self.told :]
        self.told = len(self.results)
        return [Answer(n, self.check, len(self.sent[n]), result) for n, result in fresh]
