"""Captures frames at any number of interfaces of a machine at once, in several namespaces.

Runs on the node or at the switch, where gather.py does: standard library only, Python 3.9 or
newer, so that neither tcpdump nor a file is needed there. It prints ``ready``, and then each
frame as a line of JSON until its time or its count is over, or its stdin is closed.
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
from typing import Any

from underlay.observe.on_node.bpf import passes
from underlay.observe.on_node.namespaces import Missing, enter, opened

EVERY = 0x0003  # ETH_P_ALL
SOL_PACKET, ADD_MEMBERSHIP, AUXDATA = 263, 1, 8
PROMISCUOUS = 1
VLAN_VALID = 1 << 4
OUTGOING = 4
LONGEST = 65535


class Point:
    """One interface that is listened at; ``name`` is what its frames are reported as."""

    def __init__(self, name: str, device: str) -> None:
        """Listen in the namespace that this thread is in; raise OSError."""
        self.name = name
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY))
        self.socket.bind((device, EVERY))
        self.socket.setsockopt(SOL_PACKET, AUXDATA, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        request = struct.pack("=iHH8x", socket.if_nametoindex(device), PROMISCUOUS, 0)
        self.socket.setsockopt(SOL_PACKET, ADD_MEMBERSHIP, request)
        self.socket.setblocking(False)

    def frames(self) -> list[tuple[bytes, bool]]:
        """Return the frames that wait, with whether each is outgoing; tags are put back."""
        found: list[tuple[bytes, bool]] = []
        while True:
            try:
                data, extra, _, source = self.socket.recvmsg(LONGEST, 256)
            except OSError:
                return found
            for level, kind, value in extra:
                if (level, kind) == (SOL_PACKET, AUXDATA) and len(value) >= 20:
                    status = struct.unpack_from("=I", value)[0]
                    if status & VLAN_VALID:
                        tag, protocol = struct.unpack_from("=HH", value, 16)
                        data = data[:12] + struct.pack("!HH", protocol or 0x8100, tag) + data[12:]
            found.append((data, source[2] == OUTGOING))


def wanted(data: bytes, outgoing: bool, marks: list[bytes], program: list[list[int]]) -> bool:
    """Whether a frame is to be reported: it holds one of the marks and passes the filter.

    Without marks any holds one, and without a filter any passes.
    """
    if marks and not any(mark in data for mark in marks):
        return False
    return not program or passes(program, data, outgoing)


def listen(task: dict[str, Any]) -> tuple[list[Point], dict[str, str]]:
    """Return the points of a task, and why those that aren't there are missing."""
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
    end = time.monotonic() + task["seconds"]
    left = task["count"] or -1
    by_file = {point.socket.fileno(): point for point in points}
    stdin = sys.stdin.fileno()
    while left:
        patience = end - time.monotonic()
        if patience <= 0:
            break
        readable, _, _ = select.select([stdin, *by_file], [], [], patience)
        if stdin in readable and not os.read(stdin, 4096):
            break
        for file in readable:
            if file not in by_file:
                continue
            for data, outgoing in by_file[file].frames():
                if left and wanted(data, outgoing, marks, task["program"]):
                    left -= 1
                    say(
                        {
                            "at": by_file[file].name,
                            "time": time.time(),
                            "out": outgoing,
                            "length": len(data),
                            "data": base64.b64encode(data[: task["snap"]]).decode(),
                        }
                    )
    return 0
