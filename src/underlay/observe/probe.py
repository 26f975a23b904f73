"""Runs on a node: answers for its namespaces, probes its cells, prints one JSON document.

Standard library only, Python 3.9 or newer, Linux, root. The caller starts one
process on every node and leads all of them through the same steps:

    opens every namespace, listens, empties neighbour tables    prints "ready"
    reads "go", probes all cells of this node                   prints "probed"
    goes on answering until it reads "stop"                     prints the document

So nobody sends before everybody listens, and nobody leaves before everybody has
sent. The end of stdin, or a step that takes longer than ``patience`` seconds,
ends the process. Sockets are the only thing that it makes, so nothing is left.

The specification (see measure.py, which writes it):

    {"node", "nonce", "port", "patience",
     "spaces": {name: {"kind": "node"|"cni"|"docker"|"path", "path"}},
     "ends": [[name, space, address], …]          all ends of the lab
     "nodes": [name, …], "cells": [[number, source, destination, source address,
                                    destination address], …]}

A cell's number is the same on all nodes; it travels in every packet.
"""

import base64
import ctypes
import errno
import json
import os
import resource
import select
import selectors
import socket
import struct
import sys
import time
import zlib

RESEND = 0.9  # s; a first packet may be lost while the neighbour is looked up
GIVE_UP = 2.0  # s; under load a UML node may need 0.3 s for one round trip
WINDOW = 400  # probes in flight
BURST = 24  # probes started before answers are read again
MAGIC = b"underlay"

IP_PKTINFO, IP_BIND_ADDRESS_NO_PORT, ICMP_FILTER = 8, 24, 1
ECHO_REPLY, UNREACHABLE, ECHO = 0, 3, 8
NO_ROUTE = {errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EACCES, errno.EINVAL}
CLONE_NEWNET = 0x40000000


class Missing(Exception):
    """A namespace cannot be entered or used; the text says why."""


def enter(path):
    """Move this thread into the network namespace at ``path``; raise OSError."""
    with open(path) as handle:
        if hasattr(os, "setns"):
            os.setns(handle.fileno(), CLONE_NEWNET)
        elif ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def namespace_path(name, space):
    """Return the path of a space's network namespace; raise Missing where it has none."""
    if space["kind"] == "node":
        return "/proc/self/ns/net"
    if space["kind"] == "path":
        return space["path"]
    if space["kind"] == "docker":
        return "/proc/%d/ns/net" % docker_pid(name)
    return "/run/netns/" + name


