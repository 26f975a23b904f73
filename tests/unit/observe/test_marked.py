"""Which frames the kernel hands out; what the filter does is run by the project's own machine."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
from pathlib import Path

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
SOURCE = Path(__file__).resolve().parents[3] / "src"
# A child of a NIC gets a frame by the way that a VLAN sub-interface gets it, which not every
# machine has. It is heard on both by sockets that take anything, and with the filter on one.
BELOW = """
import socket, subprocess, sys
sys.path.insert(0, sys.argv[1])
from underlay.observe.on_node.marked import attach
from underlay.observe.on_node.packets import ETH_ARP, arp_request

def ip(words):
    subprocess.run(["ip", *words.split()], check=True, timeout=10)

def bound(name, filtered):
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    # Those that take anything are asked first; by then all have what they get.
    made.settimeout(0.1 if filtered else 20)
    if filtered:
        attach(made, socket.if_nametoindex(name), b"0badcafe", ETH_ARP, [], [])
    made.bind((name, ETH_ARP))
    return made

def heard(made):
    try:
        return bool(made.recv(512))
    except TimeoutError:
        return False

ip("link add far type veth peer name nic")
ip("link add link nic name child address 02:00:00:00:00:09 type macvlan mode bridge")
for name in ("far", "nic", "child"):
    ip(f"link set {name} up")
listening = [bound(name, filtered) for filtered in (False, True) for name in ("nic", "child")]
request = arp_request(b"\\2\\0\\0\\0\\0\\1", "20.1.1.65", "20.1.1.66")
answer = bytes.fromhex("020000000009") + request[6:20] + b"\\0\\2" + request[22:]
bound("far", False).send(answer)
print([heard(made) for made in listening])
"""


def arp(mark: Mark, nonce: bytes = NONCE) -> bytes:
    return arp_request(MAC, "20.1.1.65", "20.1.1.254") + marked.marked(nonce, mark)


def six(mark: Mark, nonce: bytes = NONCE) -> bytes:
    return marked.to_all_nodes(MAC, LOCAL, marked.marked(nonce, mark))


FRAMES = {ETH_ARP: arp, ETH_IPV6: six}


@pytest.mark.parametrize("kind", FRAMES)
def test_what_may_be_heard_is_dropped_and_all_else_is_taken(kind: int) -> None:
    code = [list(one) for one in marked.program(NONCE, kind, [1, 3, 4], [3, 4])]
    frame = FRAMES[kind]
    taken = {
        mark: passes(code, frame(mark), outgoing=False)
        for mark in (
            Mark(1, 7),
            Mark(2, 7),
            Mark(3, 7),
            Mark(1, 7, LEADING),
            Mark(3, 7, LEADING),
            Mark(4, 7),
            Mark(4, 7, LEADING),
            Mark(0, 7, UNPLANNED),
            Mark(1, 7, UNPLANNED),
        )
    }
    assert [mark for mark, there in taken.items() if there] == [
        Mark(2, 7),
        Mark(3, 7, LEADING),
        Mark(4, 7, LEADING),
        Mark(0, 7, UNPLANNED),
        Mark(1, 7, UNPLANNED),
    ]
    assert not passes(code, frame(Mark(2, 7), b"otherone"), outgoing=False)
    assert not passes(code, frame(Mark(2, 7))[: marked.AT[kind]], outgoing=False)


def test_answers_are_taken() -> None:
    by_arp = [list(one) for one in marked.program(NONCE, ETH_ARP, [1], [])]
    request = arp_request(MAC, "20.1.1.65", "20.1.1.66")
    assert not passes(by_arp, request, outgoing=False)
    assert passes(by_arp, request[:20] + b"\0\2" + request[22:], outgoing=False)
    by_nd = [list(one) for one in marked.program(NONCE, ETH_IPV6, [1], [])]
    asked = solicitation(MAC, LOCAL, "fe80::2")
    assert not passes(by_nd, asked, outgoing=False)
    assert passes(by_nd, asked[:54] + b"\x88" + asked[55:], outgoing=False)
    # The same byte in a datagram is none.
    datagram = six(Mark(1, 7))
    assert not passes(by_nd, datagram[:54] + b"\x88" + datagram[55:], outgoing=False)


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("count", [1, 2, marked.MOST_SORTS, marked.MOST_SORTS + 1, 5000])
def test_a_jump_never_leads_too_far(kind: int, count: int) -> None:
    code = marked.program(NONCE, kind, list(range(1, count + 1)), [1, 6001, 6002, 6003])
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


def test_at_a_nic_is_not_heard_what_comes_to_an_interface_on_it() -> None:
    """Else what stays in a VLAN of a NIC would look as if it leaked out of it."""
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", BELOW, str(SOURCE)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "[True, True, False, True]"
