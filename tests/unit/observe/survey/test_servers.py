"""What routers and DHCP servers say is read; what others say isn't taken for it."""

from __future__ import annotations

import socket
import struct

from underlay.observe.on_node.packets import BROADCAST, packed
from underlay.observe.survey.machines import Heard
from underlay.observe.survey.on_host.frames import noted
from underlay.observe.survey.servers import ADVERTISEMENT, discovery, senders, solicitation
from underlay.observe.survey.wire import Nic, marked, to_group

NONCE = b"\x01\x02\x03\x04"
NIC = Nic("a1", "eth1", bytes.fromhex("020000000001"), 1500, ("fe80::1/64", "10.0.0.1/24"), 1)
SERVER = bytes.fromhex("0200000000fe")


def offer() -> bytes:
    """Return a server's answer to a DHCPDISCOVER, made of that."""
    asked = discovery(NIC, 7)
    bootp = bytearray(asked[42:])
    bootp[0] = 2
    bootp[16:20] = socket.inet_aton("10.0.0.77")
    options = b"\x63\x82\x53\x63" + bytes([53, 1, 2, 54, 4]) + socket.inet_aton("10.0.0.254")
    bootp[236:] = options + b"\xff"
    udp = struct.pack("!HHHH", 67, 68, 8 + len(bootp), 0) + bytes(bootp)
    head = asked[14:34]
    return BROADCAST + SERVER + b"\x08\x00" + head + udp


def advertisement() -> bytes:
    prefix = bytes([3, 4, 64, 0xC0]) + bytes(12) + packed("fd00:70::")
    body = struct.pack("!BBHI8x", ADVERTISEMENT, 0, 0, 0) + prefix
    packet = (
        struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + packed("fe80::fe") + packed("ff02::1")
    )
    return b"\x33\x33\x00\x00\x00\x01" + SERVER + b"\x86\xdd" + packet + body


def heard(data: bytes, *, vlan: int | None = None) -> Heard:
    found = noted(NONCE, data)
    assert found is not None
    return Heard("a1", "eth1", vlan, found[1], found[2], bytes.fromhex(found[3]))


def test_an_offer_and_an_advertisement_are_read() -> None:
    found = senders([heard(advertisement()), heard(offer()), heard(offer())])
    assert [(one.kind, one.address, one.said) for one in found] == [
        ("DHCP offer", "10.0.0.254", "an offer of 10.0.0.77"),
        ("router advertisement", "fe80::fe", "fd00:70::/64"),
    ]
    assert {one.mac for one in found} == {"02:00:00:00:00:fe"}


def test_questions_and_what_is_cut_short_are_no_senders() -> None:
    assert noted(NONCE, discovery(NIC, 7)) is None
    assert noted(NONCE, solicitation(NIC)) is None
    assert senders([Heard("a1", "eth1", None, 0, -1, advertisement()[:60])]) == []
    assert senders([Heard("a1", "eth1", None, 0, -1, offer()[:200])]) == []
    assert senders([Heard("a1", "eth1", None, 0, -1, b"")]) == []


def test_a_tag_is_kept() -> None:
    data = advertisement()
    tagged = data[:12] + b"\x81\x00\x00\x0a" + data[12:]
    found = noted(NONCE, tagged)
    assert found is not None
    assert found[0] == 10
    (sender,) = senders([Heard("a1", "eth1", 10, 0, -1, bytes.fromhex(found[3]))])
    assert sender.vlan == 10


def test_marked_frames_are_known_by_their_number_and_nonce() -> None:
    for tag in (None, 20):
        data = marked(NONCE, 77, NIC.mac, SERVER, tag)
        assert noted(NONCE, data) == [-1 if tag is None else 20, 16, 77, ""]
        assert noted(b"\0\0\0\0", data) is None
    for group in ("239.255.117.2", "ff15::7565:2"):
        found = noted(NONCE, to_group(NONCE, 78, NIC, group))
        assert found is not None
        assert found[2] == 78
    assert to_group(NONCE, 1, NIC, "239.255.117.2")[:6] == bytes.fromhex("01005e7f7502")
    assert to_group(NONCE, 1, NIC, "ff15::7565:2")[:6] == bytes.fromhex("333375650002")
