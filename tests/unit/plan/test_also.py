"""Other names of nodes' interfaces: those that the files of a host have for a NIC."""

from __future__ import annotations

from pathlib import Path

import pytest
from underlay_node import docker, links, own

from underlay.lint import load
from underlay.plan import Plan, plan_from_json

UNIT = "[Match]\nName={nic}\n\n[Network]\nAddress=192.168.70.{own}/24\n"
SCRIPT = (
    "#!/bin/sh\n{engine} network create -d macvlan --subnet 10.1.0.0/24 --ip-range 10.1.0.{own}/28"
    " -o parent={parent} lan\n{engine} run -d --name {name} --network lan x\n"
)


def plan_of(folder: Path, nic: str, engine: str = "docker", more: str = "", tag: str = "") -> Plan:
    """Return the plan of three hosts, of which the first calls its NIC ``nic``."""
    for number, name in enumerate(("one", "two", "three")):
        called = nic if name == "one" else "ens3"
        here = folder / "hosts" / name / "srv"
        here.mkdir(parents=True)
        words = {"engine": engine, "own": 16 * (number + 2), "parent": called + tag, "name": name}
        (here / "up.sh").write_text(SCRIPT.format(**words) + (more if name == "one" else ""))
        unit = here.parent / "etc/systemd/network/10-lan.network"
        unit.parent.mkdir(parents=True)
        unit.write_text(UNIT.format(nic=called, own=11 + number))
    file = folder / "lab.yml"
    names = ", ".join(f"{name}: hosts/{name}" for name in ("one", "two", "three"))
    file.write_text(f"name: lab\nfleet: {{{names}}}\n")
    loaded = load(file)
    warned = any(one.id == "fleet-interface-name" for one in loaded.findings)
    assert warned != bool(loaded.plan.node("one").also)
    return loaded.plan


def test_a_nic_has_the_name_of_its_hosts_files_as_well(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "enp7s0")
    assert plan.node("one").also == (("enp7s0", "ens3"),)
    assert plan.node("two").also == ()
    assert plan_from_json(plan.to_json()) == plan
    assert '"also"' in plan.to_json()


def test_a_vlan_that_docker_makes_has_it_too(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "enp7s0", tag=".50")
    # A network's sub-interface is called as the first host's file says.
    assert plan.node("one").also == (("enp7s0", "ens3"),)
    assert plan.node("two").also == plan.node("three").also == (("ens3.50", "enp7s0.50"),)


@pytest.mark.parametrize(
    ("nic", "engine", "more"),
    [
        ("eth0", "docker", ""),
        ("enp7s0", "podman", ""),
        ("enp7s0", "docker", "ip link add enp7s0 link x type dummy\n"),
    ],
)
def test_where_that_cannot_be_it_is_warned_of(
    nic: str, engine: str, more: str, tmp_path: Path
) -> None:
    """eth0 is management's; podman refuses a second name; a script makes it by itself."""
    assert plan_of(tmp_path, nic, engine, more).node("one").also == ()


def test_a_node_gives_the_name_once(monkeypatch: pytest.MonkeyPatch) -> None:
    node = {"node": {"name": "one", "also": [["enp7s0", "ens3"], ["enp7s0.50", "ens3.50"]]}}
    rows = [{"ifname": "ens3"}]
    monkeypatch.setattr(links, "show", lambda _: rows)
    assert links.also(node) == ["link property add dev ens3 altname enp7s0"]
    rows[0]["altnames"] = ["enp7s0"]  # type: ignore[assignment]
    assert links.also(node) == []
    assert links.also({"node": {"name": "one"}}) == []


def test_a_network_is_known_by_either_name_of_its_parent() -> None:
    made = {"made_by": [["one", "/srv/up.sh"]], "parent": "ens3", "driver": "macvlan", "pools": []}
    file = {"path": "/srv/up.sh", "text": "x", "program": "script"}
    node = {"node": {"name": "one", "also": [["enp7s0", "ens3"]], "own": [file]}}
    network = own.network(made, node)
    entry = {"Driver": "macvlan", "Options": {"parent": "enp7s0"}}
    assert docker.is_one(network, entry)
    assert not docker.is_one(made, entry)
