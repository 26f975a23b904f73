"""Decides whether a frame passes a filter: the machine that tcpdump's expressions are made for.

The program is what ``tcpdump -ddd`` prints: (code, jump if true, jump if false, constant). It
is run here and not by the kernel, which takes VLAN tags off before a filter sees the frame. So a
capture with a filter holds what ``tcpdump -r`` would choose from one without.

The instructions are those of McCanne and Jacobson, "The BSD Packet Filter" (1993), with the
numbers of Linux include/uapi/linux/bpf_common.h. Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

from underlay.observe.on_node.socket_options import OUTGOING, PACKET_TYPE

WORD = 0xFFFFFFFF
TO_US = 0  # the packet type of what isn't outgoing, linux/if_packet.h


class Outside(Exception):
    """The program reads beyond the frame's end, which means that the frame doesn't pass."""


def passes(program: list[list[int]], frame: bytes, outgoing: bool) -> bool:
    """Whether ``frame`` passes ``program``; ``outgoing`` is what `inbound` and `outbound` ask."""
    try:
        return bool(_run(program, frame, outgoing))
    except Outside:
        return False


def _run(program: list[list[int]], frame: bytes, outgoing: bool) -> int:
    a = x = at = 0
    memory = [0] * 16
    # Jumps lead forward only, so that a program ends.
    while at < len(program):
        code, yes, no, k = program[at]
        at += 1
        kind = code & 7
        if kind == 0:
            a = _loaded(code, k, x, frame, memory, outgoing)
        elif kind == 1:
            x = _loaded(code, k, 0, frame, memory, outgoing)
        elif kind == 2:
            memory[k] = a
        elif kind == 3:
            memory[k] = x
        elif kind == 4:
            a = _computed(code & 0xF0, a, x if code & 8 else k)
        elif kind == 5 and code & 0xF0 == 0:
            at += k
        elif kind == 5:
            at += yes if _compared(code & 0xF0, a, x if code & 8 else k) else no
        elif kind == 6:
            return a if code & 0x18 == 0x10 else k
        elif code & 0x80:
            a = x
        else:
            x = a
    return 0


def _loaded(code: int, k: int, x: int, frame: bytes, memory: list[int], outgoing: bool) -> int:
    mode = code & 0xE0
    if mode == 0x00:
        return k
    if mode == 0x60:
        return memory[k]
    if mode == 0x80:
        return len(frame)
    if mode == 0x20 and k == PACKET_TYPE:
        return OUTGOING if outgoing else TO_US
    size = {0x00: 4, 0x08: 2, 0x10: 1}[code & 0x18]
    start = (k + x if mode == 0x40 else k) & WORD
    value = frame[start : start + size]
    if len(value) < size:
        raise Outside
    if mode == 0xA0:
        return (value[0] & 15) * 4
    return int.from_bytes(value, "big")


def _computed(operation: int, a: int, by: int) -> int:
    if operation in (0x30, 0x90) and by == 0:
        raise Outside
    if operation == 0x80:
        return -a & WORD
    if operation in (0x60, 0x70) and by > 31:
        return 0
    return {
        0x00: lambda: a + by,
        0x10: lambda: a - by,
        0x20: lambda: a * by,
        0x30: lambda: a // by,
        0x40: lambda: a | by,
        0x50: lambda: a & by,
        0x60: lambda: a << by,
        0x70: lambda: a >> by,
        0x90: lambda: a % by,
        0xA0: lambda: a ^ by,
    }[operation]() & WORD


def _compared(operation: int, a: int, by: int) -> bool:
    if operation == 0x10:
        return a == by
    if operation == 0x20:
        return a > by
    return a >= by if operation == 0x30 else bool(a & by)
