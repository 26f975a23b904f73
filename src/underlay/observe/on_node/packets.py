"""What the probe puts on the wire, and how it reads what others put there.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

MAGIC = b"underlay"
ECHO_REPLY, UNREACHABLE, ECHO = 0, 3, 8  # RFC 792
UNREACHABLE6, ECHO6, ECHO_REPLY6 = 1, 128, 129  # RFC 4443
SOLICITATION, ADVERTISEMENT = 135, 136  # RFC 4861
SOURCE_LINK, TARGET_LINK = 1, 2  # its options
ETH_ARP, ETH_IPV6 = 0x0806, 0x86DD
ARP_REQUEST, ARP_REPLY = 1, 2  # RFC 826
BROADCAST = b"\xff" * 6


class Token(NamedTuple):
    """What a packet of the probe carries: whose cell, by which protocol, and which attempt it is.

    ``answerer`` is the namespace that answers; empty in a request.
    """

    number: int
    protocol: str
    attempt: int
    answerer: str = ""


def family_of(address: str) -> int:
    """Return 6 for an IPv6 address, and 4 for another."""
    return 6 if ":" in address else 4


def is_link_local(address: str) -> bool:
    """Whether an address is IPv6's for one link only (RFC 4291, 2.5.6)."""
    return address.startswith(("fe8", "fe9", "fea", "feb"))


def packed(address: str) -> bytes:
    """Return the address as it stands in a packet."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def ported(protocol: str) -> tuple[str, int]:
    """Return a protocol's own word, and the port of the lab's choice: 0 where there is none."""
    word, _, port = protocol.partition(":")
    return word, int(port or 0)


def token(nonce: bytes, number: int, protocol: str, attempt: int) -> bytes:
    """Return what the packet of this cell, protocol and attempt carries."""
    return b"%s %s %d %s %d" % (MAGIC, nonce, number, protocol.encode(), attempt)


def read_token(nonce: bytes, data: bytes) -> Token | None:
    """Return what a packet of this measurement carries, None for another."""
    fields = data.split(b" ", 5)
    if len(fields) < 5 or fields[0] != MAGIC or fields[1] != nonce:
        return None
    try:
        answerer = fields[5].decode() if len(fields) > 5 else ""
        return Token(int(fields[2]), fields[3].decode(), int(fields[4]), answerer)
    except ValueError:
        return None


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def echo(family: int, identity: int, sequence: int, payload: bytes) -> bytes:
    """Return an ICMP echo request; the kernel fills in the checksum of ICMPv6."""
    if family == 6:
        return struct.pack("!BBHHH", ECHO6, 0, 0, identity, sequence) + payload
    data = struct.pack("!BBHHH", ECHO, 0, 0, identity, sequence) + payload
    return data[:2] + struct.pack("!H", checksum(data)) + data[4:]


def arp_request(mac: bytes, source: str, destination: str) -> bytes:
    """Return the broadcast frame by which ``source`` asks for ``destination``'s MAC address."""
    head = BROADCAST + mac + struct.pack("!HHHBBH", ETH_ARP, 1, 0x0800, 6, 4, ARP_REQUEST)
    return head + mac + packed(source) + bytes(6) + packed(destination)


def arp_reply(frame: bytes) -> tuple[str, str, str] | None:
    """Return (address, its MAC address, who asked) of an ARP reply; None for another frame."""
    if len(frame) < 42 or struct.unpack_from("!H", frame, 20)[0] != ARP_REPLY:
        return None
    return socket.inet_ntoa(frame[28:32]), readable(frame[22:28]), socket.inet_ntoa(frame[38:42])


def solicitation(mac: bytes, source: str, destination: str) -> bytes:
    """Return the frame by which ``source`` asks for an IPv6 ``destination``'s MAC address.

    It goes to the solicited-node group of the destination (RFC 4291, 2.7.1).
    """
    wanted = packed(destination)
    group = bytes.fromhex("ff0200000000000000000001ff") + wanted[13:]
    body = struct.pack("!BBHI", SOLICITATION, 0, 0, 0) + wanted
    body += struct.pack("!BB", SOURCE_LINK, 1) + mac
    pseudo = packed(source) + group + struct.pack("!II", len(body), socket.IPPROTO_ICMPV6)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    head = struct.pack("!IHBB", 6 << 28, len(body), socket.IPPROTO_ICMPV6, 255)
    ethernet = b"\x33\x33" + group[12:] + mac + struct.pack("!H", ETH_IPV6)
    return ethernet + head + packed(source) + group + body


def advertisement(message: bytes) -> tuple[str, str] | None:
    """Return (address, its MAC address) as a neighbour advertisement says; else None."""
    if len(message) < 24 or message[0] != ADVERTISEMENT:
        return None
    address, options = socket.inet_ntop(socket.AF_INET6, message[8:24]), message[24:]
    while len(options) >= 8 and options[1]:
        if options[0] == TARGET_LINK:
            return address, readable(options[2:8])
        options = options[options[1] * 8 :]
    return None


def readable(mac: bytes) -> str:
    """Return a MAC address as people write it."""
    return ":".join(f"{byte:02x}" for byte in mac)
