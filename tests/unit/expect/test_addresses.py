"""What is asked of interfaces with several addresses, and of such that have none."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from underlay.expect import ends, pairs, predict
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan

LAB = """\
name: addresses
nodes: 2
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  net: {driver: macvlan, segment: lan, %s}
containers:
  - {on: all, networks: [net]}
checks: [broadcast]
"""
TWO = "subnets: [{subnet: 10.1.0.0/24}, {subnet: 10.2.0.0/24}]"


def plan(folder: Path, keys: str) -> Plan:
    (folder / "lab.yml").write_text(LAB % keys, encoding="utf-8")
    return make_plan(read_lab(folder / "lab.yml"))


def test_each_further_address_is_an_end_of_its_own(tmp_path: Path) -> None:
    made = plan(tmp_path, TWO)
    names = [end.name for end in ends(made)]
    assert names[:4] == ["net-1a", "net-1a@10.2.0.65", "net-2a", "net-2a@10.2.0.129"]
    asked = {(p.source.name, p.destination.name) for p in pairs(made)}
    assert ("net-1a@10.2.0.65", "net-2a") in asked
    assert ("net-1a", "net-1a@10.2.0.65") not in asked
    heard = [cell for cell in predict(made) if cell.protocol == "broadcast"]
    # A broadcast is heard by an interface, not by each of its addresses.
    assert {name for cell in heard for name in cell.value} == {
        "net-1a", "net-2a", "core-01", "core-02",
    }  # fmt: skip


@pytest.mark.parametrize(("route", "reached"), [("", True), (", default_route: none", False)])
def test_two_subnets_of_a_docker_network_meet_by_a_route_only(
    tmp_path: Path, route: str, reached: bool
) -> None:
    text = (LAB % f"{TWO}{route}, runtime: docker").replace("checks: [broadcast]\n", "")
    text += "  - {on: core-01, name: far, networks: [net], addresses: {net: 10.2.0.9}}\n"
    (tmp_path / "lab.yml").write_text(text, encoding="utf-8")
    cells = predict(make_plan(read_lab(tmp_path / "lab.yml")))
    near = {c.reachable for c in cells if (c.source, c.destination) == ("net-1a", "net-2a")}
    far = {c.reachable for c in cells if (c.source, c.destination) == ("net-1a", "far")}
    assert (near, far) == ({True}, {reached})


@pytest.mark.parametrize("driver", ["vxlan, vni: 5", "gretap", "bridge", "macvlan"])
def test_a_node_is_in_each_subnet_of_its_bridge(tmp_path: Path, driver: str) -> None:
    """Its twin is macvlan's node, which has no address in any of them."""
    text = (LAB % TWO).replace("driver: macvlan", f"driver: {driver}")
    (tmp_path / "lab.yml").write_text(text.replace("checks: [broadcast]\n", ""), encoding="utf-8")
    cells = predict(make_plan(read_lab(tmp_path / "lab.yml")))
    node, second = "core-01", "net-1a@10.2.0.65"
    for way in (second, node), (node, second):
        (found,) = {c.reachable for c in cells if (c.source, c.destination) == way}
        assert found == (driver != "macvlan"), way


def test_no_address_is_asked_for_by_its_link_alone(tmp_path: Path) -> None:
    made = plan(tmp_path, "ipam: none")
    assert [str(c.attachments[0].address6) for c in made.containers] == [
        "fe80::75:10ff:fe01:1/64",
        "fe80::75:10ff:fe02:1/64",
    ]
    cells = predict(made)
    assert Counter((cell.family, cell.kind) for cell in cells if "net" in cell.source) == {
        (6, "reach"): 6
    }
    assert all(cell.reachable for cell in cells if cell.kind == "reach")


@pytest.mark.parametrize("keys", ["ipam: none, mode: passthru"])
def test_where_the_kernel_makes_none_nothing_is_asked(tmp_path: Path, keys: str) -> None:
    made = plan(tmp_path, keys)
    assert not any(a.addresses for c in made.containers for a in c.attachments)
    assert list(pairs(made)) == []


TWICE = """\
name: twice
nodes: 2
segments:
  wan: {subnet: 192.168.80.0/24, subnet6: "fd00:80::/64"}
networks:
  routed:
    {driver: ipvlan, mode: l3, vlan: 70, segment: wan, subnet: 10.1.0.0/24, subnet6: "fd00:1::/64"}
  bridged: {driver: bridge, vlan: 80, segment: wan, subnet: 10.1.0.0/24, subnet6: "fd00:1::/64"}
containers:
  - {on: core-01, networks: [bridged]}
"""


def test_an_echo_of_ipv6_goes_back_by_where_it_came_from(tmp_path: Path) -> None:
    """Measured on nodes of 6.12, by force: lint refuses a node that is in a subnet twice."""
    (tmp_path / "lab.yml").write_text(TWICE, encoding="utf-8")
    cells = predict(make_plan(read_lab(tmp_path / "lab.yml")))
    asked = [c for c in cells if (c.source, c.destination) == ("bridged-1a", "core-02")]
    assert {(c.protocol, c.family) for c in asked if c.reachable} == {("icmp", 6)}
    assert len(asked) == 6
