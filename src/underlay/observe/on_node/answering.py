"""Answers the probes that reach a node's namespaces, and matches the answers to its own.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from underlay.observe.on_node.hearing import watch
from underlay.observe.on_node.packets import (
    ECHO,
    ECHO6,
    ECHO_REPLY,
    ECHO_REPLY6,
    UNREACHABLE,
    UNREACHABLE6,
    read_token,
)
from underlay.observe.on_node.spaces import IP_PKTINFO, IPV6_PKTINFO, abort, drain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.observe.on_node.packets import Token
    from underlay.observe.on_node.spaces import Space
    from underlay.observe.on_node.station import Station

# Datagrams that nobody answers: they went to everybody.
TO_ALL = ("broadcast", "multicast")


class Answering:
    """Listens in all namespaces of ``station`` for as long as the probe runs.

    ``checks`` are those that are going to be made.
    """

    def __init__(self, station: Station, checks: Iterable[str]) -> None:
        self.station = station
        self.unread: set[socket.socket] = set()
        if "macs" in checks:
            watch(station)
        for space in station.present():
            for family, made in space.icmp.items():
                station.loop.watch(made, self.on_icmp, (space, family))
            for (family, _), made in space.udp.items():
                station.loop.watch(made, self.on_udp, (space, family, made))
            for key, made in space.tcp.items():
                station.loop.watch(made, self.on_tcp, (space, made, key))

    def leave(self) -> None:
        """End a phase: drop connections that are half made, or by which nobody has asked yet."""
        loop = self.station.loop
        for space in self.station.present():
            for key in space.half_made():
                loop.close(space.tcp[key])
                made = space.listen_anew(*key)
                loop.watch(made, self.on_tcp, (space, made, key))
            space.first_segments.clear()
            space.connections.clear()
        for made in self.unread:
            abort(made)
            loop.close(made)
        self.unread.clear()

    def on_icmp(self, subject: tuple[Space, int]) -> None:
        """Record the requests that reached this space; match answers and ICMP errors."""
        space, family = subject
        station = self.station
        request, reply = (ECHO6, ECHO_REPLY6) if family == 6 else (ECHO, ECHO_REPLY)
        for packet, sender in drain(space.icmp[family]):
            head = 0 if family == 6 else (packet[0] & 15) * 4  # raw IPv6 shows no header
            kind, body = packet[head], packet[head + 8 :]
            if kind == (UNREACHABLE6 if family == 6 else UNREACHABLE):
                self.on_unreachable(space, family, body, packet[head + 1], sender)
                continue
            token = read_token(station.nonce, body)
            if token is None:
                continue
            if kind == request:
                space.record("icmp", token.number, token.attempt)
                continue
            question = station.flying.get((token.number, "icmp"))
            if not question or not question.is_about(token):
                continue
            if kind == reply and question.comes_from(space, sender) and question.open:
                took = question.answered("", token.attempt - question.first, station.loop.now)
                station.learn(took, question)

    def on_unreachable(
        self, space: Space, family: int, quoted: bytes, code: int, sender: str
    ) -> None:
        """An ICMP error that quotes one of our echo requests says where it stopped."""
        if len(quoted) < 48:
            return
        inner = 40 if family == 6 else (quoted[0] & 15) * 4
        token = read_token(self.station.nonce, quoted[inner + 8 :])
        if token and token.protocol == "icmp":
            question = self.station.flying.get((token.number, "icmp"))
            if question and question.space is space and question.is_about(token):
                question.unreachable(code, sender)

    def on_udp(self, subject: tuple[Space, int, socket.socket]) -> None:
        """Answer each datagram of ours with this space's name, from the address it came to."""
        space, family, listening = subject
        while True:
            try:
                data, extra, _, sender = listening.recvmsg(512, 64)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error about an earlier answer
            token = read_token(self.station.nonce, data)
            if token is None:
                continue
            if family == 6:
                info = next(row[2] for row in extra if row[1] == IPV6_PKTINFO)
                index = struct.unpack_from("=i", info, 16)[0]
                own = (socket.IPPROTO_IPV6, IPV6_PKTINFO, info[:16] + bytes(4))
            else:
                info = next(row[2] for row in extra if row[1] == IP_PKTINFO)
                index = struct.unpack_from("=i", info)[0]
                own = (socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=i4s4x", 0, info[8:12]))
            self.record(space, token, sender[0], index)
            if token.protocol in TO_ALL:
                continue
            words = b" ".join(data.split(b" ", 5)[:5])
            try:
                listening.sendmsg([words, b" ", space.name.encode()], [own], 0, sender)
            except OSError:
                continue  # no way back

    def record(self, space: Space, token: Token, sender: str, index: int) -> None:
        """Keep that a datagram was received, with what its check asks about."""
        detail = ""
        if token.protocol == "source":
            detail = sender
        elif token.protocol in TO_ALL:
            detail = space.interface(index)
        space.record(token.protocol, token.number, token.attempt, detail)

    def on_tcp(self, subject: tuple[Space, socket.socket, tuple[int, int]]) -> None:
        """Take new connections."""
        space, listening, key = subject
        while True:
            try:
                made, _ = listening.accept()
            except OSError:
                return
            space.connections[key] += 1
            # The kernel hands it out with its request (spaces.py), unless that is late.
            if not self.on_request((space, made)):
                self.unread.add(made)
                self.station.loop.watch(made, self.on_request, (space, made))

    def on_request(self, subject: tuple[Space, socket.socket]) -> bool:
        """Read one TCP request, tell it who answers, and close; return whether it was there."""
        space, made = subject
        try:
            token = read_token(self.station.nonce, made.recv(512, socket.MSG_DONTWAIT))
            if token:
                space.record(token.protocol, token.number, token.attempt)
                made.send(space.name.encode(), socket.MSG_MORE)  # leaves with the FIN
        except BlockingIOError:
            return False
        except OSError:
            pass  # the asker gave up
        self.unread.discard(made)
        self.station.loop.close(made)
        return True
