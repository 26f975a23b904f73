"""Filters choose the frames that tcpdump would; the programs are what its 4.99 compiled."""

from __future__ import annotations

import struct

import pytest

from underlay.errors import BadInput
from underlay.observe import frame_filter
from underlay.observe.on_node.bpf import passes

PROGRAMS = {
    "icmp": [[40, 0, 0, 12], [21, 0, 3, 2048], [48, 0, 0, 23], [21, 0, 1, 1],
             [6, 0, 0, 262144], [6, 0, 0, 0]],
    "vlan 70 and icmp": [
        [40, 0, 0, 12], [21, 2, 0, 33024], [21, 1, 0, 34984], [21, 0, 8, 37120], [40, 0, 0, 14],
        [84, 0, 0, 4095], [21, 0, 5, 70], [40, 0, 0, 16], [21, 0, 3, 2048], [48, 0, 0, 27],
        [21, 0, 1, 1], [6, 0, 0, 262144], [6, 0, 0, 0],
    ],
    "inbound": [[40, 0, 0, 4294963204], [21, 0, 1, 4], [6, 0, 0, 0], [6, 0, 0, 262144]],
    # With a header's length from the frame, as `tcp dst port 80` has it.
    "tcp dst port 80": [
        [40, 0, 0, 12], [21, 0, 8, 2048], [48, 0, 0, 23], [21, 0, 6, 6], [40, 0, 0, 20],
        [69, 4, 0, 8191], [177, 0, 0, 14], [72, 0, 0, 16], [21, 0, 1, 80],
        [6, 0, 0, 262144], [6, 0, 0, 0],
    ],
    "less 60": [[128, 0, 0, 0], [37, 1, 0, 60], [6, 0, 0, 262144], [6, 0, 0, 0]],
}  # fmt: skip
ETHERNET = b"\2" * 12


def ip(protocol: int, body: bytes, options: int = 0) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45 + options, 0, 20, 0, 0, 64, protocol, 0)
    return ETHERNET + b"\x08\x00" + head + b"\1\1\1\1\2\2\2\2" + b"\0" * 4 * options + body


ECHO = ip(1, b"\x08\0\0\0")
SYN = ip(6, struct.pack("!HH", 4000, 80))
TAGGED = ECHO[:12] + b"\x81\x00\x00\x46" + ECHO[12:]
ARP = ETHERNET + b"\x08\x06" + b"\0" * 28


@pytest.mark.parametrize(
    ("name", "frames", "others"),
    [
        ("icmp", [ECHO], [SYN, TAGGED, ARP, ECHO[:20], b""]),
        ("vlan 70 and icmp", [TAGGED], [ECHO, SYN, TAGGED[:14] + b"\x00\x47" + TAGGED[16:]]),
        ("tcp dst port 80", [SYN, ip(6, struct.pack("!HH", 4000, 80), options=2)],
         [ip(6, struct.pack("!HH", 80, 4000)), ip(17, struct.pack("!HH", 4000, 80)), SYN[:36]]),
        ("less 60", [ECHO, ARP], [ECHO + b"\0" * 60]),
    ],
)  # fmt: skip
def test_a_program_chooses_its_frames(name: str, frames: list[bytes], others: list[bytes]) -> None:
    assert [passes(PROGRAMS[name], frame, outgoing=False) for frame in frames] == [True] * len(
        frames
    )
    assert not any(passes(PROGRAMS[name], frame, outgoing=False) for frame in others)


def test_a_direction_is_known() -> None:
    assert passes(PROGRAMS["inbound"], ARP, outgoing=False)
    assert not passes(PROGRAMS["inbound"], ARP, outgoing=True)


@pytest.mark.parametrize(
    ("operation", "a", "by", "result"),
    [
        (0x00, 0xFFFFFFFF, 2, 1), (0x10, 1, 2, 0xFFFFFFFF), (0x20, 1 << 31, 2, 0),
        (0x30, 9, 2, 4), (0x40, 8, 1, 9), (0x50, 12, 6, 4), (0x60, 1, 31, 1 << 31),
        (0x60, 1, 32, 0), (0x70, 8, 3, 1), (0x80, 1, 0, 0xFFFFFFFF), (0x90, 9, 4, 1),
        (0xA0, 6, 3, 5),
    ],
)  # fmt: skip
def test_arithmetic_is_of_32_bits(operation: int, a: int, by: int, result: int) -> None:
    """Put ``a`` in, compute, and pass where the result is as it must be."""
    program = [
        [0, 0, 0, a],
        [4 | operation, 0, 0, by],
        [21, 0, 1, result],
        [6, 0, 0, 1],
        [6, 0, 0, 0],
    ]
    assert passes(program, b"", outgoing=False)


@pytest.mark.parametrize("operation", [0x30, 0x90])
def test_a_division_by_nothing_does_not_pass(operation: int) -> None:
    assert not passes([[4 | operation, 0, 0, 0], [6, 0, 0, 1]], b"", outgoing=False)


def test_registers_and_memory_are_kept() -> None:
    program = [
        [0, 0, 0, 7], [2, 0, 0, 3], [7, 0, 0, 0], [0, 0, 0, 1], [12, 0, 0, 0], [3, 0, 0, 4],
        [97, 0, 0, 3], [135, 0, 0, 0], [21, 0, 1, 7], [5, 0, 0, 1], [6, 0, 0, 0],
        [96, 0, 0, 4], [22, 0, 0, 0],
    ]  # fmt: skip
    assert passes(program, b"", outgoing=False)


def test_what_a_frame_does_not_hold_is_refused() -> None:
    text = "3\n40 0 0 4294963240\n21 0 1 4\n6 0 0 0\n"
    with pytest.raises(BadInput, match="more than the frame"):
        frame_filter._program(text, "ifindex 4")
    assert frame_filter._program("1\n6 0 0 0\n", "") == [[6, 0, 0, 0]]
