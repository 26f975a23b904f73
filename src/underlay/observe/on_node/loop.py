"""Waits for many sockets at once, with as few calls to the kernel as that takes.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.

On a User Mode Linux node each call costs some 25 µs, a hundred times what it costs
elsewhere, and most of a measurement is calls. So a socket is never taken out: closing it
does that, epoll(7). And one whose work is over may be handed to other work as it is.
"""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    Act = Callable[[Any], object]


class Loop:
    """The sockets that are waited for, and what is done with each that is ready.

    ``now`` is the time in seconds, monotonic, at which those that are being handled were found.
    """

    def __init__(self) -> None:
        self.now = time.monotonic()
        self._epoll = select.epoll()
        self._acts: dict[int, tuple[Act, Any]] = {}

    def watch(self, made: socket.socket | int, act: Act, subject: object) -> None:
        """Call ``act`` with ``subject`` for as long as ``made`` can be read."""
        self._add(made, act, subject, select.EPOLLIN)

    def follow(self, made: socket.socket, act: Act, subject: object) -> None:
        """Call ``act`` with ``subject`` each time that something changes about ``made``."""
        self._add(made, act, subject, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)

    def hand(self, made: socket.socket, act: Act, subject: object) -> None:
        """Have a socket that is watched already call ``act`` with ``subject`` from now on."""
        self._acts[made.fileno()] = (act, subject)

    def close(self, made: socket.socket) -> None:
        """Close a socket, which ends the waiting for it."""
        self._acts.pop(made.fileno(), None)
        made.close()

    def turn(self, wait: float) -> None:
        """Handle whatever is ready, waiting at most ``wait`` seconds for it.

        A number may have been closed and given to another socket since it was found. Its
        act is called in vain then, so acts mustn't rely on there being something.
        """
        found = self._epoll.poll(wait)
        self.now = time.monotonic()
        for number, _ in found:
            known = self._acts.get(number)
            if known:
                known[0](known[1])

    def _add(self, made: socket.socket | int, act: Act, subject: object, events: int) -> None:
        number = made if isinstance(made, int) else made.fileno()
        self._acts[number] = (act, subject)
        self._epoll.register(number, events)