def docker_pid(name):
    """Return the PID of a running Docker container, as the engine's API tells it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as engine:
        engine.settimeout(10)
        try:
            engine.connect("/var/run/docker.sock")
            engine.sendall(b"GET /containers/%s/json HTTP/1.0\r\n\r\n" % name.encode())
            answer = b"".join(iter(lambda: engine.recv(65536), b""))
        except OSError as error:
            raise Missing("Docker does not answer: %s" % error) from None
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise Missing("Docker knows no container %s" % name)
    state = json.loads(body)["State"]
    if not state.get("Running") or not state.get("Pid"):
        raise Missing("container %s is %s" % (name, state.get("Status", "not running")))
    return state["Pid"]


class Space:
    """A network namespace: its listening sockets, and which probes they received."""

    def __init__(self, name, path, home, port):
        self.name = name
        self.received = {"icmp": [], "tcp": [], "udp": []}
        self.senders = {}
        self._path, self._home = path, home
        with self:
            self.icmp = quiet(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
            self.udp = quiet(socket.AF_INET, socket.SOCK_DGRAM)
            self.tcp = quiet(socket.AF_INET, socket.SOCK_STREAM)
            self.netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.netlink.settimeout(5)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.udp.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        for big in (self.icmp, self.udp):
            big.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.udp.bind(("0.0.0.0", port))
        self.tcp.bind(("0.0.0.0", port))
        self.tcp.listen(1024)

    def __enter__(self):
        enter(self._path)

    def __exit__(self, *_):
        enter(self._home)

    def sender(self, address):
        """Return the raw socket that sends echo requests from ``address``; raise OSError."""
        if address not in self.senders:
            with self:
                raw = quiet(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
            raw.setsockopt(socket.SOL_RAW, ICMP_FILTER, struct.pack("=I", 0xFFFFFFFF))
            raw.bind((address, 0))
            self.senders[address] = raw
        return self.senders[address]


def quiet(*kind):
    """Return a non-blocking socket."""
    made = socket.socket(*kind)
    made.setblocking(False)
    return made


# --- neighbours and routes, by rtnetlink --------------------------------------------------

NEW_NEIGH, DEL_NEIGH, GET_NEIGH, GET_ROUTE = 28, 29, 30, 26
NLM_REQUEST, NLM_ACK, NLM_DUMP = 1, 4, 0x300
INCOMPLETE, FAILED, NOARP, PERMANENT = 0x01, 0x20, 0x40, 0x80
DST, OIF, GATEWAY = 1, 4, 5  # NDA_DST and RTA_DST are both 1


def talk(netlink, kind, flags, body):
    """Send one rtnetlink request; return the bodies of its answers, or raise OSError."""
    netlink.send(struct.pack("=IHHII", 16 + len(body), kind, flags | NLM_REQUEST, 1, 0) + body)
    bodies = []
    while True:
        data = netlink.recv(1 << 16)
        while len(data) >= 16:
            size, answer = struct.unpack_from("=IH", data)
            payload, data = data[16:size], data[(size + 3) & ~3 :]
            if answer == 2:  # NLMSG_ERROR, also the acknowledgement
                number = -struct.unpack_from("=i", payload)[0]
                if number:
                    raise OSError(number, os.strerror(number))
                return bodies
            if answer == 3:  # NLMSG_DONE
                return bodies
            bodies.append(payload)
            if not flags & (NLM_DUMP | NLM_ACK):
                return bodies


def attributes(data):
    """Return {type: bytes} of a row of netlink attributes."""
    found = {}
    while len(data) >= 4:
        size, kind = struct.unpack_from("=HH", data)
        if size < 4:
            break
        found[kind & 0x3FFF], data = data[4:size], data[(size + 3) & ~3 :]
    return found


def neighbours(space):
    """Return {(interface index, address): state} of a space's IPv4 neighbours."""
    table = {}
    for body in talk(space.netlink, GET_NEIGH, NLM_DUMP, struct.pack("=B11x", socket.AF_INET)):
        _, index, state = struct.unpack_from("=B3xiH", body)
        address = attributes(body[12:]).get(DST, b"")
        if len(address) == 4:
            table[index, address] = state
    return table


def flush(space):
    """Forget all neighbours of a space but permanent ones, as ``ip neigh flush all`` does."""
    for (index, address), state in neighbours(space).items():
        if not state & (PERMANENT | NOARP):
            body = struct.pack("=B3xiHBB", socket.AF_INET, index, 0, 0, 0)
            body += struct.pack("=HH4s", 8, DST, address)
            try:
                talk(space.netlink, DEL_NEIGH, NLM_ACK, body)
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise


def next_hop(space, address):
    """Return (interface index, next hop) on the way to ``address``; raise OSError."""
    wanted = socket.inet_aton(address)
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, 32, 0, 0, 0, 0, 0, 0, 0)
    body += struct.pack("=HH4s", 8, DST, wanted)
    found = attributes(talk(space.netlink, GET_ROUTE, 0, body)[0][12:])
    return struct.unpack("=i", found[OIF])[0], found.get(GATEWAY, wanted)


# --- probing ------------------------------------------------------------------------------


class Probe:
    """One cell and one protocol: sends, resends once, and keeps what came of it."""

    def __init__(self, cell, protocol, space):
        self.number, _, _, self.source, self.destination = cell
        self.protocol, self.space = protocol, space
        self.sent = []
        self.socket = None
        self.result = None

    def finish(self, **result):
        """Keep the result, once; the first one holds."""
        if self.result is None:
            self.result = result

    def failed(self, number, sending):
        """Translate an error number into where the probe stopped."""
        text = os.strerror(number)
        if number == errno.EADDRNOTAVAIL or (number == errno.EINVAL and sending):
            text = "cannot send from %s: %s" % (self.source, text)
        if number == errno.ECONNREFUSED:
            self.finish(stop="refused", reason=text)
        elif number in NO_ROUTE or (sending and number == errno.EHOSTUNREACH):
            self.finish(stop="no_route", reason=text)
        elif number == errno.EHOSTUNREACH:
            self.finish(stop="no_neighbour", reason=text)
        else:
            self.finish(stop="no_answer", reason=text)

    def answered(self, by, attempt, now):
        """Keep that ``by`` answered the attempt; an empty ``by`` is an ICMP answer."""
        rtt = (now - self.sent[attempt]) * 1000
        self.finish(stop="", by=by, attempt=attempt, lost=attempt, rtt=round(rtt, 3))


