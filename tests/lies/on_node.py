"""The referee's part on a node: sends packets that carry a tag, and says who got which.

It has nothing to do with the probe in src/underlay/observe. In each namespace there is a packet
socket that hears every interface, and sockets that listen. A tag is unique to one packet of one
question. The caller gives orders as lines of JSON, and each gets one line back:

    {"do": "flush", "spaces": [...]}                    forgets the neighbours of these
    {"do": "ask", "asks": [...], "wait", "resend"}      asks, and says what came of each
    {"do": "seen"}                                      says which tags came in, where and how

An ask is [number, space, address, what, size]; what is icmp, udp, tcp, or large: an echo request
of that size which must not be fragmented. The end of stdin ends the program; it makes nothing but
sockets. Standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import socket
import struct
import sys
import time

from underlay.observe.on_node import rtnetlink
from underlay.observe.on_node.namespaces import Missing, enter, opened

PORT = 27207
ICMP, ICMP6 = socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6
ECHO = {4: (8, 0), 6: (128, 129)}
OUTGOING, OTHER_HOST = 4, 3
NOT_FRAGMENTED = {4: (socket.IPPROTO_IP, 10, 3), 6: (socket.IPPROTO_IPV6, 23, 3)}
LONGEST = 65535
# Silence is waited for at least so many times as long as the slowest answer took, up to MOST s.
TIMES, MOST = 3, 4.0


def family_of(address):
    return 6 if ":" in address else 4


def checksum(data):
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def echo(family, number, size, tag):
    """An echo request whose packet has ``size`` bytes with its IP header, or as few as it needs."""
    payload = tag.ljust(max(0, size - (28 if family == 4 else 48)), b".")
    head = struct.pack("!BBHHH", ECHO[family][0], 0, 0, os.getpid() & 0xFFFF, number & 0xFFFF)
    if family == 4:
        head = head[:2] + struct.pack("!H", checksum(head + payload)) + head[4:]
    return head + payload


class Space:
    """A namespace with all that listens in it."""

    def __init__(self, name, kind, home):
        self.name = name
        own = home if kind == "node" else opened(name, kind, "")
        self.own, self.home = own, home
        self.raw, self.large, self.udp, self.tcp = {}, {}, {}, {}
        with self.inside():
            self.netlink = rtnetlink.connect()
            self.capture = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
            self.capture.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            self.capture.setblocking(False)
            for family, inet, icmp in ((4, socket.AF_INET, ICMP), (6, socket.AF_INET6, ICMP6)):
                # A namespace without IPv6 has IPv4 all the same.
                with contextlib.suppress(OSError):
                    self.listen(family, inet, icmp)

    @contextlib.contextmanager
    def inside(self):
        enter(self.own)
        try:
            yield
        finally:
            enter(self.home)

    def listen(self, family, inet, icmp):
        for table in (self.raw, self.large):
            table[family] = socket.socket(inet, socket.SOCK_RAW, icmp)
            table[family].setblocking(False)
        self.large[family].setsockopt(*NOT_FRAGMENTED[family])
        any_address = "0.0.0.0" if family == 4 else "::"
        for table, kind in ((self.udp, socket.SOCK_DGRAM), (self.tcp, socket.SOCK_STREAM)):
            made = table[family] = socket.socket(inet, kind)
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == 6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind((any_address, PORT))
            if kind == socket.SOCK_STREAM:
                made.listen(256)

    def made(self, address, kind):
        with self.inside():
            inet = socket.AF_INET if family_of(address) == 4 else socket.AF_INET6
            made = socket.socket(inet, kind)
        made.setblocking(False)
        return made


class Referee:
    def __init__(self, task):
        self.nonce = task["nonce"]
        self.seen = {}
        self.syns = []
        self.readers = {}
        self.spaces, self.missing = {}, {}
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        for name, kind in task["spaces"]:
            try:
                self.spaces[name] = Space(name, kind, home)
            except (Missing, OSError) as error:
                self.missing[name] = str(error)
        self.open, self.rows, self.until = {}, None, 0.0
        self.began, self.slowest = 0.0, 0.0
        for space in self.spaces.values():
            self.readers[space.capture] = (self.captured, space)
            for family in space.raw:
                self.readers[space.raw[family]] = (self.icmp, space)
                self.readers[space.large[family]] = (self.icmp, space)
                self.readers[space.udp[family]] = (self.udp, space)
                self.readers[space.tcp[family]] = (self.accepted, space)

    def run(self):
        say({"ready": sorted(self.spaces), "missing": self.missing})
        stdin, rest = sys.stdin.fileno(), b""
        while True:
            patience = 60.0 if self.rows is None else 0.01
            writers = [one["socket"] for one in self.open.values() if one.get("connecting")]
            readable, writable, _ = select.select([stdin, *self.readers], writers, [], patience)
            for one in list(self.open.values()):
                if one.get("connecting") and one["socket"] in writable:
                    self.connected(one)
            for made in readable:
                if made is not stdin and made != stdin and made in self.readers:
                    act, space = self.readers[made]
                    with contextlib.suppress(OSError):
                        act(made, space)
            if stdin in readable:
                data = os.read(stdin, 1 << 16)
                if not data:
                    return 0
                rest += data
                while b"\n" in rest:
                    line, rest = rest.split(b"\n", 1)
                    self.order(json.loads(line))
            if self.rows is not None:
                self.look_at_the_clock()

    def order(self, order):
        if order["do"] == "flush":
            for name in order["spaces"]:
                if name in self.spaces:
                    with contextlib.suppress(OSError):
                        rtnetlink.flush(self.spaces[name].netlink)
            say({"flushed": True})
        elif order["do"] == "seen":
            say({"seen": self.seen, "syns": self.syns})
            self.seen, self.syns = {}, []
        else:
            now = time.monotonic()
            self.rows, self.wanted = {}, set(order["until"])
            self.began, self.until, self.again = now, now + order["wait"], now + order["resend"]
            self.until = max(self.until, now + TIMES * self.slowest)
            for ask in order["asks"]:
                self.ask(*ask)

    def ask(self, number, name, address, what, size):
        one = {"number": number, "address": address, "what": what, "size": size, "attempts": 0}
        one["space"] = space = self.spaces.get(name)
        if space is None:
            self.rows[number] = ["nobody", self.missing.get(name, "not there")]
            return
        self.open[number] = one
        self.send(one)

    def tag(self, number, attempt):
        return b"lies %s %d %d " % (self.nonce.encode(), number, attempt)

    def send(self, one):
        space, address, family = one["space"], one["address"], family_of(one["address"])
        tag = self.tag(one["number"], one["attempts"])
        one["attempts"] += 1
        try:
            if one["what"] in ("icmp", "large"):
                raw = (space.large if one["what"] == "large" else space.raw)[family]
                size = one["size"] if one["what"] == "large" else 0
                raw.sendto(echo(family, one["number"], size, tag), (address, 0))
            elif one["what"] == "udp":
                if "socket" not in one:
                    one["socket"] = space.made(address, socket.SOCK_DGRAM)
                    one["socket"].connect((address, PORT))
                    self.readers[one["socket"]] = (self.answered, one)
                one["socket"].send(tag)
            elif "socket" not in one:
                one["socket"] = made = space.made(address, socket.SOCK_STREAM)
                one["connecting"] = True
                error = made.connect_ex((address, PORT))
                one["port"] = made.getsockname()[1]
                if error not in (0, errno.EINPROGRESS):
                    raise OSError(error, os.strerror(error))
        except (OSError, KeyError) as error:
            if isinstance(error, BlockingIOError):
                return
            self.finish(one, ["error", str(error)])

    def connected(self, one):
        error = one["socket"].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        one["connecting"] = False
        if error:
            self.finish(one, ["error", os.strerror(error)])
            return
        self.readers[one["socket"]] = (self.answered, one)
        with contextlib.suppress(OSError):
            one["socket"].send(self.tag(one["number"], 0))

    def answered(self, made, one):
        try:
            data = made.recv(LONGEST)
        except BlockingIOError:
            return
        except OSError as error:
            self.finish(one, ["error", str(error)])
            return
        number, who = self.read(data)
        if number == one["number"]:
            self.finish(one, ["answered", who])
        elif not data:
            self.finish(one, ["error", "closed"])

    def finish(self, one, row):
        if row[0] == "answered":
            # A machine that is busy is given more time, as long as it shows that it is.
            took = time.monotonic() - self.began
            self.slowest = min(max(self.slowest, took), MOST)
            self.until = max(self.until, self.began + TIMES * self.slowest)
        self.open.pop(one["number"], None)
        if "socket" in one:
            self.readers.pop(one["socket"], None)
            one["socket"].close()
        self.rows[one["number"]] = [*row, one.get("port", 0)]

    def read(self, data):
        """The number of the tag in ``data``, and what stands behind it: the answerer's name."""
        at = data.find(b"lies " + self.nonce.encode() + b" ")
        if at < 0:
            return None, ""
        fields = data[at:].split(b" ", 4)
        if len(fields) < 5:
            return None, ""
        return int(fields[2]), fields[4].rstrip(b".").decode(errors="replace")

    def note(self, number, space, how):
        if number is not None:
            found = self.seen.setdefault(number, [])
            if [space.name, how] not in found:
                found.append([space.name, how])

    def icmp(self, made, space):
        while True:
            data, _ = made.recvfrom(LONGEST)
            family = 4 if made.family == socket.AF_INET else 6
            body = data[(data[0] & 15) * 4 :] if family == 4 else data
            if not body or body[0] not in ECHO[family]:
                continue
            number, _ = self.read(body)
            if body[0] == ECHO[family][0]:
                self.note(number, space, "socket")
            elif number in self.open and self.open[number]["space"] is space:
                self.finish(self.open[number], ["answered", ""])

    def udp(self, made, space):
        while True:
            data, source = made.recvfrom(LONGEST)
            number, _ = self.read(data)
            self.note(number, space, "socket")
            if number is not None:
                made.sendto(data + space.name.encode(), source)

    def accepted(self, made, space):
        while True:
            connection, _ = made.accept()
            connection.setblocking(False)
            self.readers[connection] = (self.served, space)

    def served(self, made, space):
        data = b""
        with contextlib.suppress(ConnectionError):
            data = made.recv(LONGEST)
        if not data:
            self.readers.pop(made, None)
            made.close()
            return
        number, _ = self.read(data)
        self.note(number, space, "socket")
        made.send(data + space.name.encode())

    def captured(self, made, space):
        while True:
            data, source = made.recvfrom(LONGEST)
            kind = source[2]
            if kind == OTHER_HOST:
                continue
            how = "left" if kind == OUTGOING else "frame"
            number, _ = self.read(data)
            if number is not None:
                if self.is_request(data):
                    self.note(number, space, how)
                continue
            ports = syn(data)
            if ports and ports[1] == PORT:
                self.syns.append([space.name, how, ports[0]])

    def is_request(self, data):
        """Whether a frame is on its way there; an answer carries the same tag."""
        body, protocol = inner(data)
        if protocol in (ICMP, ICMP6):
            return body[0] in (8, 128)
        return len(body) >= 4 and struct.unpack_from("!H", body, 2)[0] == PORT

    def look_at_the_clock(self):
        now = time.monotonic()
        if now >= self.again:
            self.again = self.until + 1
            for one in list(self.open.values()):
                self.send(one)
        if now >= self.until or not (self.wanted & set(self.open) if self.wanted else self.open):
            for one in list(self.open.values()):
                self.finish(one, ["silent", ""])
            rows, self.rows = self.rows, None
            say({"rows": rows})


def inner(data):
    """What an IP packet carries, and of which protocol."""
    if len(data) >= 20 and data[0] >> 4 == 4:
        return data[(data[0] & 15) * 4 :], data[9]
    if len(data) >= 40 and data[0] >> 4 == 6:
        return data[40:], data[6]
    return b"", 0


def syn(data):
    """The ports of a packet that is the first of a TCP connection."""
    body, protocol = inner(data)
    if protocol == socket.IPPROTO_TCP and len(body) >= 14 and body[13] & 0x12 == 2:
        return struct.unpack_from("!HH", body)
    return None


def say(value):
    sys.stdout.write(json.dumps(value, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def main(task):
    return Referee(json.loads(task)).run()
