"""Addresses and routes that a lab file gives to nodes' own interfaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.expect import predict
from underlay.lint.read import LabError, read_lab
from underlay.plan import Plan, make_plan

LAB = """\
name: own
nodes:
  names: [alpha, beta]
  interfaces:
    alpha:
      eth1: {addresses: [192.168.70.5/24], routes: [{to: 0.0.0.0/0, via: 192.168.70.1}]}
      eth1.80: {addresses: []}
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  lannet: {driver: macvlan, segment: lan, subnet: 10.1.1.0/24}
  vlannet: {driver: ipvlan, segment: lan, vlan: 80, subnet: 10.2.1.0/24}
containers:
  - {networks: [lannet]}
  - {networks: [vlannet]}
"""


def plan_of(folder: Path, text: str) -> Plan:
    (folder / "lab.yml").write_text(text)
    return make_plan(read_lab(folder / "lab.yml"))


def test_what_is_given_takes_the_plans_place_and_the_rest_stays(tmp_path: Path) -> None:
    alpha, beta = plan_of(tmp_path, LAB).nodes
    assert (alpha.nics[0].address, alpha.vlans[0].address) == ("192.168.70.5/24", "")
    assert [(route.to, route.interface, route.via) for route in alpha.routes] == [
        ("0.0.0.0/0", "eth1", "192.168.70.1")
    ]
    assert (beta.nics[0].address, beta.vlans[0].address) == ("192.168.70.12/24", "10.2.1.12/24")
    assert [(route.to, route.interface) for route in beta.routes] == [("10.1.1.0/24", "eth1")]


def test_a_bridge_has_what_is_given(tmp_path: Path) -> None:
    text = LAB.replace("driver: macvlan,", "driver: bridge, bridge: br0,")
    text = text.replace("eth1.80: {", "br0: {addresses: [192.168.70.6/24]}\n      eth1.80: {")
    alpha, beta = plan_of(tmp_path, text).nodes
    assert [link.addresses for link in (alpha.links[0], beta.links[0])] == [
        ("192.168.70.6/24",),
        ("192.168.70.12/24",),
    ]


def test_small_subnets_are_room_enough_where_all_is_given(tmp_path: Path) -> None:
    text = LAB.replace("192.168.70.0/24", "192.168.70.0/29").replace("70.5/24", "70.5/29")
    with pytest.raises(LabError, match="room for 2 nodes"):
        plan_of(tmp_path, text)
    both = text.replace("segments:", "    beta: {eth1: {addresses: [192.168.70.6/29]}}\nsegments:")
    assert plan_of(tmp_path, both).nodes[1].nics[0].address == "192.168.70.6/29"


@pytest.mark.parametrize(
    ("old", "new", "where", "expected"),
    [
        ("alpha:", "alpa:", "nodes.interfaces.alpa", "one of alpha, beta"),
        (
            "eth1.80: {a",
            "eth1.08: {a",
            "nodes.interfaces.alpha.eth1.08",
            "an interface of the nodes: eth1, eth1.80",
        ),
        (
            "[192.168.70.5/24]",
            "[192.168.70.5/24, 192.168.70.6/24]",
            "nodes.interfaces.alpha.eth1.addresses[1]",
            "one IPv4 address",
        ),
        (
            "addresses: []",
            "addresses: [192.168.70.5/24]",
            "nodes.interfaces.alpha.eth1.80.addresses[0]",
            "another: alpha's eth1 has it",
        ),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, where: str, expected: str) -> None:
    with pytest.raises(LabError) as raised:
        plan_of(tmp_path, LAB.replace(old, new))
    (problem,) = raised.value.problems
    assert (problem.where, problem.expected) == (where, expected)


def test_the_wiring_of_hosts_is_for_fleets(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="nics without a fleet"):
        plan_of(tmp_path, LAB.replace("0/24}\nn", "0/24, nics: {alpha: ens3}}\nn"))


OWN_VLANS = LAB.replace(
    "      eth1.80: {addresses: []}\n",
    "      eth1.80: {absent: true}\n"
    "      vlan90: {segment: lan, vlan: 90, addresses: [10.9.0.1/24]}\n",
).replace("[vlannet]", "[vlannet], on: beta")


def test_a_node_has_its_own_vlans_and_lacks_what_is_absent(tmp_path: Path) -> None:
    alpha, beta = plan_of(tmp_path, OWN_VLANS).nodes
    (own,) = alpha.vlans
    assert (own.interface, own.link, own.vlan, own.address) == (
        "vlan90",
        "eth1",
        90,
        "10.9.0.1/24",
    )
    assert (own.mac, own.mtu) == (alpha.nics[0].mac, 1500)
    assert [(one.interface, one.vlan) for one in beta.vlans] == [("eth1.80", 80)]
    assert not [route for route in alpha.routes if route.interface == "eth1.80"]


def test_who_lacks_a_vlan_doesnt_reach_what_is_in_it(tmp_path: Path) -> None:
    def stops(text: str) -> set[tuple[bool, str]]:
        cells = predict(plan_of(tmp_path, text))
        return {
            (cell.reachable, cell.rule)
            for cell in cells
            if (cell.source, cell.destination) == ("alpha", "vlannet-2a")
        }

    kept = LAB.replace("      eth1.80: {addresses: []}\n", "").replace(
        "[vlannet]", "[vlannet], on: beta"
    )
    assert {reached for reached, _ in stops(kept)} == {True}
    assert {reached for reached, _ in stops(OWN_VLANS)} == {False}
    without = "\n".join(line for line in OWN_VLANS.splitlines() if "eth1: {" not in line) + "\n"
    assert stops(without) == {(False, "no-route")}


def test_a_node_gives_a_name_to_another_vlan(tmp_path: Path) -> None:
    text = OWN_VLANS.replace("eth1.80: {absent: true}", "eth1.80: {segment: lan, vlan: 81}")
    alpha, beta = plan_of(tmp_path, text).nodes
    assert [(one.interface, one.vlan) for one in alpha.vlans] == [("eth1.80", 81), ("vlan90", 90)]
    assert [(one.interface, one.vlan) for one in beta.vlans] == [("eth1.80", 80)]


def test_a_vlan_that_networks_have_may_be_said_again(tmp_path: Path) -> None:
    said = LAB.replace("eth1.80: {", "eth1.80: {segment: lan, vlan: 80, ")
    assert plan_of(tmp_path, said) == plan_of(tmp_path, LAB)
