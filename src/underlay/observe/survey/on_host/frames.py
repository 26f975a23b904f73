"""Sends the frames that it is told, at a fixed rate, and says which marked ones arrive.

Runs on the machine as root: standard library only, Python 3.9 or newer. All that it has is
packet sockets, and sockets that join a group: both end with this process, however that ends, and
promiscuous mode and membership with them (packet(7); ip(7)). It is led by lines of JSON on stdin
and ends with that, or past its time.
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

from underlay.observe.on_node.sniff import Point, say
from underlay.observe.on_node.socket_options import (
    ALL_OF_IT,
    JEQ,
    LDB,
    LDH,
    LDH_X,
    LDXB_HEADER,
    RET,
    attach_filter,
)

ETH_MARKED = 0x88B5  # IEEE 802, "local experimental EtherType 1"
MAGIC = b"underlay"
DISCARD = 9  # the UDP port of marked datagrams, RFC 863
ARP_REPLY = 2
DHCP_SERVER = 67
IP_ADD_MEMBERSHIP, IPV6_JOIN_GROUP = 35, 20
# Whatever else passes a busy NIC never gets to this process.
FILTER = (
    (LDH, 0, 0, 12),
    (JEQ, 17, 0, ETH_MARKED),
    (JEQ, 16, 0, 0x0806),
    (JEQ, 15, 0, 0x8100),
    (JEQ, 0, 7, 0x0800),
    (LDB, 0, 0, 23),
    (JEQ, 0, 11, 17),
    (LDXB_HEADER, 0, 0, 14),
    (LDH_X, 0, 0, 14),
    (JEQ, 9, 0, 67),
    (LDH_X, 0, 0, 16),
    (JEQ, 7, 6, DISCARD),
    (JEQ, 0, 5, 0x86DD),
    (LDB, 0, 0, 20),
    (JEQ, 0, 2, 58),
    (LDB, 0, 0, 54),
    (JEQ, 2, 1, 134),
    (JEQ, 1, 0, 17),
    (RET, 0, 0, 0),
    (RET, 0, 0, ALL_OF_IT),
)
LONGEST_LINE = 1 << 22


class Port(Point):
    """One NIC: a packet socket, promiscuous, for marked frames and what routers and servers say."""

    def __init__(self, device: str) -> None:
        """Open it; raise OSError."""
        super().__init__(device, device)
        attach_filter(self.socket, FILTER)

    def send(self, frame: bytes) -> str:
        """Put a frame on the wire; return why that failed, or nothing."""
        try:
            self.socket.send(frame)
        except OSError as error:
            return error.strerror or str(error)
        return ""


class Agent:
    """The NICs of this machine, and what was heard at them since it was last asked."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.nonce = bytes.fromhex(task["nonce"])
        self.gap = 1.0 / task["rate"]
        self.end = time.monotonic() + task["seconds"]
        self.ports: dict[str, Port] = {}
        self.missing: dict[str, str] = {}
        self.heard: list[list[Any]] = []
        self.members: list[socket.socket] = []
        for nic in task["nics"]:
            try:
                self.ports[nic] = Port(nic)
            except OSError as error:
                self.missing[nic] = error.strerror or str(error)
        self.by_file = {port.socket.fileno(): port for port in self.ports.values()}
        self.waiting = b""
        self.left = False

    def listen(self, until: float, *, told: bool = False) -> str | None:
        """Take frames until a moment, or with ``told`` until a line comes.

        Returns that line, empty where stdin is closed, and None where the time is over. Whoever
        leads may be gone at any time, also while frames are sent.
        """
        stdin = sys.stdin.fileno()
        while True:
            if told and b"\n" in self.waiting:
                line, _, self.waiting = self.waiting.partition(b"\n")
                return line.decode()
            if self.left:
                return "" if told else None
            patience = min(until, self.end) - time.monotonic()
            # One last look, however late: what waits has arrived in time.
            files = [*self.by_file, stdin]
            readable, _, _ = select.select(files, [], [], max(0.0, patience))
            if stdin in readable:
                more = os.read(stdin, 1 << 16)
                self.waiting += more
                self.left = not more or len(self.waiting) > LONGEST_LINE
            for file in readable:
                if file in self.by_file:
                    self.take(self.by_file[file])
            if patience <= 0:
                return None

    def take(self, port: Port) -> None:
        """Note the frames that wait at a NIC."""
        for data, outgoing, _ in port.frames():
            row = None if outgoing else noted(self.nonce, data)
            if row is not None:
                self.heard.append([port.name, *row])

    def send(self, frames: list[list[Any]]) -> dict[str, Any]:
        """Send [NIC, bytes in hexadecimal, length that they are padded to], one each tick."""
        failed: dict[str, int] = {}
        due = time.monotonic()
        for nic, text, length in frames:
            due = max(due + self.gap, time.monotonic())
            self.listen(due)
            if self.left or time.monotonic() >= self.end:
                break
            why = self.ports[nic].send(bytes.fromhex(text).ljust(length, b"\0"))
            if why:
                failed[f"{nic}: {why}"] = failed.get(f"{nic}: {why}", 0) + 1
        return {"sent": len(frames), "failed": failed}

    def join(self, wanted: list[list[str]]) -> dict[str, Any]:
        """Become a member of [NIC, group]; the kernel tells the switch by IGMP or MLD."""
        refused = []
        for nic, group in wanted:
            try:
                self.members.append(member(nic, group))
            except OSError as error:
                refused.append([nic, group, error.strerror or str(error)])
        return {"refused": refused}

    def tell(self) -> dict[str, Any]:
        """Return what was heard since the last time."""
        found, self.heard = self.heard, []
        return {"heard": found}

    def run(self) -> int:
        """Do what stdin says until it is closed or the time is over."""
        say({"ready": sorted(self.ports), "missing": self.missing})
        while True:
            line = self.listen(self.end, told=True)
            if not line:
                return 0
            order = json.loads(line)
            if "send" in order:
                say(self.send(order["send"]))
            elif "join" in order:
                say(self.join(order["join"]))
            elif "listen" in order:
                self.listen(time.monotonic() + order["listen"])
                say(self.tell())
            else:
                say(self.tell())


