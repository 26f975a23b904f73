"""Frames with a mark on them, and a filter by which the kernel hands out only those that count.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.

What is sent to everybody comes to every namespace, and nearly all of it is as planned. So the
kernel looks at the mark, and nobody reads those frames.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from underlay.observe.on_node.packets import (
    ADVERTISEMENT,
    ARP_REPLY,
    ETH_ARP,
    ETH_IPV6,
    MAGIC,
    checksum,
    packed,
)
from underlay.observe.on_node.socket_options import (
    ALL_OF_IT,
    INTERFACE,
    JEQ,
    JSET,
    LD,
    LDB,
    LDH,
    OTHERS,
    PACKET_TYPE,
    RET,
    Instruction,
    attach_filter,
    keep_unread,
)

UNPLANNED, LEADING = 1, 2  # flags of a mark
# Where the mark is: behind an ARP packet, and in an IPv6 datagram.
AT = {ETH_ARP: 42, ETH_IPV6: 62}
SIZE = len(MAGIC) + 8 + 5
ALL_NODES = "ff02::1"  # RFC 4291, 2.7.1
DISCARD = 9  # a port that nobody listens at, RFC 863
MOST_SORTS = 200  # a jump leads over 255 instructions at most


class Mark(NamedTuple):
    """Whose frame it is: the ``number`` of its sender's point, that one's sort, and flags."""

    sort: int
    number: int
    flags: int = 0


def marked(nonce: bytes, mark: Mark) -> bytes:
    """Return the bytes of a mark."""
    return MAGIC + nonce.ljust(8)[:8] + struct.pack("!HHB", *mark)


def read_mark(nonce: bytes, frame: bytes, kind: int) -> Mark | None:
    """Return the mark of a frame of type ``kind`` of this measurement, None for another."""
    found = frame[AT[kind] : AT[kind] + SIZE]
    if len(found) < SIZE or found[:-5] != MAGIC + nonce.ljust(8)[:8]:
        return None
    return Mark(*struct.unpack("!HHB", found[-5:]))


def to_all_nodes(mac: bytes, source: str, body: bytes) -> bytes:
    """Return the frame of a datagram with ``body`` to all nodes of a link, from ``source``."""
    group = packed(ALL_NODES)
    size = 8 + len(body)
    udp = struct.pack("!HHHH", DISCARD, DISCARD, size, 0) + body
    pseudo = packed(source) + group + struct.pack("!II", size, socket.IPPROTO_UDP)
    # Zero would say that there is none (RFC 8200, 8.1).
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp) or 0xFFFF) + udp[8:]
    head = struct.pack("!IHBB", 6 << 28, size, socket.IPPROTO_UDP, 255)
    ethernet = b"\x33\x33" + group[12:] + mac + struct.pack("!H", ETH_IPV6)
    return ethernet + head + packed(source) + group + udp


def source_of(frame: bytes, kind: int) -> str:
    """Return the address that a frame of type ``kind`` says to be from."""
    if kind == ETH_ARP:
        return socket.inet_ntoa(frame[28:32])
    return socket.inet_ntop(socket.AF_INET6, frame[22:38])


def attach(
    made: socket.socket, index: int, nonce: bytes, kind: int, hears: list[int], controls: list[int]
) -> None:
    """Have ``made`` take answers, marks of sorts that aren't in ``hears``, and the controls'.

    Of the sorts ``controls`` what leads is taken. Raises OSError where the kernel refuses that.

    A socket that is bound to a NIC gets what the NIC's VLAN sub-interfaces and children take,
    too (Linux net/core/dev.c, __netif_receive_skb_core: orig_dev). So only what comes to the
    interface ``index`` passes.
    """
    own = [(LD, 0, 0, INTERFACE), (JEQ, 1, 0, index), (RET, 0, 0, 0)]
    attach_filter(made, [*own, *program(nonce, kind, hears, controls)])
    keep_unread(made)


def program(nonce: bytes, kind: int, hears: list[int], controls: list[int]) -> list[Instruction]:
    """Return the filter of such a socket, which bpf.py can run, too."""
    known = hears if len(hears) <= MOST_SORTS else []
    words = struct.unpack("!4I", MAGIC + nonce.ljust(8)[:8])
    at = AT[kind]
    # (code, constant, where to if true, where to if false); empty for the next instruction.
    lines: list[tuple[int, int, str, str]] = [
        (LDB, PACKET_TYPE, "", ""),
        (JEQ, OTHERS, "drop", ""),  # the stack doesn't take it
    ]
    if kind == ETH_ARP:
        lines += [(LDH, 20, "", ""), (JEQ, ARP_REPLY, "take", "")]
    else:
        lines += [(LDB, 54, "", ""), (JEQ, ADVERTISEMENT, "advertised", "")]
    for number, word in enumerate(words):
        lines += [(LD, at + 4 * number, "", ""), (JEQ, word, "", "drop")]
    lines += [(LDB, at + SIZE - 1, "", ""), (JSET, UNPLANNED, "take", "")]
    lines += [(LDH, at + SIZE - 5, "", "")]
    lines += [(JEQ, sort, "control", "") for sort in controls]
    lines += [(JEQ, sort, "drop", "") for sort in known]
    lines += [(RET, ALL_OF_IT, "take", "")]
    targets = {
        "control": [(LDB, at + SIZE - 1, "", ""), (JSET, LEADING, "last", "drop")],
        "advertised": [(LDB, 20, "", ""), (JEQ, socket.IPPROTO_ICMPV6, "last", "drop")],
    }
    places = {"take": len(lines) - 1}
    for name, more in targets.items():
        places[name] = len(lines)
        lines += more
    places |= {"drop": len(lines), "last": len(lines) + 1}
    lines += [(RET, 0, "", ""), (RET, ALL_OF_IT, "", "")]
    return [
        (
            code,
            places[yes] - number - 1 if yes and code != RET else 0,
            places[no] - number - 1 if no and code != RET else 0,
            constant,
        )
        for number, (code, constant, yes, no) in enumerate(lines)
    ]
