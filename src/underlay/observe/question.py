"""One cell and one protocol: what was sent, when, and what came of it.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from underlay.observe.namespaces import Space

ECHO_REPLY, UNREACHABLE, ECHO = 0, 3, 8
REFUSING_CODES = (3, 9, 10, 13)  # of ICMP unreachable: port, or administratively prohibited
IP_RECVERR, FROM_ICMP = 11, 2
NO_ROUTE = (errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EACCES, errno.EINVAL)


class Question:
    """What is asked of one cell; ``sent`` holds the time of each packet, in seconds."""

    def __init__(self, cell: list[Any], protocol: str, space: Space | None) -> None:
        self.number, _, self.source, self.destination, _ = cell
        self.protocol, self.space = protocol, space
        self.sent: list[float] = []
        self.resent = 0
        self.connected = 0.0
        self.socket: socket.socket | None = None
        self.result: dict[str, Any] | None = None

    def comes_from(self, space: Space, sender: str) -> bool:
        """Return whether an answer that ``space`` got from ``sender`` can be this one's."""
        return self.space is space and self.destination == sender

    def finish(self, stop: str, **result: object) -> None:
        """Keep the result; the first one holds. An empty ``stop`` is decided later."""
        if self.result is None:
            self.result = dict(result, stop=stop)

    def send(self, payload: bytes) -> None:
        """Send one packet over UDP, or as an ICMP echo request; raise OSError."""
        self.sent.append(time.monotonic())
        if self.socket:
            self.socket.send(payload)
        elif self.space:
            packet = echo(self.number & 0xFFFF, len(self.sent), payload)
            self.space.echo_sender(self.source).sendto(packet, (self.destination, 0))

    def failed(self, error: OSError, sending: bool) -> None:
        """Translate an error of the kernel's into where the question stopped."""
        number, text = error.errno, os.strerror(error.errno or 0)
        if number == errno.EADDRNOTAVAIL:
            text = (
                f"nothing can be sent from {self.source}: its link is down or the address is gone"
            )
        if number == errno.ECONNREFUSED:
            self.finish("refused", reason=text)
        elif number in NO_ROUTE or (sending and number == errno.EHOSTUNREACH):
            self.finish("no_route", reason=text)
        elif number == errno.EHOSTUNREACH:
            self.finish("no_neighbour", reason=text)
        else:
            self.finish("no_answer", reason=text)

    def refused(self, error: OSError) -> None:
        """Tell an error that came back over the network by what the ICMP message said."""
        assert self.socket is not None
        with contextlib.suppress(OSError):
            for _, kind, data in self.socket.recvmsg(512, 256, socket.MSG_ERRQUEUE)[1]:
                if kind == IP_RECVERR and data[4:6] == bytes((FROM_ICMP, UNREACHABLE)):
                    self.unreachable(data[6], socket.inet_ntoa(data[20:24]))
        self.failed(error, sending=False)

    def unreachable(self, code: int, sender: str) -> None:
        """Translate an ICMP unreachable message into where the probe stopped."""
        text = f"ICMP unreachable, code {code}, from {sender}"
        if code in REFUSING_CODES:
            self.finish("refused", reason=text)
        elif sender != self.source:
            self.finish("no_answer", reason=text)
        else:
            self.finish("no_neighbour", reason=text)

    def answered(self, by: str, attempt: int, arrived: float) -> None:
        """Keep that ``by`` answered the attempt; an ICMP answer doesn't say by whom."""
        rtt = round((arrived - self.sent[attempt]) * 1000, 3)
        self.finish("", by=by, attempt=attempt, lost=self.resent or attempt, rtt=rtt)

    def count_resent(self) -> None:
        """Ask the kernel how often it resent this question's TCP segments (struct tcp_info)."""
        if self.protocol == "tcp" and self.socket:
            info = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
            self.resent = struct.unpack_from("=I", info, 100)[0] if len(info) == 104 else 0


def echo(identity: int, sequence: int, payload: bytes) -> bytes:
    """Return an ICMP echo request (RFC 792) with its checksum (RFC 1071)."""
    data = struct.pack("!BBHHH", ECHO, 0, 0, identity, sequence) + payload
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    total = (total >> 16) + (total & 0xFFFF)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    return data[:2] + struct.pack("!H", checksum) + data[4:]
