"""Runs on a node: answers for its namespaces, probes its cells, prints one JSON document.

Standard library only, Python 3.9 or newer, Linux, root. The caller starts one
process on every node and leads all of them through the same steps:

    enters every namespace, listens, empties neighbour tables   prints "ready"
    reads "go"; where there are cold cells, probes them         prints "cold"
    reads "on" in that case, probes all other cells             prints "probed"
    goes on answering until it reads "stop"                     prints the document

So nobody sends before everybody listens, and nobody leaves before everybody has
sent. The end of stdin, or a step that takes longer than ``patience`` seconds,
ends the process with exit code 3. It makes nothing but sockets, so nothing is left.

The specification, which ``start.py`` writes:

    {"node", "nonce", "port", "patience", "pace", "cold": whether any node has cold cells,
     "spaces": [[name, "node" | "cni" | "docker", path], …],
     "cells": [[number, space's index, source address, destination address, cold], …]}

A cell's number is the same on all nodes; every packet carries it. ``pace`` multiplies waits.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import resource
import selectors
import socket
import struct
import sys
import time
import zlib
from typing import Any

from underlay.observe import rtnetlink
from underlay.observe.namespaces import IP_PKTINFO, Missing, Space, drain
from underlay.observe.question import ECHO, ECHO_REPLY, IP_RECVERR, UNREACHABLE, Question

RESEND = 0.9  # s; a first packet may be lost while its neighbour is looked up
GIVE_UP = 2.0  # s; under load a node may need 0.3 s for one round trip
SWEEP = 0.05  # s between looks at the clock
WINDOW = 400  # probes in flight
BURST = 24  # probes started before answers are read again
MAGIC = b"underlay"

IP_BIND_ADDRESS_NO_PORT = 24

Token = tuple[int, str, int, str]


class Prober:
    """All namespaces and all probes of one node, in one loop."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.nonce = spec["nonce"].encode()
        self.loop = selectors.DefaultSelector()
        self.spaces: list[Space | None] = []
        self.missing: dict[str, str] = {}
        self.flying: dict[tuple[int, str], Question] = {}
        self.done: list[Question] = []
        self.lines: list[bytes] = []
        self.rest = b""
        self.ended = False

    def run(self) -> int:
        """Go through all steps; return the exit code."""
        self.open()
        try:
            self.loop.register(0, selectors.EVENT_READ, (self.on_stdin, None))
        except PermissionError:  # a plain file, or /dev/null: all of it is there at once
            self.lines, self.ended = sys.stdin.buffer.read().split(b"\n"), True
        say("ready")
        if not self.until(b"go") or not self.probe():
            return 3
        self.find_stops()
        say("probed")
        if not self.until(b"stop"):
            return 3
        say(json.dumps(self.document(), separators=(",", ":")))
        return 0

    def open(self) -> None:
        """Enter and listen in every namespace, then empty all neighbour tables."""
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        for name, kind, path in self.spec["spaces"]:
            try:
                self.spaces.append(Space(name, kind, path, home, self.spec["port"]))
            except (Missing, OSError) as error:
                self.spaces.append(None)
                self.missing[name] = str(error)
        for space in filter(None, self.spaces):
            self.loop.register(space.icmp, selectors.EVENT_READ, (self.on_icmp, space))
            self.loop.register(space.udp, selectors.EVENT_READ, (self.on_udp, space))
            self.loop.register(space.tcp, selectors.EVENT_READ, (self.on_tcp, space))
            rtnetlink.flush(space.netlink)

    def until(self, word: bytes) -> bool:
        """Go on answering until the caller says ``word``; False where it gave up on us."""
        deadline = time.monotonic() + self.spec["patience"]
        while word not in self.lines:
            left = deadline - time.monotonic()
            if self.ended or left <= 0:
                return False
            self.turn(left)
        return True

    def turn(self, wait: float) -> None:
        """Handle whatever is ready, waiting at most ``wait`` seconds for it."""
        for key, _ in self.loop.select(wait):
            act, subject = key.data
            act(subject)

    def on_stdin(self, _: None) -> None:
        """Collect the caller's lines."""
        data = os.read(0, 4096)
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.lines += lines
        if not data:
            self.ended = True
            self.loop.unregister(0)

    # --- tokens: whose packet, which cell, which protocol, which attempt, who answers

    def token(self, question: Question) -> bytes:
        """Return what the question's next packet carries."""
        protocol, attempt = question.protocol.encode(), len(question.sent)
        return b"%s %s %d %s %d" % (MAGIC, self.nonce, question.number, protocol, attempt)

    def read(self, data: bytes) -> Token | None:
        """Return (cell, protocol, attempt, answerer) of a packet of ours, None of another."""
        fields = data.split(b" ", 5)
        if len(fields) < 5 or fields[0] != MAGIC or fields[1] != self.nonce:
            return None
        try:
            answerer = fields[5].decode() if len(fields) > 5 else ""
            return int(fields[2]), fields[3].decode(), int(fields[4]), answerer
        except ValueError:
            return None

    # --- answering

    def on_icmp(self, space: Space) -> None:
        """Record the requests that reached this space; match answers and ICMP errors."""
        for packet in drain(space.icmp):
            head = (packet[0] & 15) * 4
            kind, code, body = packet[head], packet[head + 1], packet[head + 8 :]
            sender = socket.inet_ntoa(packet[12:16])
            if kind == UNREACHABLE and len(body) > 28:
                self.on_unreachable(space, body, code, sender)
                continue
            token = self.read(body)
            if token is None:
                continue
            question = self.flying.get((token[0], "icmp"))
            if kind == ECHO:
                space.received["icmp"].append((token[0], token[2]))
            elif kind == ECHO_REPLY and question and question.comes_from(space, sender):
                question.answered("", token[2], time.monotonic())

    def on_unreachable(self, space: Space, quoted: bytes, code: int, sender: str) -> None:
        """An ICMP error that quotes one of our echo requests says where it stopped."""
        token = self.read(quoted[(quoted[0] & 15) * 4 + 8 :])
        question = self.flying.get((token[0], "icmp")) if token and token[1] == "icmp" else None
        if question and question.space is space:
            question.unreachable(code, sender)

    def on_udp(self, space: Space) -> None:
        """Answer each datagram of ours with this space's name, from the address it came to."""
        while True:
            try:
                data, extra, _, sender = space.udp.recvmsg(512, 64)
                token = self.read(data)
                if token:
                    space.received["udp"].append((token[0], token[2]))
                    to = next(row[2][8:12] for row in extra if row[1] == IP_PKTINFO)
                    own = (socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=i4s4x", 0, to))
                    space.udp.sendmsg([data, b" ", space.name.encode()], [own], 0, sender)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error about an earlier answer, or no way back

    def on_tcp(self, space: Space) -> None:
        """Take new connections."""
        while True:
            try:
                made, _ = space.tcp.accept()
            except OSError:
                return
            made.setblocking(False)
            self.loop.register(made, selectors.EVENT_READ, (self.on_request, (space, made)))

    def on_request(self, subject: tuple[Space, socket.socket]) -> None:
        """Read one TCP request, tell it who answers, and close."""
        space, made = subject
        try:
            token = self.read(made.recv(512))
            if token:
                space.received["tcp"].append((token[0], token[2]))
                made.send(space.name.encode())
        except BlockingIOError:
            return
        except OSError:
            pass  # the asker gave up
        self.loop.unregister(made)
        made.close()

    # --- asking

    def probe(self) -> bool:
        """Probe all cells of this node; False where stdin ended.

        Where there are cold cells, all nodes probe them first and alone: the others'
        questions would fill the neighbour tables that they depend on.
        """
        cells = self.spec["cells"]
        if self.spec["cold"]:
            if not self.ask([cell for cell in cells if cell[4]]):
                return False
            say("cold")
            if not self.until(b"on"):
                return False
        return self.ask([cell for cell in cells if not cell[4]])

    def ask(self, cells: list[Any]) -> bool:
        """Probe ``cells``, a bounded number at once; False where stdin ended."""
        waiting = [
            Question(cell, protocol, self.spaces[cell[1]])
            for cell in reversed(cells)
            for protocol in ("udp", "tcp", "icmp")
        ]
        swept = 0.0
        while (waiting or self.flying) and not self.ended:
            for _ in range(min(BURST, len(waiting), WINDOW - len(self.flying))):
                self.start(waiting.pop())
            self.turn(0 if waiting and len(self.flying) < WINDOW else SWEEP)
            if time.monotonic() - swept >= SWEEP:
                swept = time.monotonic()
                self.sweep(swept)
        return not self.ended

    def start(self, question: Question) -> None:
        """Send the question's first packet."""
        self.flying[question.number, question.protocol] = question
        try:
            if question.space is None:
                question.finish("not_measured")
            elif question.protocol == "icmp":
                self.send(question)
            else:
                self.connect(question, question.space)
        except OSError as error:
            question.failed(error, sending=True)

    def connect(self, question: Question, space: Space) -> None:
        """Open the question's own TCP or UDP socket, bound to its source address."""
        tcp = question.protocol == "tcp"
        made = question.socket = space.open(socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        made.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        made.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        made.bind((question.source, 0))
        started = time.monotonic()
        with contextlib.suppress(BlockingIOError):
            made.connect((question.destination, self.spec["port"]))
        if tcp:
            question.sent.append(started)
            self.loop.register(made, selectors.EVENT_WRITE, (self.on_connection, question))
        else:
            self.loop.register(made, selectors.EVENT_READ, (self.on_datagram, question))
            self.send(question)

    def send(self, question: Question) -> None:
        """Send one more packet of an ICMP or UDP question; the kernel resends TCP itself."""
        token = self.token(question)
        with contextlib.suppress(BlockingIOError):  # a full queue counts as a lost packet
            question.send(token)

    def on_connection(self, question: Question) -> None:
        """A connection is made or refused, or the answerer's name is there."""
        made = question.socket
        assert made is not None
        try:
            number = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                raise OSError(number, os.strerror(number))
            if not question.connected:
                question.connected = time.monotonic()
                self.loop.modify(made, selectors.EVENT_READ, (self.on_connection, question))
                made.send(self.token(question))
                return
            name = made.recv(512).decode(errors="replace")
            question.count_resent()
            if name:
                question.answered(name, 0, question.connected)
            else:
                question.finish("no_answer", reason="the connection was closed without an answer")
        except BlockingIOError:
            pass
        except OSError as error:
            question.refused(error)

    def on_datagram(self, question: Question) -> None:
        """The answerer's name, or an ICMP error about our datagram."""
        assert question.socket is not None
        try:
            token = self.read(question.socket.recv(512))
            if token and token[:2] == (question.number, "udp"):
                question.answered(token[3], token[2], time.monotonic())
        except BlockingIOError:
            pass
        except OSError as error:
            question.refused(error)

    def sweep(self, now: float) -> None:
        """Resend what is late, give up what is too late, put away what is done."""
        for key, question in list(self.flying.items()):
            age = now - question.sent[0] if question.sent else 0
            if question.result is None and age > GIVE_UP * self.spec["pace"]:
                question.count_resent()
                question.finish("")
            elif (
                question.result is None
                and age > RESEND * self.spec["pace"]
                and len(question.sent) == 1
            ):
                try:
                    if question.protocol != "tcp":
                        self.send(question)
                except OSError as error:
                    question.failed(error, sending=True)
            if question.result is None:
                continue
            self.done.append(self.flying.pop(key))
            if question.socket:
                if question.socket in self.loop.get_map():
                    self.loop.unregister(question.socket)
                question.socket.close()

    # --- telling

    def find_stops(self) -> None:
        """Say of each unanswered probe whether its next hop was ever found."""
        tables: dict[str, rtnetlink.Neighbours] = {}
        for question in self.done:
            space, result = question.space, question.result
            if space is None or result is None or result["stop"] or "by" in result:
                continue
            if space.name not in tables:
                tables[space.name] = rtnetlink.neighbours(space.netlink)
            try:
                table = tables[space.name]
                unresolved = rtnetlink.unresolved(space.netlink, table, question.destination)
                result["stop"] = "no_neighbour" if unresolved else "no_answer"
            except OSError as error:
                result.update(stop="no_route", reason=os.strerror(error.errno or 0))

    def document(self) -> dict[str, Any]:
        """Return what this node saw: its own probes, and what its namespaces received."""
        return {
            "node": self.spec["node"],
            "missing": self.missing,
            "received": {space.name: space.received for space in filter(None, self.spaces)},
            "probes": [
                dict(
                    question.result or {},
                    cell=question.number,
                    protocol=question.protocol,
                    attempts=len(question.sent) + question.resent,
                )
                for question in self.done
            ],
        }


def say(line: str) -> None:
    """Print one line to the caller at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(argument: str) -> int:
    """Run with the packed specification ``argument``, or with stdin's first line for "-"."""
    packed = argument.encode()
    if argument == "-":
        packed = b"".join(iter(lambda: os.read(0, 1), b"\n"))
    spec = json.loads(zlib.decompress(base64.b64decode(packed)))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return Prober(spec).run()
