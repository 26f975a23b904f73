"""What nobody planned, on real nodes: each way to get there is made, found, and gone again.

Every day on a lab that is up anyway: what leaves all cells as they are. What needs more goes with
the full proof.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

import doc_pages
from cluster.running import CHECK_DEADLINE, Checkout, Lab

on_coreos = pytest.mark.parametrize("lab", ["coreos"], indirect=True)

# As radvd would send it: a prefix on the link, and to make addresses of (RFC 4861, 4.2).
ADVERTISE = """
import socket, struct
made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
made.bind(("eth2", 0x86DD))
mac = made.getsockname()[4]
source = bytes.fromhex("fe80000000000000") + bytes([mac[0] ^ 2, *mac[1:3], 0xFF, 0xFE, *mac[3:]])
group = bytes.fromhex("ff020000000000000000000000000001")
body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 0, 0, 0)
body += struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 600, 600, 0)
body += socket.inet_pton(socket.AF_INET6, "2001:db8:9::")
whole = source + group + struct.pack("!II", len(body), 58) + body
total = sum(struct.unpack(f"!{len(whole) // 2}H", whole))
total = (total & 0xFFFF) + (total >> 16)
body = body[:2] + struct.pack("!H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + body[4:]
head = struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + source + group
made.send(bytes.fromhex("333300000001") + mac + bytes.fromhex("86dd") + head + body)
"""
MIRROR = (
    "tc qdisc add dev eth1 clsact; "
    "tc filter add dev eth1 ingress matchall action mirred egress mirror dev eth2"
)
PROXY = "sysctl -qw net.ipv4.ip_forward={} net.ipv4.conf.eth1.proxy_arp={}"


def checked(lab: Lab, *words: str) -> tuple[int, dict[str, Any]]:
    done = lab.verb("check", "--json", *words, deadline=CHECK_DEADLINE)
    document: dict[str, Any] = done.document()
    assert "unplanned" in document, str(done)
    assert not document["blind"]
    return done.code, document


def kinds(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(one["kind"], one["end"]): one for one in document["unplanned"]}


@on_coreos
def test_addresses_that_nobody_planned_are_found_and_cells_are_as_they_were(lab: Lab) -> None:
    lab.shell("lannet-1a", "ip address add 20.1.1.200/24 dev eth0")
    lab.shell("core-03", 'python3 -c "$1"', ADVERTISE)
    try:
        code, document = checked(lab, "--strict")
    finally:
        lab.shell("lannet-1a", "ip address delete 20.1.1.200/24 dev eth0")
        for end in ("ipnet-1a", "ipnet-1b", "ipnet-2a", "ipnet-2b"):
            lab.shell(end, "ip -6 address flush dev eth0 scope global")
    summary = document["summary"]
    assert (code, summary["as_expected"], summary["unplanned"]) == (1, summary["cells"], 5)
    found = kinds(document)
    second = found["address", "lannet-1a"]
    assert (second["address"], second["brought"]) == ("20.1.1.200", "hand")
    assert {"lannet-1b", "lannet-2a", "core-02"} <= set(second["answered"])
    # Neither its own node's children, nor the node, hear what core-03 sends by the parent.
    advertised = {end for kind, end in found} - {"lannet-1a"}
    assert advertised == {"ipnet-1a", "ipnet-1b", "ipnet-2a", "ipnet-2b"}
    for end in advertised:
        one = found["address", end]
        assert one["brought"] == "advertisement"
        assert one["address"].startswith("2001:db8:9:")
        assert one["answered"]
    page = doc_pages.DOCS / "verbs" / "check.md"
    assert not doc_pages.wrong_fields(page, document, ("blind", "intent"))
    code, document = checked(lab, "--strict")
    assert (code, document["unplanned"]) == (0, []), json.dumps(document["unplanned"])


@pytest.mark.all
@on_coreos
def test_who_answers_arp_for_others_is_found(lab: Lab) -> None:
    lab.shell("core-02", PROXY.format(1, 1))
    try:
        _, document = checked(lab)
    finally:
        lab.shell("core-02", PROXY.format(0, 0))
    found = kinds(document)
    assert set(found) == {("proxy-arp", "core-02")}
    one = found["proxy-arp", "core-02"]
    assert (one["interface"], one["brought"]) == ("eth1", "proxy")
    assert not checked(lab)[1]["unplanned"]


@pytest.mark.all
@on_coreos
def test_a_mirror_between_two_segments_is_found(lab: Lab) -> None:
    lab.shell("core-01", MIRROR)
    try:
        _, document = checked(lab)
    finally:
        lab.shell("core-01", "tc qdisc delete dev eth1 clsact")
    found = kinds(document)
    assert {kind for kind, _ in found} == {"broadcast", "link-local"}
    for kind in ("broadcast", "link-local"):
        one = found[kind, "lannet-2a"]
        assert {"ipnet-2a", "ipnet-3a"} <= set(one["heard_by"])
    assert not checked(lab)[1]["unplanned"]


@pytest.mark.all
def test_a_switch_port_in_another_vlan_is_found(copy: Checkout) -> None:
    lab = Lab(copy, "vlan-ports", copy.root / "labs" / "vlan-ports.yml")
    done = lab.up()
    assert done.code == 0, str(done)
    try:
        assert not checked(lab)[1]["unplanned"]
        lab.shell(
            "switch",
            "bridge vlan del dev lan-3 vid 70; bridge vlan add dev lan-3 vid 10 pvid untagged",
        )
        done = lab.verb("check", "--json", deadline=CHECK_DEADLINE)
        found = kinds(done.document())
    finally:
        lab.down()
    assert {kind for kind, _ in found} == {"broadcast", "link-local"}
    for kind in ("broadcast", "link-local"):
        assert {"core-03", "plain-3a"} <= set(found[kind, "plain-1a"]["answered"])