class Prober:
    """All namespaces and all probes of one node, in one loop."""

    def __init__(self, spec):
        self.spec = spec
        self.nonce = spec["nonce"].encode()
        self.loop = selectors.DefaultSelector()
        self.spaces, self.missing = {}, {}
        self.probes, self.flying, self.done = {}, {}, []
        self.lines, self.rest, self.ended = [], b"", False

    def open(self):
        """Enter and listen in every namespace, and empty all neighbour tables."""
        self.home = "/proc/self/fd/%d" % os.open("/proc/self/ns/net", os.O_RDONLY)
        for name, described in self.spec["spaces"].items():
            try:
                path = namespace_path(name, described)
                path = self.home if described["kind"] == "node" else path
                self.spaces[name] = Space(name, path, self.home, self.spec["port"])
            except (Missing, OSError, ValueError) as error:
                self.missing[name] = str(error)
        for space in self.spaces.values():
            self.loop.register(space.icmp, selectors.EVENT_READ, (self.on_icmp, space))
            self.loop.register(space.udp, selectors.EVENT_READ, (self.on_udp, space))
            self.loop.register(space.tcp, selectors.EVENT_READ, (self.on_tcp, space))
        for space in self.spaces.values():
            flush(space)

    def token(self, probe):
        """Return what a probe's packets carry: whose, which cell, which protocol, which attempt."""
        fields = (self.nonce, probe.number, probe.protocol.encode(), len(probe.sent))
        return b"%s %s %d %s %d" % (MAGIC, *fields)

    def read_token(self, data):
        """Return (cell, protocol, attempt, what follows) of one of our packets, else None."""
        fields = bytes(data).split(b" ", 5)
        if len(fields) < 5 or fields[0] != MAGIC or fields[1] != self.nonce:
            return None
        try:
            rest = fields[5].decode() if len(fields) > 5 else ""
            return int(fields[2]), fields[3].decode(), int(fields[4]), rest.strip()
        except ValueError:
            return None

    # receiving: answers to others, and answers to our own probes

    def on_icmp(self, space):
        """Record requests that reached this space; match answers and ICMP errors."""
        for packet, _ in drain(space.icmp):
            head = (packet[0] & 15) * 4
            kind, code, body = packet[head], packet[head + 1], packet[head + 8 :]
            sender = socket.inet_ntoa(packet[12:16])
            if kind == UNREACHABLE and len(body) > 28:
                self.on_error(space, body, code, sender)
                continue
            token = self.read_token(body)
            if not token or token[1] != "icmp":
                continue
            if kind == ECHO:
                space.received["icmp"].append(token[0::2])
            elif kind == ECHO_REPLY:
                probe = self.flying.get((token[0], "icmp"))
                if probe and probe.space is space and probe.destination == sender:
                    probe.answered("", token[2], time.monotonic())

    def on_error(self, space, body, code, sender):
        """An ICMP error that quotes one of our echo requests says where it stopped."""
        token = self.read_token(body[(body[0] & 15) * 4 + 8 :])
        probe = token and self.flying.get((token[0], "icmp"))
        if not probe or probe.space is not space or token[1] != "icmp":
            return
        if code == 1 and sender == probe.source:
            probe.failed(errno.EHOSTUNREACH, False)
        elif code in (3, 9, 10, 13):
            probe.finish(stop="refused", reason="ICMP unreachable, code %d, %s" % (code, sender))

    def on_udp(self, space):
        """Answer every datagram of ours with this space's name, from the address it came to."""
        while True:
            try:
                data, extra, _, sender = space.udp.recvmsg(512, 64)
                token = self.read_token(data)
                if token:
                    space.received["udp"].append(token[0::2])
                    own = [struct.pack("=i4s4x", 0, c[2][8:12]) for c in extra if c[1] == IP_PKTINFO]
                    control = [(socket.IPPROTO_IP, IP_PKTINFO, own[0])]
                    space.udp.sendmsg([data + b" " + space.name.encode()], control, 0, sender)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error about an earlier answer, or no way back

    def on_tcp(self, space):
        """Take connections; each says who it is, is told who answers, and is closed."""
        while True:
            try:
                connection, _ = space.tcp.accept()
            except OSError:
                return
            connection.setblocking(False)
            self.loop.register(connection, selectors.EVENT_READ, (self.on_request, (space, connection)))

    def on_request(self, both):
        """Read one TCP request and answer it."""
        space, connection = both
        try:
            token = self.read_token(connection.recv(512))
            if token:
                space.received["tcp"].append((token[0], 0))
                connection.send(space.name.encode())
        except BlockingIOError:
            return
        except OSError:
            pass
        self.loop.unregister(connection)
        connection.close()

    # sending

    def start(self, probe):
        """Send a probe's first packet."""
        self.flying[probe.number, probe.protocol] = probe
        if probe.space is None:
            probe.finish(stop="not_measured", reason="its namespace is gone")
            return
        try:
            if probe.protocol != "icmp":
                self.connect(probe)
            self.send(probe)
        except BlockingIOError:
            pass
        except OSError as error:
            probe.failed(error.errno, True)

    def connect(self, probe):
        """Open a probe's own TCP or UDP socket, bound to its source address."""
        tcp = probe.protocol == "tcp"
        with probe.space:
            made = quiet(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        probe.socket = made
        made.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        made.bind((probe.source, 0))
        ready = selectors.EVENT_WRITE if tcp else selectors.EVENT_READ
        try:
            if tcp:
                probe.sent.append(time.monotonic())
            made.connect((probe.destination, self.spec["port"]))
        except BlockingIOError:
            pass
        self.loop.register(made, ready, (self.on_tcp_probe if tcp else self.on_udp_answer, probe))

    def send(self, probe):
        """Send one more packet of an ICMP or UDP probe."""
        if probe.protocol == "tcp":
            return
        token = self.token(probe)
        probe.sent.append(time.monotonic())
        if probe.protocol == "udp":
            probe.socket.send(token)
            return
        head = struct.pack("!BBHHH", ECHO, 0, 0, probe.number & 0xFFFF, len(probe.sent))
        packet = head[:2] + struct.pack("!H", checksum(head + token)) + head[4:] + token
        probe.space.sender(probe.source).sendto(packet, (probe.destination, 0))

    def on_tcp_probe(self, probe):
        """A connection was made or refused, or the answerer's name arrived."""
        made = probe.socket
        number = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        try:
            if number:
                probe.failed(number, False)
            elif self.loop.get_key(made).events == selectors.EVENT_WRITE:
                probe.connected = time.monotonic()
                made.send(self.token(probe) + b"\n")
                self.loop.modify(made, selectors.EVENT_READ, (self.on_tcp_probe, probe))
            else:
                name = made.recv(512).decode(errors="replace")
                retransmitted = struct.unpack_from("=I", made.getsockopt(6, 11, 104), 100)[0]
                rtt = (probe.connected - probe.sent[0]) * 1000
                if name:
                    probe.sent += probe.sent * retransmitted
                    probe.finish(stop="", by=name, attempt=0, lost=retransmitted, rtt=round(rtt, 3))
                else:
                    probe.finish(stop="no_answer", reason="the connection was closed unanswered")
        except BlockingIOError:
            pass
        except OSError as error:
            probe.failed(error.errno, False)

    def on_udp_answer(self, probe):
        """The answerer's name, or an ICMP error about our datagram."""
        try:
            token = self.read_token(probe.socket.recv(512))
            if token and token[:2] == (probe.number, "udp") and token[2] < len(probe.sent):
                probe.answered(token[3], token[2], time.monotonic())
        except BlockingIOError:
            pass
        except OSError as error:
            probe.failed(error.errno, False)

    # the loop

    def turn(self, wait):
        """Handle whatever is ready, waiting at most ``wait`` seconds for it."""
        for key, _ in self.loop.select(wait):
            act, what = key.data
            act(what)

    def on_stdin(self, _):
        """Collect the caller's lines."""
        data = os.read(0, 4096)
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.lines += [line.strip() for line in lines]
        if not data:
            self.ended = True
            self.loop.unregister(0)

    def until(self, word):
        """Go on answering until the caller says ``word``; return False where it gave up on us."""
        deadline = time.monotonic() + self.spec["patience"]
        while word not in self.lines:
            left = deadline - time.monotonic()
            if self.ended or left <= 0:
                return False
            self.turn(left)
        return True

    def probe(self):
        """Probe all cells of this node, a bounded number at once."""
        waiting = [
            Probe(cell, protocol, self.spaces.get(self.spec["ends"][cell[1]][1]))
            for cell in self.spec["cells"]
            for protocol in ("icmp", "tcp", "udp")
        ][::-1]
        while (waiting or self.flying) and not self.ended:
            for _ in range(min(BURST, len(waiting), WINDOW - len(self.flying))):
                self.start(waiting.pop())
            self.turn(0 if waiting and len(self.flying) < WINDOW else 0.05)
            self.sweep(time.monotonic())
        return not self.ended

    def sweep(self, now):
        """Resend what is late, give up what is too late, put away what is done."""
        for key, probe in list(self.flying.items()):
            age = now - probe.sent[0] if probe.sent else 0
            if probe.result is None and age > GIVE_UP:
                probe.finish(stop="")
            elif probe.result is None and len(probe.sent) == 1 and age > RESEND:
                try:
                    self.send(probe)
                except OSError as error:
                    probe.failed(error.errno, True)
            if probe.result is not None:
                del self.flying[key]
                self.done.append(probe)
                if probe.socket:
                    if probe.socket in self.loop.get_map():
                        self.loop.unregister(probe.socket)
                    probe.socket.close()

    def where_stopped(self):
        """Say of every unanswered probe whether its next hop was ever found."""
        tables = {}
        for probe in self.done:
            if probe.result["stop"] or "by" in probe.result:
                continue
            table = tables.get(probe.space.name)
            if table is None:
                table = tables[probe.space.name] = neighbours(probe.space)
            try:
                state = table.get(next_hop(probe.space, probe.destination), INCOMPLETE)
                lost = state & (INCOMPLETE | FAILED)
                probe.result["stop"] = "no_neighbour" if lost else "no_answer"
            except OSError as error:
                probe.result.update(stop="no_route", reason=os.strerror(error.errno))

    def document(self):
        """Return what this node saw: its own probes, and what its namespaces received."""
        return {
            "node": self.spec["node"],
            "missing": self.missing,
            "received": {name: space.received for name, space in self.spaces.items()},
            "probes": [
                dict(probe.result, cell=probe.number, protocol=probe.protocol, sent=len(probe.sent))
                for probe in self.done
            ],
        }

    def run(self):
        """Go through all steps; return the exit code."""
        self.open()
        try:
            self.loop.register(0, selectors.EVENT_READ, (self.on_stdin, None))
        except PermissionError:  # a file or /dev/null: always readable, and known at once
            self.lines, self.ended = sys.stdin.buffer.read().split(b"\n"), True
        say("ready")
        if not self.until(b"go") or not self.probe():
            return 3
        self.where_stopped()
        say("probed")
        if not self.until(b"stop"):
            return 3
        say(json.dumps(self.document(), separators=(",", ":")))
        return 0


def drain(raw):
    """Yield all packets that wait in a raw socket."""
    while True:
        try:
            yield raw.recvfrom(2048)
        except BlockingIOError:
            return
        except OSError:
            continue


def checksum(data):
    """Return the Internet checksum of ``data`` (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def say(line):
    """Print one line to the caller at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(argument):
    """Run with the packed specification ``argument``, or with stdin's first line for "-"."""
    if argument == "-":
        argument = b"".join(iter(lambda: os.read(0, 1), b"\n"))
    spec = json.loads(zlib.decompress(base64.b64decode(argument)))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return Prober(spec).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1]))
