"""What all parts of the probe share on one node: its namespaces, its loop, its questions.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from underlay.observe.on_node import rtnetlink
from underlay.observe.on_node.cells import Cell
from underlay.observe.on_node.loop import Loop
from underlay.observe.on_node.namespaces import Missing
from underlay.observe.on_node.round_trips import RoundTrips
from underlay.observe.on_node.settings import Settings
from underlay.observe.on_node.spaces import Space

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    from underlay.observe.on_node.question import Question

SETTLE = 3.0  # s that new IPv6 addresses may take until nobody objects to them


class Station:
    """A node that takes part: ``spaces`` in the specification's order, None where missing.

    ``round`` is the last round that the caller began. ``cells`` are those about reachability,
    ``checks`` those of each check. ``heard`` holds the addresses to which
    one was seen from here, and the node's own, to which no way leads over a wire; ``waited``
    those to which none was seen, however long. ``idle`` holds sockets for datagrams that are as
    good as new, by namespace and source address. ``theirs`` are the numbers of the cells that a
    program of the user's own answers, by protocol. In a network that is in use it is ``warm``: no
    table is emptied and no setting changed, and ``rate`` packets a second leave at most.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.nonce = spec["nonce"].encode()
        self.port: int = spec["port"]
        self.cells = [Cell(*row) for row in spec["cells"]]
        self.checks = {
            check: [Cell(*row) for row in rows] for check, rows in spec["values"].items()
        }
        self.theirs = {word: set(found) for word, found in spec.get("theirs", {}).items()}
        self.pace: float = spec["pace"]
        self.warm: bool = spec.get("warm", False)
        self.rate: float = spec.get("rate", 0.0)
        self._due = 0.0
        self.loop = Loop()
        self.spaces: list[Space | None] = []
        self.settings: list[Settings] = []
        self.missing: dict[str, str] = {}
        self.flying: dict[tuple[int, str], Question] = {}
        self.round = 0
        self.round_trips = RoundTrips()
        self.waited: set[str] = set()
        self.idle: dict[tuple[str, str], list[socket.socket]] = {}
        self.heard: set[str] = {cell.source for cell in self.cells}

    def open(self) -> None:
        """Enter and listen in every namespace, change settings, empty all neighbour tables."""
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        port, families = self.spec["port"], self.spec["families"]
        for name, kind, path, *listens in self.spec["spaces"]:
            try:
                self.spaces.append(Space(name, kind, path, home, port, families, listens))
            except (Missing, OSError) as error:
                self.spaces.append(None)
                self.missing[name] = str(error)
        if 6 in families:
            self.settle()
        for space in [] if self.warm else self.present():
            with space:
                self.settings.append(Settings())
        self.forget()

    def close(self) -> None:
        """Leave every namespace as it was found."""
        for settings in self.settings:
            settings.restore()

    def forget(self, spaces: Iterable[Space] | None = None) -> None:
        """Empty the neighbour tables of ``spaces``, or of all namespaces; of warm ones none.

        With a neighbour that was never found go the packets that waited for it, and their senders
        are told. An ipvlan l3 child can't be: its node looks for it on the wire, where nobody
        answers, and what it has to say waits for three seconds. It waits at the cost of the socket
        by which that kernel sends all echo replies, which has room for some 300 packets
        (net/ipv4/arp.c, arp_error_report; net/ipv4/icmp.c, icmp_init and icmp_push_reply). So what
        emptying a table has put into it is taken out as well.
        """
        if self.warm:
            return
        for space in self.present() if spaces is None else spaces:
            with contextlib.suppress(OSError):
                if rtnetlink.flush(space.netlink):
                    rtnetlink.flush(space.netlink)

    def forget_routes(self) -> None:
        """Take back what routers' redirects have changed of all namespaces' routes."""
        for space in [] if self.warm else self.present():
            space.forget_routes()

    def present(self) -> list[Space]:
        """Return the namespaces that are there."""
        return [space for space in self.spaces if space]

    def may_send(self) -> bool:
        """Whether one more packet may leave by now, as far as there is a rate."""
        return not self.rate or time.monotonic() >= self._due

    def sends(self) -> None:
        """Count a packet that leaves."""
        if self.rate:
            self._due = max(self._due, time.monotonic()) + 1 / self.rate

    def learn(self, seconds: float, question: Question | None = None) -> None:
        """Keep how long a round trip took, and to whom it was."""
        self.round_trips.learn(seconds)
        if question:
            self.heard.add(question.destination)

    def settle(self) -> None:
        """Wait until no IPv6 address is tentative: the kernel doesn't send from one, nor answer."""
        until = time.monotonic() + SETTLE * self.pace
        waiting = self.present()
        while waiting and time.monotonic() < until:
            waiting = [
                space
                for space in waiting
                if any(tentative for _, tentative in rtnetlink.addresses(space.netlink).values())
            ]
            if waiting:
                time.sleep(0.05)
