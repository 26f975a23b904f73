"""Bonds as parents: what a lab file may say, and what is planned and set up."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.cluster.providers.uml import lean, wiring
from underlay.cluster.providers.uml.node import arguments
from underlay.cluster.switching import differences
from underlay.errors import UnderlayError
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan, plan_from_json

LAB = """\
name: bond
nodes: {count: 2, profile: lean}
segments:
  lan: {subnet: 192.168.60.0/24, bond: active-backup}
  wan: {subnet: 192.168.61.0/24}
networks:
  mac: {driver: macvlan, segment: lan, subnet: 10.1.1.0/24, runtime: iproute2}
  ip70: {driver: ipvlan, parent: bond1.70, subnet: 10.1.2.0/24, runtime: iproute2}
containers:
  - {on: all, networks: [mac]}
  - {on: all, networks: [ip70]}
"""


def planned(tmp_path: Path, lab: str = LAB) -> Plan:
    file = tmp_path / "bond.yml"
    file.write_text(lab)
    return make_plan(read_lab(file))


def test_a_bond_is_what_networks_sit_on(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert [network.parent for network in plan.networks] == ["bond1", "bond1.70"]
    node = plan.nodes[0]
    assert [nic.interface for nic in node.nics] == ["bond1", "eth2"]
    assert [name for name, _, _ in node.cards] == ["eth1", "eth2", "eth3"]
    assert [member.port for member in node.nics[0].members] == ["lan-1", "lan-1b"]
    # It has its first member's address, and that is a card's own.
    assert node.nics[0].mac == node.nics[0].members[0].mac
    assert len({mac for _, mac, _ in node.cards}) == 3
    assert plan_from_json(plan.to_json()) == plan


def test_the_node_is_told_to_make_it(tmp_path: Path) -> None:
    node = planned(tmp_path).nodes[0]
    lines = lean.links(node)
    made = lines.index("link add bond1 type bond mode active-backup miimon 100")
    assert lines[made + 1 : made + 3] == [
        "link set eth1 master bond1",
        "link set eth3 master bond1",
    ]
    assert not any(line.startswith("link set eth1 up") for line in lines)


def test_each_card_has_its_tap_in_the_segment(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    taps = [word for word in arguments(plan, plan.nodes[0]) if word.startswith("vec")]
    assert [tap.split("ifname=")[1].split(",")[0] for tap in taps] == [
        "mgmt_1",
        "card_1_1",
        "card_1_2",
        "card_1_3",
    ]
    lines = wiring.links(plan)
    assert "link property add dev lan-1b altname card_1_3" in lines
    assert "link set lan-1b mtu 1500 addrgenmode none master br-lan up" in lines


def test_a_lab_without_bonds_has_a_card_for_each_segment(tmp_path: Path) -> None:
    lab = LAB.replace(", bond: active-backup", "").replace("bond1", "eth1")
    plan = planned(tmp_path, lab)
    assert [name for name, _, _ in plan.nodes[0].cards] == ["eth1", "eth2"]
    assert not any("bond" in line for line in lean.links(plan.nodes[0]))


def test_nodes_with_bonds_are_other_nodes(tmp_path: Path) -> None:
    bonded = planned(tmp_path)
    plain = planned(tmp_path, LAB.replace(", bond: active-backup", "").replace("bond1", "eth1"))
    assert any("bonds" in line for line in differences(bonded, plain))
    assert differences(bonded, planned(tmp_path)) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        (", profile: lean", "", 4, "lean nodes"),
        ("active-backup", "balance-xor", 4, "balance-xor"),
        ("active-backup", "active-backup, locked: true", 4, "locked ports"),
        ("parent: bond1.70", "parent: eth1.70", 8, "bond1"),
    ],
)
def test_what_is_refused(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    with pytest.raises(UnderlayError) as caught:
        planned(tmp_path, LAB.replace(old, new))
    assert f"bond.yml:{line}:" in str(caught.value)
    assert words in str(caught.value)