def member(nic: str, group: str) -> socket.socket:
    """Return a socket that is a member of a group at a NIC, as long as it is open."""
    index = socket.if_nametoindex(nic)
    if ":" in group:
        made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        packed = socket.inet_pton(socket.AF_INET6, group)
        made.setsockopt(socket.IPPROTO_IPV6, IPV6_JOIN_GROUP, packed + struct.pack("=I", index))
        return made
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    request = struct.pack("=4s4si", socket.inet_aton(group), bytes(4), index)
    made.setsockopt(socket.IPPROTO_IP, IP_ADD_MEMBERSHIP, request)
    return made


def noted(nonce: bytes, data: bytes) -> list[Any] | None:
    """Return [VLAN or -1, length without headers, number, hexadecimal] of a frame of interest.

    A marked one has a number and no bytes; an ARP reply, an advertisement of a router and an
    offer of DHCP have bytes and no number. None for any other.
    """
    vlan, offset = -1, 12
    if len(data) >= 18 and data[12:14] == b"\x81\x00":
        vlan, offset = struct.unpack_from("!H", data, 14)[0] & 0xFFF, 16
    at = data.find(MAGIC + nonce)
    size = len(data) - offset - 2
    if at >= 0 and len(data) >= at + 16:
        return [vlan, size, struct.unpack_from("!I", data, at + 12)[0], ""]
    kind = struct.unpack_from("!H", data, offset)[0] if len(data) > offset + 2 else 0
    body = data[offset + 2 :]
    if kind == 0x0806:
        wanted = len(body) >= 28 and body[7] == ARP_REPLY
    elif kind == 0x0800:
        wanted = len(body) >= 28 and body[9] == 17 and data.find(MAGIC) < 0 and _is_offer(body)
    else:
        wanted = kind == 0x86DD and len(body) >= 56 and body[6] == 58 and body[40] == 134
    # All that is read of it stands in its first bytes.
    return [vlan, size, -1, data[:600].hex()] if wanted else None


def _is_offer(body: bytes) -> bool:
    """Whether an IPv4 packet with UDP comes from a DHCP server's port (RFC 2131, 4.1)."""
    port: int = struct.unpack_from("!H", body, (body[0] & 15) * 4)[0]
    return port == DHCP_SERVER


def main(argument: str) -> int:
    """Be led by stdin, with the NICs that the packed ``argument`` names."""
    return Agent(json.loads(zlib.decompress(base64.b64decode(argument)))).run()
