"""Free names: of nodes, of their interfaces, and of containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.cluster.switching import differences
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan, plan_from_json
from underlay.storage import paths

LAB = """\
name: free
nodes: [alpha, beta]
segments:
  lan: {subnet: 192.168.70.0/24, interface: ens3.80}
  dmz: {subnet: 192.168.71.0/24}
networks:
  web: {driver: macvlan, segment: lan, subnet: 10.1.0.0/24}
  shop: {driver: macvlan, segment: lan, vlan: 80, interface: foo, subnet: 10.2.0.0/24}
  cart: {driver: macvlan, parent: foo, subnet: 10.3.0.0/24}
  same: {driver: macvlan, parent: ens3.80.80, subnet: 10.4.0.0/24}
  more: {driver: ipvlan, parent: eth2.80, subnet: 10.5.0.0/24}
  office: {driver: bridge, segment: dmz, bridge: br-lan, subnet: 10.6.0.0/24}
containers:
"""


def planned(tmp_path: Path, containers: str = "  - {networks: [web]}\n", lab: str = LAB) -> Plan:
    file = tmp_path / "free.yml"
    file.write_text(lab + containers)
    return make_plan(read_lab(file))


def named(plan: Plan) -> dict[str, str]:
    return {container.name: container.node for container in plan.containers}


def test_a_name_with_a_dot_is_a_nic_where_a_segment_says_so(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert plan.network("web").parent == plan.network("web").nic == "ens3.80"
    assert plan.network("web").vlan is None
    # A network finds its sub-interface by the name that another one gave it, or by NIC.VLAN.
    for name in ("shop", "cart", "same"):
        network = plan.network(name)
        assert (network.parent, network.nic, network.vlan) == ("foo", "ens3.80", 80)
        assert network.segment == "lan"
    assert plan.network("more").parent == "eth2.80"
    assert plan.network("office").parent == plan.network("office").own == "br-lan"
    for node in plan.nodes:
        links = [(vlan.interface, vlan.link, vlan.vlan) for vlan in node.vlans]
        assert links == [("foo", "ens3.80", 80), ("eth2.80", "eth2", 80)]
        assert node.below("foo") == ["foo", "ens3.80"]
        assert node.below("br-lan") == ["br-lan", "eth2"]
    assert plan_from_json(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        # The only container of its name is called just that, also as its network is.
        (["{on: alpha, name: web, networks: [web]}"], {"web": "alpha"}),
        # On several nodes, in one group or in several, a number of the node and a letter follow.
        (["{name: db, networks: [web]}"], {"db-1a": "alpha", "db-2a": "beta"}),
        (
            ["{on: alpha, name: db, networks: [web]}", "{on: beta, name: db, networks: [web]}"],
            {"db-1a": "alpha", "db-2a": "beta"},
        ),
        # Nobody gets a name that is another's already.
        (
            ["{networks: [web]}", "{on: beta, name: web-2a, networks: [web]}"],
            {"web-1a": "alpha", "web-2b": "beta", "web-2a": "beta"},
        ),
        (
            ["{networks: [web]}", "{name: web, networks: [cart]}"],
            {"web-1a": "alpha", "web-1b": "alpha", "web-2a": "beta", "web-2b": "beta"},
        ),
    ],
)
def test_containers_names_are_their_own(
    tmp_path: Path, groups: list[str], expected: dict[str, str]
) -> None:
    plan = planned(tmp_path, "".join(f"  - {group}\n" for group in groups))
    assert named(plan) == expected


def test_nodes_of_other_names_are_other_nodes(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    other = planned(tmp_path, lab=LAB.replace("[alpha, beta]", "[alpha, gamma]"))
    assert differences(plan, other) == ["nodes: alpha, beta run, free needs alpha, gamma"]
    # NICs that are called otherwise are the same NICs.
    renamed = planned(tmp_path, lab=LAB.replace("ens3.80", "lan0").replace("lan0.80", "lan0.80"))
    assert differences(plan, renamed) == []


def test_a_bonds_names_are_settled_when_its_node_boots(tmp_path: Path) -> None:
    text = (paths.root() / "labs" / "named-bond.yml").read_text()
    plan = planned(tmp_path, "", text)
    (bond, _), _ = (node.nics for node in plan.nodes)
    assert [bond.interface, *(member.interface for member in bond.members)] == [
        *("lan0", "ens3", "ens4")
    ]
    other = planned(tmp_path, "", text.replace("[ens3, ens4]", "[ens3, ens5]"))
    found = differences(plan, other)
    assert found[0].endswith(
        "bonds: it has lan0 (active-backup) of ens3, ens4,"
        " named-bond needs lan0 (active-backup) of ens3, ens5"
    )
