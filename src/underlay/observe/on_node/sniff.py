"""Captures frames at any number of interfaces of a machine at once, in several namespaces.

Runs on the node or at the switch, where gather.py does: standard library only, Python 3.9 or
newer, so that neither tcpdump nor a file is needed there. It prints ``ready``, and then each
frame as a line of JSON until its time or its count is over, or its stdin is closed. Its last line
is ``lost``: how many frames the kernel had no room for, by point.
"""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import struct
import sys
import time
import zlib
from itertools import islice
from typing import TYPE_CHECKING, Any

from underlay.observe.on_node.bpf import passes
from underlay.observe.on_node.namespaces import Missing, enter, opened
from underlay.observe.on_node.socket_options import OUTGOING, SOL_PACKET, keep_unread, lost

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERY = 0x0003  # ETH_P_ALL
ADD_MEMBERSHIP, AUXDATA = 1, 8
TIMESTAMPNS = 35  # SO_TIMESTAMPNS and its message, asm-generic/socket.h; timespec(3type)
PROMISCUOUS = 1
VLAN_VALID = 1 << 4
ROOM = 1 << 22  # bytes of frames that come while others are told
LONGEST = 65535
STAMPING = 2.0  # s that the kernel has to begin with stamping


class Point:
    """One interface that is listened at; ``name`` is what its frames are reported as."""

    def __init__(self, name: str, device: str) -> None:
        """Listen in the namespace that this thread is in; raise OSError."""
        self.name = name
        # Of no protocol until it is bound: it would hear all interfaces (packet(7)).
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        keep_unread(self.socket, ROOM)
        self.socket.bind((device, EVERY))
        self.socket.setsockopt(SOL_PACKET, AUXDATA, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, TIMESTAMPNS, 1)
        request = struct.pack("=iHH8x", socket.if_nametoindex(device), PROMISCUOUS, 0)
        self.socket.setsockopt(SOL_PACKET, ADD_MEMBERSHIP, request)
        self.socket.setblocking(False)

    def frames(self) -> list[tuple[bytes, bool, float]]:
        """Return the frames that wait, whether each is outgoing, and when it came or left.

        Tags are put back. The time is the kernel's: it may be read much later.
        """
        found: list[tuple[bytes, bool, float]] = []
        while True:
            try:
                data, extra, _, source = self.socket.recvmsg(LONGEST, 256)
            except OSError:
                return found
            at = stamp(extra)
            for level, kind, value in extra:
                if (level, kind) == (SOL_PACKET, AUXDATA) and len(value) >= 20:
                    status = struct.unpack_from("=I", value)[0]
                    if status & VLAN_VALID:
                        tag, protocol = struct.unpack_from("=HH", value, 16)
                        data = data[:12] + struct.pack("!HH", protocol or 0x8100, tag) + data[12:]
            found.append((data, source[2] == OUTGOING, at))

    def lost(self) -> int:
        """Return how many frames there was no room for, as far as that can be known."""
        try:
            return lost(self.socket)
        except OSError:
            return 0


def stamp(extra: list[tuple[int, int, bytes]]) -> float:
    """Return the kernel's time in a message's ancillary data, or now where it has none."""
    for level, kind, value in extra:
        if (level, kind) == (socket.SOL_SOCKET, TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("@ll", value)
            return float(seconds + nanoseconds / 1e9)
    return time.time()


def await_stamps() -> None:
    """Wait until frames get their time as they come, as far as this can be seen at loopback.

    For the first socket that asks for times the kernel begins with them a little later, by a work
    (net_enable_timestamp, net/core/dev.c). What came before has the time at which it is read
    (__sock_recv_timestamp, net/socket.c), and so would be in the wrong order.
    """
    end = time.monotonic() + STAMPING
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.settimeout(STAMPING)
        own.setsockopt(socket.SOL_SOCKET, TIMESTAMPNS, 1)
        try:
            own.bind(("127.0.0.1", 0))
            while time.monotonic() < end:
                own.sendto(b"underlay", own.getsockname())
                sent = time.time()
                time.sleep(0.001)
                _, extra, _, _ = own.recvmsg(LONGEST, 256)
                if stamp(extra) <= sent:
                    return
        except OSError:  # This machine's loopback is down, or filtered.
            return


def wanted(data: bytes, outgoing: bool, marks: list[bytes], program: list[list[int]]) -> bool:
    """Whether a frame is to be reported: it holds one of the marks and passes the filter.

    Without marks any holds one, and without a filter any passes.
    """
    if marks and not any(mark in data for mark in marks):
        return False
    return not program or passes(program, data, outgoing)


def listen(task: dict[str, Any]) -> tuple[list[Point], dict[str, str]]:
    """Return the points of a task once they hear, and why those that aren't there are missing."""
    points, missing = [], {}
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    for space, kind, devices in task["spaces"]:
        try:
            own = home if kind == "node" else opened(space, kind, "")
        except (Missing, OSError) as error:
            missing.update({f"{space} {device}": str(error) for device in devices})
            continue
        enter(own)
        try:
            for device in devices:
                try:
                    points.append(Point(f"{space} {device}", device))
                except OSError as error:
                    missing[f"{space} {device}"] = str(error)
        finally:
            enter(home)
    if points:
        await_stamps()
    for point in points:
        point.frames()  # What came until now came before it was told that anybody listens.
    return points, missing


def say(value: object) -> None:
    """Print one JSON value as a line, at once."""
    sys.stdout.write(json.dumps(value, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def main(argument: str) -> int:
    """Capture as the packed ``argument`` asks; sniff_command says what is in it."""
    task = json.loads(zlib.decompress(base64.b64decode(argument)))
    marks = [bytes.fromhex(mark) for mark in task["marks"]]
    points, missing = listen(task)
    say({"ready": [point.name for point in points], "missing": missing})
    capture(points, marks, task)
    say({"lost": {point.name: number for point in points if (number := point.lost())}})
    return 0


def capture(points: list[Point], marks: list[bytes], task: dict[str, Any]) -> None:
    """Print what comes to ``points`` until the time is over, stdin is closed, or it is enough."""
    end = time.monotonic() + task["seconds"]
    left = task["count"] or sys.maxsize
    stdin = sys.stdin.fileno()
    over = False
    while left and not over:
        patience = end - time.monotonic()
        files = [stdin, *(point.socket for point in points)]
        readable, _, _ = select.select(files, [], [], max(0.0, patience))
        # What has come by then is still read.
        over = patience <= 0 or (stdin in readable and not os.read(stdin, 4096))
        heard = points if over else [point for point in points if point.socket in readable]
        for row in islice(rows(heard, marks, task), left):
            left -= 1
            say(row)


def rows(
    points: list[Point], marks: list[bytes], task: dict[str, Any]
) -> Iterator[dict[str, object]]:
    """Yield the frames that wait at ``points`` and are to be reported, each as it is printed."""
    for point in points:
        for data, outgoing, at in point.frames():
            if wanted(data, outgoing, marks, task["program"]):
                yield {
                    "at": point.name,
                    "time": at,
                    "out": outgoing,
                    "length": len(data),
                    "data": base64.b64encode(data[: task["snap"]]).decode(),
                }
