"""Runs on a machine that exists, as any user: asks addresses of the plan, and reads what it may.

Standard library only, Python 3.9 or newer, Linux. It changes nothing: no table is flushed, no
namespace entered, nothing listens. The packed task comes as a line of stdin:

    {"node", "nonce", "port", "rate", "cells": [[number, source, destination, protocol, …], …],
     "sizes": [[number, source, destination], …]}

Every destination is an address of the plan; nothing is sent to any other. ``rate`` is how many
packets a second may leave. All carry a mark and the ``nonce``, but for TCP's: its connections come
from ``port``, and are closed without a byte. What is printed is one JSON document:

    {"node", "icmp", "rows": [[number, protocol, attempts, result], …],
     "sizes": [[number, size, reason], …], "seen", "unread", "lacking"}

``result`` has ``stop`` as in question.py, ``heard``, which says what came back, ``rtt`` and
``reason``. ``icmp`` is the way by which echo requests were sent, empty where there is none.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from underlay.observe.on_node import rtnetlink
from underlay.observe.on_node.gather import Gatherer
from underlay.observe.on_node.packets import ECHO, ECHO6, MAGIC, echo, family_of, packed, ported
from underlay.observe.on_node.packets import token as marked

INET = {4: socket.AF_INET, 6: socket.AF_INET6}
ICMP = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}
# ip(7) and ipv6(7): errors are kept for whoever sent; DF, whatever path MTU is known; no header.
RECVERR = {4: (socket.IPPROTO_IP, 11), 6: (socket.IPPROTO_IPV6, 25)}
DISCOVER = {4: (socket.IPPROTO_IP, 10), 6: (socket.IPPROTO_IPV6, 23)}
PROBE = 3
HEADERS = {4: 28, 6: 48}  # of IP and ICMP
BY_ICMP = {4: 2, 6: 3}  # the origin of an error, linux/errqueue.h
OFFENDER = {4: slice(20, 24), 6: slice(24, 40)}
PORT_UNREACHABLE = {4: (3, 3), 6: (1, 4)}
TOO_BIG = {4: (3, 4), 6: (2, 0)}
PROHIBITED = {4: (9, 10, 13), 6: (1, 5, 6)}
ATTEMPTS = 3
PATIENCE = 1.0  # s for the answer to one packet
TCP_PATIENCE = 3.5  # s: the kernel sends a first segment again after one second, and after three
SIZE_ATTEMPTS = 2
SIZE_PATIENCE = 0.6
# Path MTUs that networks have: their steps are tried before all between.
USUAL = (65535, 9216, 9000, 8950, 8900, 1500, 1492, 1480, 1472, 1450, 1430, 1420, 1400, 1380, 1280)
LEAST = {4: 68, 6: 1280}  # RFC 791, RFC 8200
AT_ONCE = 200
LATE = socket.timeout  # Python 3.9's TimeoutError is another
NO_ICMP = (
    "no ICMP for this user: net.ipv4.ping_group_range leaves it out, and there is no ping that it"
    " may use"
)
# What only root is told.
PRIVILEGED = ("iptables", "ip6tables", "nft", "xfrm")


class Pace:
    """Lets so many packets leave in a second."""

    def __init__(self, rate: float) -> None:
        self._lock = threading.Lock()
        self._interval, self._next = 1 / rate, time.monotonic()

    def wait(self) -> None:
        """Wait until the next packet may leave."""
        with self._lock:
            now = time.monotonic()
            self._next = max(self._next, now) + self._interval
            due = self._next - self._interval
        time.sleep(max(0.0, due - now))


class Reader:
    """One task: who is asked, by which way echo requests leave, and how fast."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.nonce = task["nonce"].encode()
        self.port = task["port"]
        self.pace = Pace(task["rate"])
        self.task = task
        self.icmp = icmp_way()

    def document(self) -> dict[str, Any]:
        """Ask everything, read everything, and return what came of it."""
        asked = [(cell, protocol) for cell in self.task["cells"] for protocol in cell[3:]]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            sizes = threads.map(self.size, self.task["sizes"])
            rows = list(threads.map(lambda one: self.row(*one), asked))
            found = {"rows": rows, "sizes": list(sizes)}
        gatherer = Gatherer()
        seen = {**gatherer.space(), **gatherer.bridges()}
        unread = [] if os.geteuid() == 0 else [part for part in PRIVILEGED if not seen.get(part)]
        return {
            "node": self.task["node"],
            "icmp": self.icmp,
            **found,
            "seen": seen,
            "unread": unread,
            "lacking": sorted(gatherer.lacking),
        }

    def row(self, cell: list[Any], protocol: str) -> list[Any]:
        """Return what came of one cell by one protocol."""
        number, source, destination = cell[:3]
        word, port = ported(protocol)
        way = {"icmp": self.echo, "udp": self.datagram, "tcp": self.connection}[word]
        try:
            attempts, result = way(number, source, destination, port or self.port)
        except OSError as error:
            attempts, result = 1, failed(error, source)
        if result["stop"] == "no_answer" and not result.get("reason") and unresolved(destination):
            result["stop"] = "no_neighbour"
        return [number, protocol, attempts, result]

    def token(self, number: int, protocol: str, attempt: int) -> bytes:
        """Return what a packet carries."""
        return marked(self.nonce, number, protocol, attempt)

    def echo(self, number: int, source: str, destination: str, _: int) -> tuple[int, Any]:
        """Ask by an echo request; an answer is one of that address, whoever has it."""
        result: dict[str, Any] = {}
        for attempt in range(ATTEMPTS if self.icmp else 0):
            self.pace.wait()
            payload = self.token(number, "icmp", attempt)
            result = self.one_echo(source, destination, payload, PATIENCE)
            if result["stop"] != "no_answer":
                return attempt + 1, result
        return (ATTEMPTS, result) if result else (0, not_measured(NO_ICMP))

    def one_echo(
        self, source: str, destination: str, payload: bytes, patience: float, *, whole: bool = False
    ) -> dict[str, Any]:
        """Send one echo request, in a ``whole`` packet if at all; return what came of it."""
        if self.icmp == "ping":
            return by_ping(source, destination, payload, patience, self.nonce, whole=whole)
        family = family_of(destination)
        with socket.socket(INET[family], socket.SOCK_DGRAM, ICMP[family]) as made:
            prepare(made, family, source, 0, destination, 0)
            if whole:
                made.setsockopt(*DISCOVER[family], PROBE)
            made.settimeout(patience)
            began = time.monotonic()
            try:
                made.send(echo(family, 0, 1, payload))
                while made.recv(1 << 16)[0] == (ECHO6 if family == 6 else ECHO):
                    pass
            except LATE:
                return {"stop": "no_answer"}
            except OSError as error:
                return explained(made, family, error, source)
            return {"stop": "", "heard": "answer", "rtt": since(began)}

    def datagram(self, number: int, source: str, destination: str, port: int) -> tuple[int, Any]:
        """Ask by UDP: an answer, or the word of its kernel that nobody listens there."""
        family, protocol = family_of(destination), "udp"
        for attempt in range(ATTEMPTS):
            with socket.socket(INET[family], socket.SOCK_DGRAM) as made:
                prepare(made, family, source, 0, destination, port)
                made.settimeout(PATIENCE)
                self.pace.wait()
                began = time.monotonic()
                try:
                    made.send(self.token(number, protocol, attempt))
                    made.recv(512)
                except LATE:
                    continue
                except OSError as error:
                    result = explained(made, family, error, source)
                    if result.get("closed") == destination:
                        result = {"stop": "", "heard": "port unreachable", "rtt": since(began)}
                    return attempt + 1, result
                return attempt + 1, {"stop": "", "heard": "answer", "rtt": since(began)}
        return ATTEMPTS, {"stop": "no_answer"}

    def connection(self, _: int, source: str, destination: str, port: int) -> tuple[int, Any]:
        """Ask by TCP: who takes a connection, or refuses it by a segment of TCP's own, is there."""
        family = family_of(destination)
        with socket.socket(INET[family], socket.SOCK_STREAM) as made:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.setsockopt(*RECVERR[family], 1)
            try:
                made.bind((source, self.port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                made.bind((source, 0))
            made.settimeout(TCP_PATIENCE)
            self.pace.wait()
            began = time.monotonic()
            try:
                made.connect((destination, port))
            except LATE:
                result = complaint(made, family, source) or {"stop": "no_answer"}
                return ATTEMPTS, result
            except ConnectionRefusedError:
                took = since(began)
                # By a message of ICMP's, or by a segment of TCP's own.
                told = complaint(made, family, source)
                return 1, told or {"stop": "", "heard": "reset", "rtt": took}
            except OSError as error:
                return 1, explained(made, family, error, source)
            took = since(began)
            # Nothing is said to a program of somebody's: the connection just ends, for both.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes((1, 0, 0, 0, 0, 0, 0, 0)))
            return 1, {"stop": "", "heard": "connection", "rtt": took}

    def size(self, asked: list[Any]) -> list[Any]:
        """Return the largest packet that comes whole from one address to another; 0 for none."""
        number, source, destination = asked
        if not self.icmp:
            return [number, 0, NO_ICMP]
        try:
            top = link_mtu(destination)
            family = family_of(destination)
            low, high = 0, top + 1  # the largest that came, the least that didn't
            steps = [top, *(each for each in USUAL if LEAST[family] <= each < top), LEAST[family]]
            for size in steps:
                if size < high and self.comes(number, source, destination, size):
                    low = size
                    break
                high = min(high, size)
            while low and high - low > 1:
                size = (low + high) // 2
                if self.comes(number, source, destination, size):
                    low = size
                else:
                    high = size
        except OSError as error:
            return [number, 0, os.strerror(error.errno or 0)]
        return [number, low, "" if low else "no echo request of any size was answered"]

    def comes(self, number: int, source: str, destination: str, size: int) -> bool:
        """Return whether an echo request of ``size`` bytes comes there in one piece."""
        text = self.token(number, "pmtu", 0)
        payload = text.ljust(max(0, size - HEADERS[family_of(destination)]), b"\0")
        for _ in range(SIZE_ATTEMPTS):
            self.pace.wait()
            found = self.one_echo(source, destination, payload, SIZE_PATIENCE, whole=True)
            if not found["stop"]:
                return True
            if found.get("too_big"):
                return False
        return False


def icmp_way() -> str:
    """Return how this user may send echo requests: ``datagram`` (icmp(7)), ``ping``, or not."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP).close()
        return "datagram"
    except OSError:
        pass
    if not shutil.which("ping"):
        return ""
    said = run_ping("-c", "1", "-W", "1", "127.0.0.1")
    return "ping" if said is not None and " 1 received" in said else ""


def run_ping(*words: str) -> str | None:
    """Return what ping says, both streams; None where it doesn't end."""
    try:
        done = subprocess.run(
            ["ping", "-n", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=20,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout


def by_ping(
    source: str, destination: str, payload: bytes, patience: float, nonce: bytes, *, whole: bool
) -> dict[str, Any]:
    """Send one echo request by the program ping, with the mark as its pattern."""
    mark = (MAGIC + nonce)[:16].hex()
    words = ["-c", "1", "-W", str(max(1, round(patience))), "-I", source, "-p", mark]
    words += ["-s", str(len(payload)), *(("-M", "do") if whole else ())]
    said = run_ping(*words, destination)
    if said is None:
        return not_measured("ping did not end")
    if " 1 received" in said:
        took = re.search(r"time=([0-9.]+) ms", said)
        return {"stop": "", "heard": "answer", "rtt": float(took.group(1)) if took else None}
    for sign, stop in (
        ("Network is unreachable", "no_route"),
        ("Cannot assign", "no_route"),
        ("not permitted", "not_sent"),
        (f"From {source} icmp_seq=1 Destination Host Unreachable", "no_neighbour"),
        ("Packet filtered", "refused"),
        ("Unreachable", "no_answer"),
    ):
        if sign in said:
            return {"stop": stop, "reason": sign}
    too_big = "too long" in said or "Frag needed" in said
    return {"stop": "no_answer", **({"too_big": True} if too_big else {})}


def prepare(
    made: socket.socket, family: int, source: str, own: int, destination: str, port: int
) -> None:
    """Have a socket speak from ``source`` to ``destination`` alone, and keep its errors."""
    made.setsockopt(*RECVERR[family], 1)
    made.bind((source, own))
    made.connect((destination, port))


def explained(made: socket.socket, family: int, error: OSError, source: str) -> dict[str, Any]:
    """Return where a packet stopped, by what came back over the network, or by the kernel's word.

    ``too_big`` says that it was too large for a link on its way, ``closed`` whose kernel said that
    nobody listens.
    """
    if error.errno == errno.EMSGSIZE:
        return {"stop": "no_answer", "too_big": True}
    return complaint(made, family, source) or failed(error, source)


def complaint(made: socket.socket, family: int, source: str) -> dict[str, Any]:
    """Return what an ICMP message that came back says; nothing where none did."""
    # With a time limit Python would wait until there is something to read.
    made.setblocking(False)
    try:
        rows = made.recvmsg(512, 256, socket.MSG_ERRQUEUE)[1]
    except OSError:
        return {}
    for level, kind, data in rows:
        if (level, kind) != RECVERR[family] or data[4] != BY_ICMP[family]:
            continue
        what, code = data[5], data[6]
        sender = socket.inet_ntop(INET[family], data[OFFENDER[family]])
        text = f"ICMP type {what}, code {code}, from {sender}"
        if (what, code) == TOO_BIG[family] or (family == 6 and what == 2):
            return {"stop": "no_answer", "too_big": True, "reason": text}
        if (what, code) == PORT_UNREACHABLE[family]:
            return {"stop": "refused", "closed": sender, "reason": text}
        if code in PROHIBITED[family]:
            return {"stop": "refused", "reason": text}
        return {"stop": "no_neighbour" if sender == source else "no_answer", "reason": text}
    return {}


def failed(error: OSError, source: str) -> dict[str, Any]:
    """Return where a packet stopped by the error of a call."""
    number, text = error.errno, os.strerror(error.errno or 0)
    if number == errno.EADDRNOTAVAIL:
        text = f"nothing can be sent from {source}: its link is down or the address is gone"
    if number in (errno.EPERM, errno.EACCES):
        return {"stop": "not_sent", "reason": text}
    if number in (errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EINVAL):
        return {"stop": "no_route", "reason": text}
    if number == errno.EHOSTUNREACH:
        return {"stop": "no_neighbour", "reason": text}
    return {"stop": "no_answer", "reason": text}


def not_measured(why: str) -> dict[str, Any]:
    """Return the result of what couldn't be asked."""
    return {"stop": "not_measured", "reason": why}


def unresolved(destination: str) -> bool:
    """Return whether the next hop on the way there is a neighbour that nobody found."""
    try:
        netlink = rtnetlink.connect()
        try:
            hop = rtnetlink.next_hop(netlink, packed(destination))
            return rtnetlink.unresolved(rtnetlink.neighbours(netlink), hop)
        finally:
            netlink.close()
    except OSError:
        return False


def link_mtu(destination: str) -> int:
    """Return the MTU of the interface by which packets leave for ``destination``; raise OSError."""
    netlink = rtnetlink.connect()
    try:
        hop = rtnetlink.next_hop(netlink, packed(destination))
    finally:
        netlink.close()
    if hop is None:
        raise OSError(errno.EADDRINUSE, "the address is this machine's own")
    with open(f"/sys/class/net/{socket.if_indextoname(hop[0])}/mtu", encoding="ascii") as file:
        return min(int(file.read()), 65535)


def since(began: float) -> float:
    """Return the milliseconds since ``began``."""
    return round((time.monotonic() - began) * 1000, 3)


def main(argument: str) -> int:
    """Do the packed task, and print what came of it as one JSON document."""
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    task = json.loads(zlib.decompress(base64.b64decode(argument)))
    text = json.dumps(Reader(task).document(), separators=(",", ":"))
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
    return 0
