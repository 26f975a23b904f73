"""A packet's way, and frames in a file: on macvlan and ipvlan, whole and with a hop cut."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from cluster.running import Lab

pytestmark = pytest.mark.parametrize("lab", ["coreos"], indirect=True)

PCAP = 0xA1B23C4D
WAY = [
    ("lannet-1a, eth0", "out"),
    ("core-01, eth1", "out"),
    ("switch, lan-1", "in"),
    ("switch, lan-2", "out"),
    ("core-02, eth1", "in"),
    ("lannet-2a, eth0", "in"),
]


def traced(lab: Lab, source: str, destination: str, code: int) -> dict[str, Any]:
    done = lab.verb("trace", source, destination, "--json")
    assert done.code == code, str(done)
    document: dict[str, Any] = done.document()
    return document


def seen(document: dict[str, Any], way: str) -> list[tuple[str, str]]:
    return [(hop["at"], hop["direction"]) for hop in document["hops"] if hop["seen"]
            and hop["way"] == way]  # fmt: skip


def test_a_packet_is_seen_at_every_point_there_and_back(lab: Lab) -> None:
    document = traced(lab, "lannet-1a", "lannet-2a", 0)
    assert document["reached"]
    assert seen(document, "request") == WAY
    back = [(at, "in" if direction == "out" else "out") for at, direction in reversed(WAY)]
    assert seen(document, "answer") == back


@pytest.mark.parametrize(
    ("target", "fault", "cure", "last"),
    [
        pytest.param(
            "switch", "bridge link set dev wan-2 state 0", "bridge link set dev wan-2 state 3",
            "ARP for it was last seen at switch, wan-1, in", id="cable",
        ),
        pytest.param(
            "ipnet-2a", "iptables -I OUTPUT -p icmp -j DROP", "iptables -D OUTPUT -p icmp -j DROP",
            "The request was last seen at ipnet-2a, eth0, in", id="container",
        ),
    ],
)  # fmt: skip
def test_a_cut_hop_is_named(lab: Lab, target: str, fault: str, cure: str, last: str) -> None:
    lab.shell(target, fault)
    try:
        document = traced(lab, "ipnet-1a", "ipnet-2a", 1)
    finally:
        lab.shell(target, cure)
    assert not document["reached"]
    assert last in document["last_seen"]
    assert not seen(document, "answer")


def test_a_way_that_the_drivers_do_not_have_ends_at_the_wire(lab: Lab) -> None:
    document = traced(lab, "lannet-1a", "core-01", 1)
    assert "switch, lan-1, in" in document["last_seen"]


def test_frames_of_a_parent_are_written_to_a_file(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "asked.pcap"
    # Longer than it takes to begin and to end the capture on a machine with much to do.
    lab.shell("lannet-1a", "ping -q -c 100 -i 0.3 20.1.1.129 >/dev/null 2>&1 &")
    done = lab.verb("capture", "core-02:eth1", "--seconds", "4", "--output", str(file), "--json")
    assert done.code == 0, str(done)
    document, data = done.document(), file.read_bytes()
    assert struct.unpack_from("<I", data)[0] == PCAP
    assert document["bytes"] == len(data)
    assert document["frames"] >= 2, "an ARP or echo request and its answer"
    assert bytes([20, 1, 1, 65]) in data
    assert bytes([20, 1, 1, 129]) in data
    none = lab.verb("capture", "core-02:eth7", "--seconds", "1", "--output", str(file))
    assert none.code == 3, str(none)
    wrong = lab.verb("capture", "lannet-9z", "--output", str(file))
    assert wrong.code == 2, str(wrong)
