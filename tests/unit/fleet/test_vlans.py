"""A fleet's nodes have the VLANs that hosts' files make: no more, no fewer, and by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from archive import unpack
from underlay.expect import predict
from underlay.lint import load
from underlay.lint.read import LabError
from underlay.plan import Plan

HOSTS = ("pine", "oak")
NETPLAN = """\
network:
  ethernets:
    eno1:
      addresses: [10.20.0.1{0}/24]
      routes: [{{to: default, via: 10.20.0.1}}]
  vlans:
    eno1.50: {{id: 50, link: eno1, addresses: [192.168.50.1{0}/24]}}
"""
SIXTY = "    eno1.60: {{id: 60, link: eno1, addresses: [192.168.60.1{0}/24]}}\n"
SCRIPT = """\
docker network create -d macvlan --subnet 192.168.{1}.0/24 --gateway 192.168.{1}.1 \\
  --ip-range 192.168.{1}.{2}/27 -o parent=eno1.{1} {3}
docker run -d --network {3} --name {4} --ip 192.168.{1}.{5} nginx
"""
LAB = "name: trees\nfleet: {pine: pine, oak: oak}\n"
FILES = {
    "pine/etc/netplan/50.yaml": NETPLAN.format(1),
    "pine/srv/net.sh": SCRIPT.format(1, 50, 64, "svc", "web", 66),
    "oak/etc/netplan/50.yaml": NETPLAN.format(2) + SIXTY.format(2),
    "oak/srv/net.sh": SCRIPT.format(2, 60, 96, "data", "db", 99),
    "lab.yml": LAB,
}


def plan_of(folder: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> Plan:
    monkeypatch.chdir(folder)
    unpack(files, folder)
    return load(Path("lab.yml")).plan


def vlans(plan: Plan) -> dict[str, dict[str, tuple[str, int, str]]]:
    return {
        node.name: {one.interface: (one.link, one.vlan, one.address) for one in node.vlans}
        for node in plan.nodes
    }


def reached(plan: Plan, source: str, destination: str) -> set[bool]:
    return {
        cell.reachable
        for cell in predict(plan)
        if (cell.source, cell.destination) == (source, destination)
    }


def test_a_host_hasnt_the_vlan_of_another_hosts_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(tmp_path, monkeypatch, FILES)
    assert vlans(plan) == {
        "pine": {"eno1.50": ("eno1", 50, "192.168.50.11/24")},
        "oak": {
            "eno1.50": ("eno1", 50, "192.168.50.12/24"),
            "eno1.60": ("eno1", 60, "192.168.60.12/24"),
        },
    }
    assert (reached(plan, "pine", "db"), reached(plan, "db", "pine")) == ({False}, {False})
    assert reached(plan, "oak", "web") == {True}


def test_a_host_that_makes_the_vlan_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {**FILES, "pine/etc/netplan/50.yaml": NETPLAN.format(1) + SIXTY.format(1)}
    plan = plan_of(tmp_path, monkeypatch, more)
    assert vlans(plan)["pine"]["eno1.60"] == ("eno1", 60, "192.168.60.11/24")
    assert (reached(plan, "pine", "db"), reached(plan, "db", "pine")) == ({True}, {True})


def test_a_vlan_without_a_network_stays_and_what_is_for_its_subnet_leaves_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {name: text.replace("parent=eno1.50", "parent=eno1") for name, text in FILES.items()}
    plan = plan_of(tmp_path, monkeypatch, files)
    assert vlans(plan)["oak"]["eno1.50"] == ("eno1", 50, "192.168.50.12/24")
    rules = {
        (cell.rule, cell.stop)
        for cell in predict(plan)
        if (cell.source, cell.destination) == ("oak", "web")
    }
    assert rules == {("other-vlan", "no_neighbour")}


def test_each_host_calls_a_vlan_as_its_files_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pine's files have VLAN 60 by another name than oak, whose network sits on it."""
    other = SIXTY.format(1).replace("eno1.60", "guests")
    more = {**FILES, "pine/etc/netplan/50.yaml": NETPLAN.format(1) + other}
    plan = plan_of(tmp_path, monkeypatch, more)
    assert vlans(plan)["pine"] == {
        "eno1.50": ("eno1", 50, "192.168.50.11/24"),
        "guests": ("eno1", 60, "192.168.60.11/24"),
    }
    assert reached(plan, "pine", "db") == {True}


def test_a_parent_whose_vlan_has_another_name_leads_to_no_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {**FILES, "pine/etc/netplan/50.yaml": NETPLAN.format(1).replace("eno1.50", "vlan50")}
    with pytest.raises(LabError) as raised:
        plan_of(tmp_path, monkeypatch, wrong)
    (problem,) = raised.value.problems
    assert (problem.file, problem.line) == ("pine/srv/net.sh", 1)
    assert problem.id == "parent-vlan-name"
    assert "Docker would make: pine has VLAN 50 of eno1 as vlan50" in problem.fact
