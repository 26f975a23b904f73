"""Options of sockets that Python has no names for: filters, room for packets, counts of losses.

Runs on machines as part of what is sent there: standard library only, Python 3.9 or newer.

A filter is a program of classic BPF that the kernel runs before it hands out a packet (socket(7),
SO_ATTACH_FILTER; Documentation/networking/filter.rst). On a User Mode Linux node a packet that is
read costs more than all that the kernel does with it.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Code, jump if so, jump if not, and operand.
Instruction = tuple[int, int, int, int]

# Codes of linux/bpf_common.h: loads of a word, a half word and a byte, the last two also from where
# the index says; the length of an IPv4 header into the index; and; jumps if equal and if a bit is
# set; the end, which says how many bytes are handed out.
LD, LDH, LDB, LDH_X, LDB_X, LDXB_HEADER = 0x20, 0x28, 0x30, 0x48, 0x50, 0xB1
AND, JEQ, JSET, RET = 0x54, 0x15, 0x45, 0x06
# Where the kernel has what no packet holds: SKF_AD_OFF with SKF_AD_PROTOCOL, SKF_AD_PKTTYPE and
# SKF_AD_IFINDEX, linux/filter.h.
ETHERTYPE, PACKET_TYPE, INTERFACE = 0xFFFFF000, 0xFFFFF004, 0xFFFFF008
OTHERS, OUTGOING = 3, 4  # packet types, linux/if_packet.h
ALL_OF_IT = 0x40000

SO_ATTACH_FILTER, SO_RCVBUFFORCE = 26, 33  # asm-generic/socket.h
SOL_PACKET, PACKET_STATISTICS = 263, 6
ROOM = 1 << 20


def attach_filter(made: socket.socket, program: Sequence[Instruction]) -> None:
    """Have the kernel hand out to a socket only what passes ``program``; raise OSError."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code)
    filtering = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    made.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filtering)


def keep_unread(made: socket.socket, size: int = ROOM) -> None:
    """Let a socket keep ``size`` bytes that nobody has read yet.

    Without the right to that it is no more than net.core.rmem_max says (socket(7)), by default
    room for some hundred small frames.
    """
    try:
        made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
    except OSError:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def lost(made: socket.socket) -> int:
    """Return how many frames a packet socket had no room for since that was last asked; packet(7).

    Raises OSError where the interface that it is bound to is gone.
    """
    return int(struct.unpack("=II", made.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1])
