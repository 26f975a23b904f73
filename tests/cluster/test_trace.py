"""A packet's way, and frames in a file: on macvlan and ipvlan, whole and with a hop cut."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.running import Lab
from underlay.observe.frame_filter import _program
from underlay.observe.on_node.bpf import passes

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


def test_of_a_pair_that_the_plan_keeps_apart_it_says_why(lab: Lab) -> None:
    assert traced(lab, "lannet-1a", "lannet-2a", 0)["expected"] is True
    document = traced(lab, "lannet-1a", "core-01", 1)
    assert (document["reached"], document["expected"]) == (False, False)
    said = lab.verb("trace", "lannet-1a", "core-01").out
    assert "That is as expected. A macvlan child's frames go" in said
    assert "next: underlay explain" not in said


@pytest.mark.parametrize(
    ("target", "fault", "cure", "last"),
    [
        pytest.param(
            "switch", "bridge link set dev wan-2 state 0", "bridge link set dev wan-2 state 3",
            "ARP for it was last seen at switch, wan-1, in", id="cable", marks=pytest.mark.all,
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


@pytest.mark.parametrize(
    ("destination", "words", "answer"),
    [
        ("core-02", ("--port", "22"), "accepted"),
        pytest.param("lannet-2a", ("--port", "5432"), "refused", marks=pytest.mark.all),
        ("lannet-2a", ("--port", "5432", "--protocol", "udp"), "refused"),
    ],
)
def test_a_port_answers_or_refuses(
    lab: Lab, destination: str, words: tuple[str, ...], answer: str
) -> None:
    done = lab.verb("trace", "lannet-1a", destination, *words, "--json")
    assert done.code == 0, str(done)
    document = done.document()
    assert (document["answer"], document["port"]) == (answer, int(words[1]))
    assert all(hop["seen"] for hop in document["hops"])


@pytest.mark.all
def test_a_port_that_a_filter_closes_is_silent_and_another_is_not(lab: Lab) -> None:
    lab.shell("lannet-2a", "iptables -I INPUT -p tcp --dport 80 -j DROP")
    try:
        closed = lab.verb("trace", "lannet-1a", "lannet-2a", "--port", "80", "--json")
        other = lab.verb("trace", "lannet-1a", "lannet-2a", "--port", "81", "--json")
    finally:
        lab.shell("lannet-2a", "iptables -D INPUT -p tcp --dport 80 -j DROP")
    assert closed.code == 1, str(closed)
    assert closed.document()["answer"] is None
    assert "The request was last seen at lannet-2a, eth0, in" in closed.document()["last_seen"]
    assert other.document()["answer"] == "refused"


@pytest.mark.parametrize(
    "words", [("--port", "0"), ("--protocol", "tcp"), ("--protocol", "icmp", "--port", "1")]
)
def test_what_has_no_port_is_refused(lab: Lab, words: tuple[str, ...]) -> None:
    done = lab.verb("trace", "lannet-1a", "lannet-2a", *words)
    assert done.code == 2, str(done)


@pytest.mark.all
def test_a_filter_chooses_what_tcpdump_would(lab: Lab, tmp_path: Path) -> None:
    """Every frame of a capture, held against tcpdump on the node, for each expression."""
    talk = """
for n in $(seq 60); do
    ping -q -c 1 -W 1 20.1.1.129; python3 -c '
import socket
for kind, port in ((socket.SOCK_DGRAM, 53), (socket.SOCK_STREAM, 22)):
    one = socket.socket(socket.AF_INET, kind)
    one.settimeout(1)
    try:
        one.connect(("20.1.1.129", port))
        one.send(b"x")
    except OSError: pass'
    ip neighbour flush dev eth0; sleep 0.5
done >/dev/null 2>&1 &
"""
    lab.shell("lannet-1a", talk)
    file = tmp_path / "all.pcap"
    done = lab.verb("capture", "core-02:eth1", "--seconds", "4", "--output", str(file))
    assert done.code == 0, str(done)
    data = file.read_bytes()
    frames = [bytes(frame) for frame in _frames(data)]
    name = f"/run/{file.stem}.pcap"
    encoded = base64.b64encode(data).decode()
    lab.execute("core-01", "sh", "-c", f"base64 -d >{name}", text=encoded)
    chosen_any = 0
    for expression in (
        "arp", "icmp[icmptype] == icmp-echo", "udp port 53", "tcp[tcpflags] & tcp-syn != 0",
        "host 20.1.1.129 and not arp", "ether broadcast", "less 60", "vlan 70", "ip6",
    ):  # fmt: skip
        words = ["tcpdump", "-ddd", "-y", "EN10MB", "--", expression]
        program = _program(lab.execute("core-01", *words).out, expression)
        ours = [n for n, frame in enumerate(frames) if passes(program, frame, outgoing=False)]
        script = 'tcpdump -r "$1" -w - -- "$2" 2>/dev/null | base64 -w 0'
        said = lab.execute("core-01", "sh", "-c", script, "sh", name, expression).out
        theirs = [bytes(frame) for frame in _frames(base64.b64decode(said))]
        assert [frames[n] for n in ours] == theirs, expression
        chosen_any += bool(ours)
    assert chosen_any >= 5, f"of {len(frames)} frames too few kinds were there"


def _frames(data: bytes) -> Iterator[bytes]:
    at = 24
    while at < len(data):
        (length,) = struct.unpack_from("<8xI", data, at)
        yield data[at + 16 : at + 16 + length]
        at += 16 + length


def test_a_wrong_filter_is_refused_before_anything_is_captured(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "none.pcap"
    touched = tmp_path / "touched"
    for expression in ("icmp or (", f"; touch {touched}", f"$(touch {touched})", f"-w{touched}"):
        words = ("--filter", expression, "--seconds", "1", "--output", str(file))
        done = lab.verb("capture", "lan", *words)
        assert done.code == 2, str(done)
        assert "--filter" in done.err
        assert not file.exists()
        assert not touched.exists()
    here = lab.verb("capture", "lan", "--filter", "arp", "--seconds", "1", "--output", str(file))
    assert here.code == 0, str(here)


@pytest.mark.all
def test_a_capture_that_ends_too_early_is_kept_and_says_so(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "cut.pcap"
    lab.shell("lannet-1a", "ping -q -c 100 -i 0.2 20.1.1.129 >/dev/null 2>&1 &")
    kill = "pid=$(pgrep -f '^python3 -I -S -c') && { sleep 2; kill -9 $pid; exit; }; sleep 0.1"
    lab.shell("core-02", f"for _ in $(seq 600); do {kill}; done >/dev/null 2>&1 &")
    done = lab.verb("capture", "core-02:eth1", "--seconds", "60", "--output", str(file), "--json")
    assert done.code == 3, str(done)
    why = "core-02 was gone before capturing ended"
    assert why in done.err
    document, frames = done.document(), list(_frames(file.read_bytes()))
    assert document["cut_short"] == why
    assert len(frames) == document["frames"] > 0


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
