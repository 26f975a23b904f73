"""Captured frames: read from sniff.py's lines, written as a pcap file, and summed up in words."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

# Little-endian pcap with nanoseconds and Ethernet frames; draft-ietf-opsawg-pcap.
MAGIC, ETHERNET, LONGEST = 0xA1B23C4D, 1, 262144
VLAN_TYPES = (0x8100, 0x88A8)
ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
NAMES = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}
ECHO = {(1, 8): "echo request", (1, 0): "echo reply", (58, 128): "echo request"}
ECHO |= {(58, 129): "echo reply", (58, 135): "who has", (58, 136): "is at"}


@dataclass(frozen=True)
class Frame:
    """One frame where it was seen. ``at`` is the point's name, ``time`` the machine's own."""

    at: str
    time: float
    out: bool
    length: int
    data: bytes


@dataclass(frozen=True)
class Summary:
    """A frame's headers in words: ``kind`` is ARP or a protocol's name, ``what`` its message."""

    kind: str
    what: str
    source: str
    destination: str
    vlan: int | None


def frame_from(row: dict[str, Any]) -> Frame:
    """Return the frame of one line of sniff.py's."""
    data = base64.b64decode(row["data"])
    return Frame(row["at"], row["time"], row["out"], row["length"], data)


def pcap(frames: Iterable[Frame]) -> bytes:
    """Return the frames as a pcap file, with nanoseconds."""
    parts = [struct.pack("<IHHiIII", MAGIC, 2, 4, 0, 0, LONGEST, ETHERNET)]
    for frame in frames:
        seconds = int(frame.time)
        nanoseconds = int((frame.time - seconds) * 1e9)
        head = struct.pack("<IIII", seconds, nanoseconds, len(frame.data), frame.length)
        parts += [head, frame.data]
    return b"".join(parts)


def summary(data: bytes) -> Summary:
    """Return a frame's headers in words. An unknown EtherType is given as its number."""
    if len(data) < 14:
        return Summary("short", "", "", "", None)
    kind, offset, vlan = struct.unpack_from("!H", data, 12)[0], 14, None
    if kind in VLAN_TYPES and len(data) >= 18:
        tag, kind = struct.unpack_from("!HH", data, 14)
        offset, vlan = 18, tag & 0xFFF
    body = data[offset:]
    if kind == ARP and len(body) >= 28:
        what = "who has" if struct.unpack_from("!H", body, 6)[0] == 1 else "is at"
        asker, asked = (str(IPv4Address(body[at : at + 4])) for at in (14, 24))
        return Summary("ARP", what, asker, asked, vlan)
    if kind == IPV4 and len(body) >= 20:
        inner = body[(body[0] & 15) * 4 :]
        source, there = (str(IPv4Address(body[at : at + 4])) for at in (12, 16))
        return Summary(*_inner(body[9], inner), source, there, vlan)
    if kind == IPV6 and len(body) >= 40:
        source, there = str(IPv6Address(body[8:24])), str(IPv6Address(body[24:40]))
        return Summary(*_inner(body[6], body[40:]), source, there, vlan)
    return Summary(f"0x{kind:04x}", "", "", "", vlan)


def _inner(protocol: int, inner: bytes) -> tuple[str, str]:
    name = NAMES.get(protocol, f"protocol {protocol}")
    if protocol in (6, 17) and len(inner) >= 4:
        source, there = struct.unpack_from("!HH", inner)
        return name, f"{source} to {there}"
    kind = inner[0] if inner else -1
    return name, ECHO.get((protocol, kind), f"type {kind}")
