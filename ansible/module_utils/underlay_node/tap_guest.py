"""The guests behind a node's taps: one process that copies frames both ways for all of them.

The kernel hands what reaches a macvtap or ipvtap device to a character device, which a virtual
machine is meant to open. Here the guest is a container: its network card is a TAP interface in
its namespace, and this program stands between the two, as qemu does between a tap and virtio.

It imports nothing of its package, since it is run from a file of its own. Standard input is
a listening Unix socket of packets. Each packet brings two descriptors, the character device's
and the TAP's, and is answered by ``TAKEN``. A pair ends with its TAP, and so with its container;
with the last pair the process ends, too.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys

TAKEN = b"taken"
# The largest IP packet and its header: the kernel reassembles multicast fragments on their
# way to a macvlan child (macvlan_handle_frame), so that a frame may be larger than any MTU.
LARGEST = 65535 + 18
# Frames of one end copied before the others have their turn.
BURST = 64
# Seconds without any pair before the process ends: the first one has to arrive.
PATIENCE = 60.0


class Relay:
    """Pairs of descriptors, and where each one's frames go."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._poll = select.epoll()
        self._clients: dict[int, socket.socket] = {}
        self._other: dict[int, int] = {}
        self._buffer = memoryview(bytearray(LARGEST))
        self._poll.register(listener, select.EPOLLIN)

    def run(self) -> None:
        """Copy frames until the last pair is gone and nobody is about to bring another."""
        while True:
            events = self._poll.poll(None if self._other or self._clients else PATIENCE)
            if not events:
                return
            for number, event in events:
                if not self._serve(number, event):
                    # The numbers of what was closed may be new ones' already; ask again.
                    break
            if not self._other and not self._clients and not self._awaited():
                return

    def _serve(self, number: int, event: int) -> bool:
        """Do what ``event`` asks for; whether nothing was closed meanwhile."""
        if number == self._listener.fileno():
            client, _ = self._listener.accept()
            self._clients[client.fileno()] = client
            self._poll.register(client, select.EPOLLIN)
        elif number in self._clients:
            return self._take(self._clients[number])
        elif number in self._other and (
            event & (select.EPOLLERR | select.EPOLLHUP) or not self._copy(number)
        ):
            self._drop(number)
            return False
        return True

    def _take(self, client: socket.socket) -> bool:
        """Take one pair from ``client``; false where it brings none and was closed."""
        try:
            _, received, _, _ = socket.recv_fds(client, 16, 2)
        except OSError:
            received = []
        if len(received) != 2:
            for descriptor in received:
                os.close(descriptor)
            self._poll.unregister(client)
            del self._clients[client.fileno()]
            client.close()
            return False
        tap, card = received
        self._other[tap], self._other[card] = card, tap
        for descriptor in received:
            os.set_blocking(descriptor, False)
            self._poll.register(descriptor, select.EPOLLIN)
        with contextlib.suppress(OSError):
            client.send(TAKEN)
        return True

    def _copy(self, source: int) -> bool:
        """Copy what waits at ``source``; whether there will ever be more."""
        target, buffer = self._other[source], self._buffer
        for _ in range(BURST):
            try:
                length = os.readv(source, [buffer])
            except BlockingIOError:
                return True
            except OSError:
                return False
            # A card that is down or whose queue is full loses frames, as any card does.
            with contextlib.suppress(OSError):
                os.write(target, buffer[:length])
        return True

    def _drop(self, number: int) -> None:
        for descriptor in (number, self._other[number]):
            self._poll.unregister(descriptor)
            del self._other[descriptor]
            os.close(descriptor)

    def _awaited(self) -> bool:
        """Whether somebody connected already; closing the listener would turn them away."""
        return bool(select.select([self._listener], [], [], 0)[0])


def main() -> int:
    """Relay for whoever connects to the socket on standard input."""
    listener = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    Relay(listener).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
