"""The wire formats of the probe, against frames that other programs make."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from underlay.observe.on_node import packets

MAC = bytes.fromhex("020000000a01")


def test_an_echo_request_sums_to_zero() -> None:
    packet = packets.echo(4, 7, 1, b"underlay abc")
    assert packets.checksum(packet) == 0
    assert packet[:2] == b"\x08\x00"
    assert packets.echo(6, 7, 1, b"x")[:4] == b"\x80\x00\x00\x00"


@given(st.binary(max_size=80))
def test_the_checksum_is_that_of_rfc_1071(data: bytes) -> None:
    total = 0
    for place in range(0, len(data), 2):
        total += int.from_bytes(data[place : place + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    assert packets.checksum(data) == total ^ 0xFFFF


def test_an_arp_request_is_what_the_kernel_sends() -> None:
    frame = packets.arp_request(MAC, "20.1.1.129", "20.1.1.65")
    assert frame.hex() == (
        "ffffffffffff" "020000000a01" "0806"
        "0001" "0800" "06" "04" "0001"
        "020000000a01" "14010181" "000000000000" "14010141"
    )  # fmt: skip
    assert packets.arp_reply(frame) is None
    answer = frame[:20] + b"\x00\x02" + frame[22:]
    assert packets.arp_reply(answer) == ("20.1.1.129", "02:00:00:00:0a:01", "20.1.1.65")
    assert packets.arp_reply(answer[:30]) is None


def test_a_solicitation_goes_to_the_solicited_node_group() -> None:
    frame = packets.solicitation(MAC, "2001:db8::1", "2001:db8::aa:bbcc")
    assert frame[:6].hex() == "3333ffaabbcc"
    head, body = frame[14:54], frame[54:]
    assert head[7] == 255  # the hop limit that receivers insist on
    assert head[24:40].hex() == "ff0200000000000000000001ffaabbcc"
    pseudo = head[8:40] + struct.pack("!II", len(body), 58)
    assert packets.checksum(pseudo + body) == 0
    assert body[0] == 135
    assert body[24:].hex() == "0101020000000a01"


def test_an_advertisement_names_its_mac_address() -> None:
    address = packets.packed("2001:db8::7")
    message = struct.pack("!BBHI", 136, 0, 0, 0x60000000) + address
    assert packets.advertisement(message) is None
    other = struct.pack("!BB", 14, 1) + bytes(6)
    found = packets.advertisement(message + other + b"\x02\x01" + MAC)
    assert found == ("2001:db8::7", "02:00:00:00:0a:01")
    assert packets.advertisement(message + b"\x02\x00" + MAC) is None


def test_a_token_survives_and_a_stranger_s_packet_is_none() -> None:
    made = packets.token(b"abcd", 612, "udp", 1)
    assert packets.read_token(b"abcd", made) == (612, "udp", 1, "")
    assert packets.read_token(b"abcd", made + b" net-1a") == (612, "udp", 1, "net-1a")
    for strange in (b"", made[:8], b"GET / HTTP/1.0", packets.token(b"other", 1, "udp", 0)):
        assert packets.read_token(b"abcd", strange) is None
    assert packets.read_token(b"abcd", b"underlay abcd x udp 1") is None


@given(st.binary(max_size=120))
def test_no_frame_upsets_the_readers(data: bytes) -> None:
    packets.arp_reply(data)
    packets.advertisement(data)
    packets.read_token(b"abcd", b"underlay abcd " + data)
