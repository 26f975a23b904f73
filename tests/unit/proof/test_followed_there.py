"""A packet's way on machines that exist, and frames: real programs in namespaces of this kernel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from underlay.observe.live import ABSENT
from underlay.observe.live_capture import NO_MACHINE
from underlay.proof.followed_there import UNCAPTURED, packet_there, traced_there
from unit.observe.test_probe_real import SOURCE, UNSHARE, plan_of

# An echo request is ping's, on the machines as here.
pytestmark = pytest.mark.skipif(shutil.which("ping") is None, reason="apt install iputils-ping")

SANDBOX = Path(__file__).with_name("followed_sandbox.py")
PLAN = plan_of(count=1, nodes=3)
ONE, OTHER = "net-1a", "net-2a"
WAY = [f"{ONE}, eth0", "core-01, eth1", "core-02, eth1", f"{OTHER}, eth0"]


def run(folder: Path, *commands: str) -> list[Any]:
    file = folder / "plan.json"
    file.write_text(PLAN.to_json())
    paths = f"{SOURCE}{os.pathsep}{SOURCE.parent / 'tests'}"
    done = subprocess.run(
        [*UNSHARE, "--kill-child", sys.executable, str(SANDBOX), str(file), *commands],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


def seen(found: Any, packet: str) -> list[str]:
    return [p["at"] for p in found["points"] if p["packet"] == packet and p["seen"]]


def unseen(found: Any) -> dict[str, bool]:
    return {p["at"]: p["seen"] for p in found["points"] if "(not captured" in p["at"]}


def test_by_sudo_a_packet_is_captured_wherever_there_is_a_machine(tmp_path: Path) -> None:
    found, udp, tcp = run(
        tmp_path,
        f"sudo {ONE} {OTHER} icmp 0",
        f"sudo {ONE} {OTHER} udp 5000",
        f"sudo {ONE} {OTHER} tcp 5000",
    )
    assert found["tier"] == "lab"
    assert seen(found, "request") == WAY
    assert seen(found, "answer") == WAY[::-1]
    assert unseen(found)
    assert all(NO_MACHINE in at and not is_seen for at, is_seen in unseen(found).items())
    for refused, word in ((udp, "ICMP unreachable"), (tcp, "TCP RST ACK")):
        assert seen(refused, "request") == WAY
        assert refused["points"][-1]["frame"] == word


def test_where_it_stops_the_last_point_is_named(tmp_path: Path) -> None:
    healthy, cut, by_probe = run(
        tmp_path,
        f"probe {ONE} {OTHER} icmp 0",
        f"ip -n {OTHER} link set eth0 down",
        f"sudo {ONE} {OTHER} icmp 0",
        f"probe {ONE} {OTHER} icmp 0",
    )
    # The pinned program knows both ends, and nothing between them.
    assert (healthy["tier"], healthy["stop"]) == ("probe", "")
    assert seen(healthy, "request") == [WAY[0], WAY[-1]]
    assert seen(healthy, "answer") == [WAY[-1], WAY[0]]
    parents = [at for at in unseen(healthy) if at.startswith("core")]
    assert [at.partition(" (")[0] for at in parents] == WAY[1:3]
    assert all(UNCAPTURED in at for at in parents)

    # Nobody flushed what the source knows of its neighbour: it sends.
    assert seen(cut, "request") == WAY[:3]
    assert seen(cut, "answer") == []
    assert cut["last"] == "The request was last seen at core-02, eth1, in."
    assert by_probe["stop"] == "no_answer"
    assert seen(by_probe, "request") == WAY[:1]
    assert seen(by_probe, "answer") == []


def test_a_machine_that_is_not_reached_costs_its_own_points(tmp_path: Path) -> None:
    found, lost = run(
        tmp_path,
        "lost core-02",
        f"sudo {ONE} {OTHER} icmp 0",
        f"sudo {OTHER} {ONE} icmp 0",
    )
    assert seen(found, "request") == WAY[:2]
    assert seen(found, "answer") == WAY[1::-1]
    assert any("ssh did not get there" in at for at in unseen(found))
    assert "ssh did not get there" in lost["error"]


def test_frames_are_captured_in_a_container_and_only_where_they_pass(tmp_path: Path) -> None:
    address = PLAN.containers[1].attachments[0].address.ip
    there, elsewhere, nowhere = run(
        tmp_path,
        f"capture core-02 {OTHER} eth0 {ONE} {address}",
        f"capture core-03 net-3a eth0 {ONE} {address}",
        f"capture core-03 net-3a eth9 {ONE} {address}",
    )
    assert {"echo request", "echo reply"} <= set(there["frames"])
    assert not {"echo request", "echo reply"} & set(elsewhere["frames"])
    assert list(nowhere["missing"]) == ["net-3a eth9"]


def test_a_port_that_no_lab_file_names_is_not_asked_by_the_pinned_program(tmp_path: Path) -> None:
    (found,) = run(tmp_path, f"probe {ONE} {OTHER} tcp 5000")
    assert found["error"] == "the pinned program doesn't ask port 5000"
    assert "27007" in found["hint"]


def test_nothing_is_sent_to_a_machine_outside_the_inventory() -> None:
    from underlay.errors import BadInput

    with pytest.raises(BadInput, match=f"{OTHER} is on core-02, which {ABSENT}"):
        traced_there(PLAN, ["core-01"], ONE, OTHER, packet_there())
