"""Whether somebody on the wire has an address already: asked as a host asks before it takes one.

An ARP probe names no address of its own sender, so that nobody's table changes (RFC 5227, 2.1.1);
so does the solicitation of IPv6's detection of duplicates (RFC 4862, 5.4.2).
"""

from __future__ import annotations

import select
import socket
import struct
import time

TIMES = 3
BETWEEN = 0.2  # s from one round to the next
LISTEN = 0.6  # s after the last one
RATE = 100.0  # frames a second that leave a host
ETH_ALL, ETH_ARP, ETH_IPV6 = 3, 0x0806, 0x86DD
ARP_REQUEST, ARP_REPLY, ICMPV6 = 1, 2, 58
SOLICITATION, ADVERTISEMENT = 135, 136
OUTGOING = 4  # linux/if_packet.h


def answering(asked: list[tuple[str, str]]) -> dict[str, str]:
    """Return the MAC address of whoever answers, by address; ``asked`` are (interface, address).

    Raises OSError where an interface can't be asked at.
    """
    ports: dict[str, socket.socket] = {}
    try:
        for interface, _ in asked:
            if interface not in ports:
                ports[interface] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
                ports[interface].bind((interface, ETH_ALL))
        found: dict[str, str] = {}
        wanted = {address for _, address in asked}
        for number in range(TIMES):
            for interface, address in asked:
                if address not in found:
                    ports[interface].send(probe(ports[interface].getsockname()[4], address))
                    _listen(ports, wanted, found, 1 / RATE)
            _listen(ports, wanted, found, BETWEEN if number < TIMES - 1 else LISTEN)
        return found
    finally:
        for port in ports.values():
            port.close()


def probe(mac: bytes, address: str) -> bytes:
    """Return the frame that asks, from ``mac``, who has ``address``."""
    if ":" not in address:
        body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, ARP_REQUEST) + mac + bytes(4)
        body += bytes(6) + socket.inet_aton(address)
        return b"\xff" * 6 + mac + struct.pack("!H", ETH_ARP) + body
    target = socket.inet_pton(socket.AF_INET6, address)
    group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + target[13:]
    body = struct.pack("!BBHI", SOLICITATION, 0, 0, 0) + target
    counted = bytes(16) + group + struct.pack("!II", len(body), ICMPV6) + body
    body = body[:2] + struct.pack("!H", _checksum(counted)) + body[4:]
    head = struct.pack("!IHBB", 6 << 28, len(body), ICMPV6, 255) + bytes(16) + group
    return b"\x33\x33" + group[12:] + mac + struct.pack("!H", ETH_IPV6) + head + body


def answer(frame: bytes) -> tuple[str, str] | None:
    """Return which address a frame says somebody has, and the MAC address; None for another one."""
    kind = int.from_bytes(frame[12:14], "big")
    if kind == ETH_ARP and len(frame) >= 42 and frame[21] == ARP_REPLY:
        return socket.inet_ntoa(frame[28:32]), frame[22:28].hex(":")
    is_one = kind == ETH_IPV6 and len(frame) >= 78 and frame[20] == ICMPV6
    if is_one and frame[54] == ADVERTISEMENT:
        return socket.inet_ntop(socket.AF_INET6, frame[62:78]), frame[6:12].hex(":")
    return None


def _listen(
    ports: dict[str, socket.socket], wanted: set[str], found: dict[str, str], seconds: float
) -> None:
    """Note for so long who answers."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        readable, _, _ = select.select(list(ports.values()), [], [], left)
        for port in readable:
            frame, place = port.recvfrom(2048)
            said = answer(frame) if place[2] != OUTGOING else None
            if said and said[0] in wanted:
                found.setdefault(*said)


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of data of an even length."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
