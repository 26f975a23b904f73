"""A network namespace while it is measured: the sockets that listen and send in it.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections import Counter
from typing import TYPE_CHECKING, Any

from underlay.observe.on_node import rtnetlink
from underlay.observe.on_node.cells import Received
from underlay.observe.on_node.namespaces import enter, opened
from underlay.observe.on_node.packets import family_of, is_link_local, packed, ported
from underlay.observe.on_node.socket_options import keep_unread

if TYPE_CHECKING:
    from collections.abc import Iterable

INET = {4: socket.AF_INET, 6: socket.AF_INET6}
ICMP = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}
IP_PKTINFO = 8
IPV6_RECVPKTINFO, IPV6_PKTINFO = 49, 50
# What it is written to forgets the namespace's exceptions to its routes (ip-sysctl.rst, route).
ROUTE_FLUSH = {4: "/proc/sys/net/ipv4/route/flush", 6: "/proc/sys/net/ipv6/route/flush"}
# Sockets made at once: each entering and leaving of a namespace is two calls.
BATCH = 8
# s for which the kernel keeps a connection to itself until its request is there, tcp(7).
DEFER = 3
AT_ONCE = struct.pack("ii", 1, 0)  # struct linger, socket(7)
ICMP_FILTER = 1
SOL_RAW = 255
NOTHING = struct.pack("=I", 0xFFFFFFFF)


class Space:
    """A network namespace: its listening sockets, and which probes they received.

    ``received`` holds what was received, by protocol. ``icmp`` holds a socket for each address
    family, ``udp`` and ``tcp`` one for each family and port. How many first segments of TCP and
    how many connections came to each of those in this phase is in ``first_segments`` and
    ``connections``. ``with space:`` enters the namespace, so that sockets made there belong to it.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        path: str,
        home: int,
        port: int,
        families: Iterable[int],
        listens: Iterable[str] = (),
    ) -> None:
        """Enter and listen; raise Missing or OSError.

        ``home`` is the node's own namespace. ``listens`` are further ports, as tcp:5432.
        """
        self.name = name
        self.received: dict[str, list[Received]] = {}
        self.icmp: dict[int, socket.socket] = {}
        self.udp: dict[tuple[int, int], socket.socket] = {}
        self.tcp: dict[tuple[int, int], socket.socket] = {}
        self._senders: dict[str, socket.socket] = {}
        self._indexes: dict[str, int] = {}
        self._packet: dict[tuple[int, int], socket.socket] = {}
        self._icmp_again: socket.socket | None = None
        self._fresh: dict[tuple[int, int], list[socket.socket]] = {}
        self._flushes: dict[int, int] = {}
        self.first_segments: Counter[tuple[int, int]] = Counter()
        self.connections: Counter[tuple[int, int]] = Counter()
        self._home = home
        self._own = home if kind == "node" else opened(name, kind, path)
        with self:
            self.netlink = rtnetlink.connect()
            for family in families:
                with contextlib.suppress(OSError):  # where that isn't allowed
                    self._flushes[family] = os.open(ROUTE_FLUSH[family], os.O_WRONLY)
                self._listen(family, port)
                for protocol in listens:
                    word, chosen = ported(protocol)
                    if word == "tcp":
                        self.tcp[family, chosen] = listening(family, chosen)
                    else:
                        self.udp[family, chosen] = taking(family, chosen)

    def _listen(self, family: int, port: int) -> None:
        icmp = self.icmp[family] = quiet(socket.SOCK_RAW, ICMP[family], INET[family])
        keep_unread(icmp)
        self.udp[family, port] = taking(family, port)
        self.tcp[family, port] = listening(family, port)

    def half_made(self) -> list[tuple[int, int]]:
        """Return the family and port of each TCP socket that may hold a connection half made.

        It holds none where each first segment that came has become a connection.
        """
        return [key for key in self.tcp if self.first_segments[key] != self.connections[key]]

    def listen_anew(self, family: int, port: int) -> socket.socket:
        """Return a new TCP socket that listens, once the old one is closed; raise OSError.

        A connection that is half made ends with the socket that it came to, and not before
        (Linux net/ipv4/inet_connection_sock.c, reqsk_timer_handler). Until then the kernel repeats
        its part of it for a minute, and looks for a neighbour each time. Whoever hears that has
        found one as well.
        """
        with self:
            made = self.tcp[family, port] = listening(family, port)
        return made

    def __enter__(self) -> None:
        if self._own != self._home:
            enter(self._own)

    def __exit__(self, *_: object) -> None:
        if self._own != self._home:
            enter(self._home)

    def open(self, kind: int, family: int) -> socket.socket:
        """Return a non-blocking socket of this namespace."""
        fresh = self._fresh.setdefault((kind, family), [])
        if not fresh:
            with self:
                fresh += [quiet(kind, 0, INET[family]) for _ in range(BATCH)]
        return fresh.pop()

    def place(self, source: str, address: str, port: int) -> tuple[str, int] | tuple[Any, ...]:
        """Return ``address`` and ``port`` as sockets of this namespace take them; raise OSError.

        A link-local address needs an interface: the one that has ``source``.
        """
        if not is_link_local(address):
            return address, port
        if source not in self._indexes:
            found = rtnetlink.addresses(self.netlink).get(packed(source))
            if found is None:
                raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
            self._indexes[source] = found[0]
        return address, port, 0, self._indexes[source]

    def echo_sender(self, address: str) -> socket.socket:
        """Return the raw socket that sends ICMP from ``address``; raise OSError."""
        if address not in self._senders:
            family = family_of(address)
            with self:
                made = quiet(socket.SOCK_RAW, ICMP[family], INET[family])
            if family == 6:
                made.setsockopt(socket.IPPROTO_ICMPV6, ICMP_FILTER, NOTHING * 8)
            else:
                made.setsockopt(SOL_RAW, ICMP_FILTER, NOTHING)
            made.bind(self.place(address, address, 0))
            self._senders[address] = made
        return self._senders[address]

    def forget_routes(self) -> None:
        """Take back what redirects have changed of the routes; nothing where that isn't allowed.

        IPv6 goes by the age, in ticks, that was written the time before (Linux net/ipv6/route.c,
        ipv6_sysctl_rtcache_flush).
        """
        for family, flush in self._flushes.items():
            for _ in range(2 if family == 6 else 1):
                with contextlib.suppress(OSError):
                    os.pwrite(flush, b"1", 0)

    def packet_socket(self, index: int, kind: int) -> socket.socket:
        """Return a socket for whole frames of one type on one interface; raise OSError."""
        if (index, kind) not in self._packet:
            with self:
                name = socket.if_indextoname(index)
                made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            made.setblocking(False)
            made.bind((name, kind))
            self._packet[index, kind] = made
        return self._packet[index, kind]

    def frames(self, kind: int) -> socket.socket:
        """Return a socket for what this namespace's stack takes in, without its link header."""
        with self:
            made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(kind))
        made.setblocking(False)
        return made

    def icmp_again(self) -> socket.socket:
        """Return a second socket for all ICMPv6 that reaches this namespace, always the same."""
        if self._icmp_again is None:
            with self:
                self._icmp_again = quiet(socket.SOCK_RAW, ICMP[6], INET[6])
        return self._icmp_again

    def interface(self, index: int) -> str:
        """Return the name of an interface of this namespace; empty where it is gone."""
        with self:
            try:
                return socket.if_indextoname(index)
            except OSError:
                return ""

    def record(self, protocol: str, number: int, attempt: int, detail: str = "") -> None:
        """Keep that a probe of ``protocol`` was received here."""
        self.received.setdefault(protocol, []).append(Received(number, attempt, detail))


def taking(family: int, port: int) -> socket.socket:
    """Return a UDP socket of the current namespace that takes what is sent to a port."""
    udp = quiet(socket.SOCK_DGRAM, 0, INET[family])
    if family == 6:
        udp.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    else:
        udp.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    keep_unread(udp)
    udp.bind(("", port))
    return udp


def listening(family: int, port: int) -> socket.socket:
    """Return a TCP socket of the current namespace that listens on a port."""
    tcp = quiet(socket.SOCK_STREAM, 0, INET[family])
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == 6:
        tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    tcp.bind(("", port))
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, DEFER)
    tcp.listen(1024)
    return tcp


def abort(made: socket.socket) -> None:
    """Have the closing of a TCP socket end its connection at once, for both ends."""
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)


def quiet(kind: int, protocol: int = 0, family: int = socket.AF_INET) -> socket.socket:
    """Return a non-blocking socket of the current namespace."""
    return socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)


def drain(raw: socket.socket) -> list[tuple[bytes, str]]:
    """Return all packets that wait in a raw socket, each with its sender's address."""
    packets: list[tuple[bytes, str]] = []
    while True:
        try:
            data, sender = raw.recvfrom(2048)
            packets.append((data, sender[0]))
        except OSError:
            return packets
