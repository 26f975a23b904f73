"""`explain`, `trace` and `capture` with an inventory: what there is to see on machines that exist.

Faults are made by the fixture's hand; see foreign.py. Nothing is applied there: the containers are
somebody else's.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import documents
from cluster.commands import Done
from cluster.running import CHECK_DEADLINE, Checkout
from foreign import EVERYTHING, Foreign
from underlay.observe.pinned import PATH, program, sudoers

# Of RACK (foreign.py): a container on core-02.
CONTAINER, NODE = "lannet-2a", "core-02"


@pytest.fixture(scope="module")
def allowed(foreign: Foreign) -> Iterator[Foreign]:
    """The machines, whose user sudo lets do everything."""
    with foreign.sudoers(EVERYTHING):
        yield foreign


def explained(
    here: Checkout, machines: Foreign, *words: str, inventory: Path | None = None
) -> Done:
    file = str(inventory or machines.inventory)
    command = ("explain", str(machines.lab.file), "-i", file, *words, "--json")
    return here.underlay(*command, deadline=CHECK_DEADLINE)


def of_kind(verb: str, done: Done) -> dict[str, Any]:
    """Return the document of ``done``, which is as its schema says."""
    found: dict[str, Any] = done.document()
    assert not documents.problems(verb, found)
    return found


@contextmanager
def one_down(machines: Foreign) -> Iterator[None]:
    """Have a container's interface down, by hand."""
    machines.root(NODE, "ip -n $1 link set eth0 down", CONTAINER)
    try:
        yield
    finally:
        mended = "ip -n $1 link set eth0 up; ip -n $1 route replace default dev eth0 scope global"
        machines.root(NODE, mended, CONTAINER)


def test_a_fault_by_hand_is_named_and_its_healthy_twin_names_nothing(
    here: Checkout, allowed: Foreign
) -> None:
    before = allowed.listing()
    with one_down(allowed):
        done = explained(here, allowed, "--sudo")
    assert done.code == 1, str(done)
    found = of_kind("explain", done)
    causes = [(each["id"], each["where"], each["sureness"]) for each in found["causes"]]
    assert causes == [("child-down", f"{CONTAINER}, eth0", "proven")]
    assert found["unexplained"] == []
    assert any(f"# in {CONTAINER}" in line for line in found["causes"][0]["commands"])
    live = found["live"]
    assert (live["tier"], live["warm"]) == ("probe", True)
    assert any("switch" in words for words in live["cannot"])
    assert "switch" in found["unseen"]

    done = explained(here, allowed, "--sudo")
    assert done.code == 0, str(done)
    found = of_kind("explain", done)
    assert (found["causes"], found["unexplained"], found["not_measured"]) == ([], [], [])
    assert found["live"]["warm"] is True
    for name, listed in allowed.listing().items():
        assert listed.splitlines() == before[name].splitlines(), name


@pytest.mark.all
def test_a_reader_names_no_cause_that_nobody_could_see(here: Checkout, foreign: Foreign) -> None:
    with one_down(foreign):
        done = explained(here, foreign)
    assert done.code == 1, str(done)
    found = of_kind("explain", done)
    assert (found["causes"], found["not_borne_out"], found["doubted"]) == ([], [], [])
    assert {cell["destination"] for cell in found["unexplained"]} == {CONTAINER}
    assert "needs the probe" in found["unseen"][CONTAINER]
    assert not {"filters", "IPv6"} & set(found["ruled_out"])
    assert any("containers" in words for words in found["live"]["cannot"])
    assert {each["reason"][:15] for each in found["not_measured"]} == {"needs the probe"}


@pytest.mark.all
def test_a_machine_that_is_not_reached_costs_its_own_cells(
    here: Checkout, allowed: Foreign, tmp_path: Path
) -> None:
    yaml = YAML(typ="safe")
    document = yaml.load(allowed.inventory.read_text())
    gone = allowed.names[2]
    document["all"]["hosts"][gone]["ansible_ssh_common_args"] = "-o ProxyCommand=false"
    file = tmp_path / "one-gone.yml"
    with file.open("w") as open_file:
        yaml.dump(document, open_file)
    with one_down(allowed):
        done = explained(here, allowed, "--sudo", inventory=file)
    assert done.code == 1, str(done)
    found = of_kind("explain", done)
    assert [each["where"] for each in found["causes"]] == [f"{CONTAINER}, eth0"]
    # By ssh's own words.
    assert found["unseen"][gone].startswith("gave no answer: ")
    assert "Errno" not in found["unseen"][gone]
    assert found["not_measured"][0]["reason"].startswith(f"{gone}: its probe ended early: ")


