"""Multicast snooping: what a lab file may say, what the switch is told, and what is predicted."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.cluster.providers.uml import wiring
from underlay.errors import UnderlayError
from underlay.expect import Expectation, predict
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan

LAB = """\
name: snoop
nodes: 2
checks: [multicast, broadcast]
segments:
  lan: {subnet: 192.168.60.0/24, subnet6: fd00:60::/64KEYS}
networks:
  mac: {driver: macvlan, segment: lan, subnet: 10.1.1.0/24, subnet6: fd00:1::/64}
  vx: {driver: vxlan, segment: lan, vni: 10, group: 239.1.1.1, subnet: 10.2.1.0/24}
  fdb: {driver: vxlan, segment: lan, vni: 11, subnet: 10.2.2.0/24}
containers:
  - {on: all, count: 2, networks: [mac]}
  - {on: all, networks: [vx]}
  - {on: all, networks: [fdb]}
"""
SNOOPING = ", snooping: true"
DROPPED = f"{SNOOPING}, unknown_multicast: drop"


def planned(tmp_path: Path, keys: str) -> Plan:
    file = tmp_path / "snoop.yml"
    file.write_text(LAB.replace("KEYS", keys))
    return make_plan(read_lab(file))


def cell(
    plan: Plan, source: str, destination: str, protocol: str = "icmp", family: int = 4
) -> Expectation:
    (found,) = [
        one
        for one in predict(plan)
        if (one.source, one.destination, one.protocol, one.family)
        == (source, destination, protocol, family)
    ]
    return found


def told(plan: Plan) -> str:
    return "".join(text for _, text in wiring.setup(plan))


@pytest.mark.parametrize("keys", ["", SNOOPING, f"{SNOOPING}, querier: true"])
def test_multicast_arrives(tmp_path: Path, keys: str) -> None:
    plan = planned(tmp_path, keys)
    assert cell(plan, "mac-1a", "mac-2a", family=6).reachable
    assert "mac-2a" in cell(plan, "mac-1a", "mac", "multicast").value
    assert cell(plan, "vx-1a", "vx-2a").reachable


def test_a_querier_makes_dropping_harmless(tmp_path: Path) -> None:
    plan = planned(tmp_path, f"{DROPPED}, querier: true")
    assert cell(plan, "mac-1a", "mac-2a", family=6).reachable


def test_without_one_what_is_unknown_is_lost(tmp_path: Path) -> None:
    plan = planned(tmp_path, DROPPED)
    lost = cell(plan, "mac-1a", "mac-2a", family=6)
    assert (lost.rule, lost.stop) == ("no-multicast-across", "no_neighbour")
    assert cell(plan, "mac-1a", "mac", "multicast").value == ("mac-1b",)
    # A group's VXLAN sends its broadcasts by multicast; one with a list of nodes doesn't.
    assert not cell(plan, "vx-1a", "vx-2a").reachable
    assert cell(plan, "vx-1a", "vx", "broadcast").value == ("core-01",)
    # IPv4, broadcasts, siblings and static lists notice nothing.
    assert cell(plan, "mac-1a", "mac-2a").reachable
    assert "mac-2a" in cell(plan, "mac-1a", "mac", "broadcast").value
    assert cell(plan, "mac-1a", "mac-1b", family=6).reachable
    assert cell(plan, "fdb-1a", "fdb-2a").reachable


def test_what_the_switch_is_told(tmp_path: Path) -> None:
    assert "mcast_snooping 0" in told(planned(tmp_path, ""))
    snooping = told(planned(tmp_path, f"{SNOOPING}, querier: true"))
    assert "mcast_snooping 1" in snooping
    assert "link set br-lan type bridge mcast_querier 1" in snooping
    assert "mcast_flood off" not in snooping
    dropped = told(planned(tmp_path, DROPPED))
    assert "link set lan-2 type bridge_slave mcast_flood off" in dropped
    assert "mcast_querier" not in dropped


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (", querier: true", "querier without snooping"),
        (", unknown_multicast: drop", "unknown_multicast without snooping"),
        (f"{DROPPED}, hairpin: true", "dropped multicast on hairpin ports"),
        (f"{SNOOPING}, unknown_multicast: lose", "lose"),
    ],
)
def test_what_is_refused(tmp_path: Path, keys: str, words: str) -> None:
    with pytest.raises(UnderlayError) as caught:
        planned(tmp_path, keys)
    assert "snoop.yml:5:" in str(caught.value)
    assert words in str(caught.value)
