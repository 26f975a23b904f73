"""Which frames the kernel hands out; what the filter does is run by the project's own machine."""

from __future__ import annotations

import socket
import struct

import pytest

from underlay.observe.on_node import marked
from underlay.observe.on_node.bpf import passes
from underlay.observe.on_node.marked import LEADING, UNPLANNED, Mark
from underlay.observe.on_node.packets import (
    ETH_ARP,
    ETH_IPV6,
    arp_request,
    checksum,
    packed,
    solicitation,
)

NONCE = b"0badcafe"
MAC = b"\x02\0\0\0\0\x01"
LOCAL = "fe80::1"


def arp(mark: Mark, nonce: bytes = NONCE) -> bytes:
    return arp_request(MAC, "20.1.1.65", "20.1.1.254") + marked.marked(nonce, mark)


def six(mark: Mark, nonce: bytes = NONCE) -> bytes:
    return marked.to_all_nodes(MAC, LOCAL, marked.marked(nonce, mark))


FRAMES = {ETH_ARP: arp, ETH_IPV6: six}


@pytest.mark.parametrize("kind", FRAMES)
def test_what_may_be_heard_is_dropped_and_all_else_is_taken(kind: int) -> None:
    code = [list(one) for one in marked.program(NONCE, kind, [1, 3], 3)]
    frame = FRAMES[kind]
    taken = {
        mark: passes(code, frame(mark), outgoing=False)
        for mark in (
            Mark(1, 7),
            Mark(2, 7),
            Mark(3, 7),
            Mark(1, 7, LEADING),
            Mark(3, 7, LEADING),
            Mark(0, 7, UNPLANNED),
            Mark(1, 7, UNPLANNED),
        )
    }
    assert [mark for mark, there in taken.items() if there] == [
        Mark(2, 7),
        Mark(3, 7, LEADING),
        Mark(0, 7, UNPLANNED),
        Mark(1, 7, UNPLANNED),
    ]
    assert not passes(code, frame(Mark(2, 7), b"otherone"), outgoing=False)
    assert not passes(code, frame(Mark(2, 7))[: marked.AT[kind]], outgoing=False)


def test_answers_are_taken() -> None:
    by_arp = [list(one) for one in marked.program(NONCE, ETH_ARP, [1], 0)]
    request = arp_request(MAC, "20.1.1.65", "20.1.1.66")
    assert not passes(by_arp, request, outgoing=False)
    assert passes(by_arp, request[:20] + b"\0\2" + request[22:], outgoing=False)
    by_nd = [list(one) for one in marked.program(NONCE, ETH_IPV6, [1], 0)]
    asked = solicitation(MAC, LOCAL, "fe80::2")
    assert not passes(by_nd, asked, outgoing=False)
    assert passes(by_nd, asked[:54] + b"\x88" + asked[55:], outgoing=False)
    # The same byte in a datagram is none.
    datagram = six(Mark(1, 7))
    assert not passes(by_nd, datagram[:54] + b"\x88" + datagram[55:], outgoing=False)


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("count", [1, 2, marked.MOST_SORTS, marked.MOST_SORTS + 1, 5000])
def test_a_jump_never_leads_too_far(kind: int, count: int) -> None:
    code = marked.program(NONCE, kind, list(range(1, count + 1)), 1)
    assert all(yes < 256 and no < 256 for _, yes, no, _ in code)
    assert len(code) <= 4096
    # With too many of them they are told apart later (unplanned.py, hear).
    frame = FRAMES[kind](Mark(count + (count < 2), 7))
    last = passes([list(one) for one in code], frame, outgoing=False)
    assert last is (count > marked.MOST_SORTS or count == 1)


@pytest.mark.parametrize("kind", FRAMES)
def test_a_mark_is_read_again(kind: int) -> None:
    mark = Mark(12, 301, LEADING)
    frame = FRAMES[kind](mark)
    assert marked.read_mark(NONCE, frame, kind) == mark
    assert marked.read_mark(b"otherone", frame, kind) is None
    assert marked.read_mark(NONCE, frame[:-1], kind) is None
    source = {ETH_ARP: "20.1.1.65", ETH_IPV6: LOCAL}[kind]
    assert marked.source_of(frame, kind) == source


def test_the_datagram_is_a_right_one() -> None:
    frame = six(Mark(1, 2))
    assert frame[:6] == bytes.fromhex("333300000001")
    udp = frame[54:]
    pseudo = packed(LOCAL) + packed("ff02::1") + struct.pack("!II", len(udp), socket.IPPROTO_UDP)
    assert checksum(pseudo + udp) == 0
