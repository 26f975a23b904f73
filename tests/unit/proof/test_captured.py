"""Cells that differ, asked again and captured: which ones, whose frames, and what a run keeps."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

import documents
from confusion import GREEN
from underlay.cli import main
from underlay.observe.capture import Caught, Frame
from underlay.observe.on_node.packets import arp_request, echo, token
from underlay.plan import Plan
from underlay.proof.captured import MOST, Captured, ask_again, chosen
from underlay.proof.captured import _captured as captured
from underlay.proof.choice import Choice
from underlay.proof.result import LabResult, narrowed
from underlay.proof.runs.file import write_run
from underlay.proof.runs.saving import saved
from underlay.proof.trace import Packet, trace_of
from underlay.report.captures import pcapng
from underlay.report.run import Told, json_text
from underlay.verdict import Verdict
from unit.proof.test_explain import COREOS, FILES, Recorded, explained, judged, recorded, scene
from unit.proof.test_runs import read_back, run_of, same, source


def broken(file: Path) -> Recorded:
    return Recorded(file, next(name for name in recorded(file)["faults"] if name != GREEN))


def ethernet(kind: int, body: bytes) -> bytes:
    return bytes(12) + struct.pack("!H", kind) + body


def ipv4(source: str, there: str, protocol: int, body: bytes) -> bytes:
    ends = b"".join(bytes(map(int, one.split("."))) for one in (source, there))
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0)
    return ethernet(0x0800, head + ends + body)


def frame(at: str, data: bytes, *, out: bool = True, time: float = 1.5) -> Frame:
    return Frame(at, time, out, len(data), data)


def test_nothing_is_asked_where_all_is_as_expected() -> None:
    """The lab has no state here: whoever asked it anything would fail."""
    lab: Any = object()
    assert ask_again(lab, judged(COREOS, {}), None, print) == ()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.partition(".")[0])
def test_cells_of_each_cause_come_first_and_are_few(file: Path) -> None:
    one = broken(file)
    verdict, explanation = judged(one, one.wrong), explained(one)
    cells = chosen(verdict, explanation)
    every = (cell for cell in verdict.reach if cell.differs)
    wrong = {(c.source, c.destination, str(c.protocol), c.family) for c in every}
    assert len(set(cells)) == len(cells) == min(MOST, len(wrong))
    assert set(cells) <= wrong
    reach = [set(cause.cells) & wrong for cause in explanation.causes]
    for cause in [cells_of for cells_of in reach if cells_of][:MOST]:
        assert cause & set(cells)
    assert len(chosen(verdict, None)) == len(cells)


def of_coreos(protocol: str = "icmp", port: int = 0) -> tuple[Plan, Captured]:
    plan = scene(COREOS.file).plan
    trace = trace_of(plan, "lannet-1a", "lannet-2a", Packet(protocol, port))
    here, there = trace.source_address, trace.destination_address
    words = token(b"nonce", 3, "icmp", 0)
    own, far = "lannet-1a eth0", "core-02 eth1"
    tcp = struct.pack("!HHIIBB", 40000, port or 1, 0, 0, 0x50, 0x02)
    frames = [
        frame(own, arp_request(bytes(6), here, there)),
        frame(own, arp_request(bytes(6), here, "20.1.1.250")),
        frame(own, ipv4(here, there, 1, echo(4, 1, 1, words)), time=2.25),
        frame(own, ipv4(here, there, 1, echo(4, 1, 1, words.replace(b" 3 ", b" 4 ")))),
        frame(own, ipv4(here, there, 6, tcp)),
        frame(own, ipv4(here, "20.1.1.250", 6, tcp)),
        frame("somebody eth0", ipv4(here, there, 1, echo(4, 1, 1, words))),
    ]
    cell = ("lannet-1a", "lannet-2a", protocol, 4)
    caught = Caught(frames, {far: "no such device"}, {"switch lan-1": 7})
    return plan, captured(cell, trace, caught, 3)


def test_a_cell_has_the_frames_of_its_own_packets() -> None:
    _, one = of_coreos()
    assert [point.seen for point in one.points if point.at == "lannet-1a, eth0"] == [True, False]
    assert len(one.frames) == 2
    assert one.points[0].arp == ("who has 20.1.1.96",) or one.points[0].arp[0].startswith("who has")
    assert one.last == "The request was last seen at lannet-1a, eth0, out."
    assert any("not captured: no such device" in point.at for point in one.points)
    at_port = {point.at for point in one.points if point.at.startswith("switch, lan-1")}
    assert at_port == {"switch, lan-1 (7 frames lost, as they came too fast)"}


def test_tcp_is_known_by_its_ports() -> None:
    _, one = of_coreos("tcp", 27007)
    assert len(one.frames) == 2
    assert one.points[0].frame == "TCP SYN"


def result() -> tuple[Plan, LabResult]:
    plan, one = of_coreos()
    fault = broken(COREOS.file)
    verdict: Verdict = judged(fault, fault.wrong)
    return plan, LabResult(verdict, explained(fault), captures=(one,))


def test_a_run_keeps_them_and_tells_of_them(tmp_path: Path) -> None:
    plan, found = result()
    same(tmp_path, plan, found)
    run = read_back(tmp_path, saved(source(plan), found))
    page = json.loads(json_text(Told(run)))
    assert documents.problems("check", page) == []
    (one,) = page["labs"][0]["captures"]
    assert (one["source"], one["frames"]) == ("lannet-1a", 2)
    assert one["hops"][0]["frame"] == "ICMP echo request"
    none = narrowed(found, Choice(only=("core-01 -> lannet-2a",)).of(plan))
    assert none.captures == ()


def test_the_frames_come_out_of_the_run_as_a_capture(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    plan, found = result()
    file = tmp_path / "run.json"
    write_run(run_of(saved(source(plan), found), of="running"), file)
    assert main(["report", str(file), "--format", "pcap"]) == 0
    printed = capfdbinary.readouterr().out
    assert printed == pcapng(found.captures[0].frames)
    assert main(["report", str(file), "--format", "pcap", "-o", str(tmp_path / "x.pcapng")]) == 0
    assert (tmp_path / "x.pcapng").read_bytes() == printed
    assert main(["report", str(file)]) == 0
    # Lines are as wide as the terminal that the tests were started in.
    said = " ".join(capfdbinary.readouterr().out.decode().split())
    assert (
        "lannet-1a → lannet-2a (icmp): The request was last seen at lannet-1a, eth0, out." in said
    )
    write_run(run_of(saved(source(plan), LabResult(found.verdict))), file)
    assert main(["report", str(file), "--format", "pcap"]) == 2
    assert "this run has no captures" in capfdbinary.readouterr().err.decode()


def test_the_capture_is_pcapng_with_a_name_for_each_point() -> None:
    data = b"0123456789abcde"
    frames = [frame("b eth0", data, out=False, time=2.000000001), frame("a eth1", data, time=1.25)]
    written = pcapng([*frames, frames[0]])
    blocks, at = [], 0
    while at < len(written):
        kind, size = struct.unpack_from("<II", written, at)
        assert struct.unpack_from("<I", written, at + size - 4)[0] == size
        assert size % 4 == 0
        blocks.append((kind, written[at + 8 : at + size - 4]))
        at += size
    # The draft's numbers: a section's head, two interfaces, two packets.
    assert [kind for kind, _ in blocks] == [0x0A0D0D0A, 1, 1, 6, 6]
    assert b"a eth1" in blocks[1][1]
    assert b"b eth0" in blocks[2][1]
    number, high, low, held, length = struct.unpack_from("<5I", blocks[3][1])
    assert (number, (high << 32) + low, held, length) == (0, 1_250_000_000, 15, 15)
    assert blocks[3][1][20:35] == data
    assert blocks[4][1][36:].startswith(struct.pack("<HHI", 2, 4, 1))