def traced(here: Checkout, machines: Foreign, *words: str) -> Done:
    lab, inventory = str(machines.lab.file), str(machines.inventory)
    return here.underlay("trace", *words, "--lab", lab, "-i", inventory, deadline=CHECK_DEADLINE)


def test_a_packet_is_followed_to_where_it_is_lost(here: Checkout, allowed: Foreign) -> None:
    """Its healthy twin is seen at each point that is a machine's, there and back."""
    done = traced(here, allowed, "lannet-1a", CONTAINER, "--sudo", "--json")
    assert done.code == 0, str(done)
    found = of_kind("trace", done)
    own = [hop for hop in found["hops"] if hop["point"] != "switch port"]
    assert len(own) == 8
    assert all(hop["seen"] for hop in own)
    ports = [hop["at"] for hop in found["hops"] if hop["point"] == "switch port"]
    assert all("no machine of the inventory" in at for at in ports)
    assert (found["live"]["tier"], found["live"]["warm"]) == ("lab", True)

    with one_down(allowed):
        done = traced(here, allowed, "lannet-1a", CONTAINER, "--sudo", "--json")
    assert done.code == 1, str(done)
    found = of_kind("trace", done)
    assert f"last seen at {NODE}, eth1, in" in found["last_seen"]


# Sends a broadcast with a VLAN tag and a word in it, as any program of root's may.
SEND = """
import socket, sys
made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
made.bind(("eth1", 0))
head = b"\\xff" * 6 + made.getsockname()[4] + b"\\x81\\x00"
for tag, word in ((70, b"of seventy"), (71, b"of another")):
    for _ in range(3):
        made.send(head + tag.to_bytes(2, "big") + b"\\x88\\xb5" + word.ljust(50))
"""
# Waits until somebody captures at the interface: who does makes it promiscuous.
LISTENED = "until ip -d link show eth1.70 | grep -q 'promiscuity [1-9]'; do sleep 0.1; done"


def test_what_was_sent_is_captured_and_what_is_of_another_vlan_is_not(
    here: Checkout, allowed: Foreign, tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    file = tmp_path / "tagged.pcap"
    words = ("capture", f"{NODE}:eth1.70", "--lab", str(allowed.lab.file), "--sudo", "--seconds")
    where = ("-i", str(allowed.inventory), "--output", str(file))
    allowed.root(NODE, "ip link add link eth1 name eth1.70 type vlan id 70; ip link set eth1.70 up")
    try:
        # Three frames come to it, and none of those of VLAN 71.
        started.append(here.start(*words, "60", "--count", "3", "--filter", "ether proto 0x88b5",
                                  *where))  # fmt: skip
        allowed.root(NODE, LISTENED)
        allowed.root("core-01", f"python3 -I -S -c '{SEND}'")
        assert started[-1].wait(timeout=CHECK_DEADLINE) == 0
    finally:
        allowed.root(NODE, "ip link delete eth1.70")
    data = file.read_bytes()
    assert data.count(b"of seventy") == 3
    assert b"of another" not in data


@pytest.mark.all
def test_the_pinned_program_knows_both_ends_and_captures_nothing(
    here: Checkout, foreign: Foreign
) -> None:
    foreign.install(PATH, program())
    with foreign.sudoers(sudoers("visitor")):
        done = traced(here, foreign, "lannet-1a", CONTAINER, "--probe", "--json")
        assert done.code == 0, str(done)
        found = of_kind("trace", done)
        with one_down(foreign):
            lost = traced(here, foreign, "lannet-1a", CONTAINER, "--probe", "--json")
        refused = traced(here, foreign, "lannet-1a", CONTAINER, "--sudo", "--json")
    for name in foreign.names:
        foreign.root(name, f"rm -f {PATH}")
    seen = [(hop["at"], hop["direction"]) for hop in found["hops"] if hop["seen"]]
    ends = ("lannet-1a, eth0", f"{CONTAINER}, eth0")
    assert seen == [(ends[0], "out"), (ends[1], "in"), (ends[1], "out"), (ends[0], "in")]
    assert found["live"]["tier"] == "probe"
    assert lost.code == 1, str(lost)
    assert of_kind("trace", lost)["live"]["stopped_at"] in ("no_neighbour", "no_answer")
    assert refused.code == 3, str(refused)
    assert "sudo" in str(refused)
