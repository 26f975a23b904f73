"""What nodes hand out of a network's subnets: as the user plans it, or for the whole cluster."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan

LAB = """\
name: pools
nodes: 3
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  net: {driver: macvlan, segment: lan, %s}
containers:
  - {on: all, count: 2, networks: [net]}
%s
"""

Planned = Callable[..., Plan]


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    """Return a function that plans a network with these keys, and further groups."""

    def plan(keys: str, more: str = "") -> Plan:
        (tmp_path / "pools.yml").write_text(LAB % (keys, more), encoding="utf-8")
        return make_plan(read_lab(tmp_path / "pools.yml"))

    return plan


def addresses(plan: Plan) -> list[tuple[str, ...]]:
    return [tuple(map(str, c.attachments[0].addresses)) for c in plan.containers]


RANGES = (
    "subnet: 10.1.0.0/24,"
    " ranges: {core-01: 10.1.0.0/27, core-02: 10.1.0.40-10.1.0.50, core-03: 10.1.0.64/26}"
)


def test_ranges_are_taken_as_they_are_given(planned: Planned) -> None:
    assert addresses(planned(RANGES)) == [
        ("10.1.0.1/24",),
        ("10.1.0.2/24",),
        ("10.1.0.40/24",),
        ("10.1.0.41/24",),
        ("10.1.0.64/24",),
        ("10.1.0.65/24",),
    ]


def test_nobody_gets_what_is_reserved_or_the_gateways(planned: Planned) -> None:
    keys = RANGES + ", reserved: [10.1.0.1-10.1.0.9, 10.1.0.40/29, 10.1.0.64], gateway: 10.1.0.48"
    plan = planned(keys)
    assert [own for (own,) in addresses(plan)] == [
        "10.1.0.10/24",
        "10.1.0.11/24",
        "10.1.0.49/24",
        "10.1.0.50/24",
        "10.1.0.65/24",
        "10.1.0.66/24",
    ]
    (pool,) = plan.networks[0].pools
    parts = {node: [(one.first, one.last) for one in found] for node, found in pool.parts.items()}
    assert parts == {
        "core-01": [("10.1.0.10", "10.1.0.31")],
        "core-02": [("10.1.0.48", "10.1.0.50")],
        "core-03": [("10.1.0.65", "10.1.0.127")],
    }


def test_a_fixed_address_lies_anywhere_and_is_its_nodes(planned: Planned) -> None:
    more = "  - {on: core-02, name: far, networks: [net], addresses: {net: 10.1.0.200}}"
    plan = planned(RANGES, more)
    assert plan.container("far").attachments[0].address == "10.1.0.200/24"
    (pool,) = plan.networks[0].pools
    assert [(one.first, one.last) for one in pool.parts["core-02"]] == [
        ("10.1.0.40", "10.1.0.50"),
        ("10.1.0.200", "10.1.0.200"),
    ]


def test_where_a_container_is_the_first_the_runtimes_take_another_for_a_gateway(
    planned: Planned,
) -> None:
    first, last = planned(RANGES), planned("subnet: 10.1.0.0/24")
    assert [pool.spare for pool in first.networks[0].pools] == ["10.1.0.254"]
    assert [pool.spare for pool in last.networks[0].pools] == [""]


@pytest.mark.parametrize("ipam", ["ipam: cluster", "ipam: static, sliced: false"])
def test_one_pool_for_all_nodes(planned: Planned, ipam: str) -> None:
    assert [own for (own,) in addresses(planned(f"subnet: 10.1.0.0/28, {ipam}"))] == [
        f"10.1.0.{number}/28" for number in range(2, 8)
    ]


SEVERAL = "subnets: [{subnet: 10.1.0.0/24}, {subnet: 10.2.0.0/24}]"


def test_host_local_gives_one_address_of_each_subnet(planned: Planned) -> None:
    assert addresses(planned(SEVERAL))[0] == ("10.1.0.65/24", "10.2.0.65/24")


def test_docker_gives_one_of_each_family(planned: Planned) -> None:
    more = "  - {on: core-02, name: far, networks: [net], addresses: {net: 10.2.0.9}}"
    plan = planned(SEVERAL + ", runtime: docker", more)
    assert addresses(plan)[0] == ("10.1.0.65/24",)
    assert [str(a) for a in plan.container("far").attachments[0].addresses] == ["10.2.0.9/24"]


def test_docker_fills_the_second_subnet_when_the_first_is_full(planned: Planned) -> None:
    keys = "subnets: [{subnet: 10.1.0.0/29}, {subnet: 10.2.0.0/24}], runtime: docker"
    assert addresses(planned(keys))[:2] == [("10.1.0.3/29",), ("10.2.0.65/24",)]


@pytest.mark.parametrize("nodes", [1, 3, 7])
def test_docker_is_given_no_range_at_the_end_of_an_ipv6_subnet(tmp_path: Path, nodes: int) -> None:
    keys = 'runtime: docker, subnet: 10.1.0.0/24, subnet6: "fd00:1::/64"'
    text = (LAB % (keys, "")).replace("nodes: 3", f"nodes: {nodes}")
    (tmp_path / "six.yml").write_text(text, encoding="utf-8")
    (network,) = make_plan(read_lab(tmp_path / "six.yml")).networks
    last = int(ip_network("fd00:1::/64")[-1])
    ends = [int(ip_address(piece.last)) for piece in network.slices6.values()]
    assert max(ends) < last - 2**32
