"""Segments whose every port is a trunk: all tagged, or with a native VLAN."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.expect import predict
from underlay.lint.read import read_lab
from underlay.plan import Plan, PortVlans, make_plan

LABS = Path(__file__).resolve().parents[3] / "labs"


def plan_of(name: str) -> Plan:
    return make_plan(read_lab(LABS / f"{name}.yml"))


def rules(plan: Plan, source: str, destination: str) -> set[tuple[bool, str]]:
    return {
        (cell.reachable, cell.rule)
        for cell in predict(plan)
        if (cell.source, cell.destination, cell.kind) == (source, destination, "reach")
    }


def test_every_port_is_a_trunk() -> None:
    plan = plan_of("trunk-tagged")
    assert plan.switch
    assert set(plan.segments[0].vlans.values()) == {PortVlans((70, 80))}
    assert set(plan.segments[0].vlans) == {"core-01", "core-02", "core-03", "router"}


def test_a_named_port_is_what_it_says() -> None:
    vlans = plan_of("trunk-native").segments[0].vlans
    assert vlans["core-01"] == PortVlans((80,), 70)
    assert vlans["core-03"] == PortVlans(untagged=70)


@pytest.mark.parametrize(
    ("lab", "source", "destination", "expected"),
    [
        ("trunk-tagged", "plain-1a", "plain-2a", (False, "port-not-a-member")),
        ("trunk-tagged", "plain-1a", "core-02", (False, "port-not-a-member")),
        ("trunk-tagged", "mac90-1a", "mac90-2a", (False, "port-not-a-member")),
        ("trunk-tagged", "mac70-1a", "ip80-2a", (True, "forwarded")),
        ("trunk-native", "mac70-1a", "mac70-2a", (False, "port-untags")),
        ("trunk-native", "ip80-1a", "ip80-3a", (False, "port-not-a-member")),
    ],
)
def test_what_has_no_tag_needs_a_native_vlan(
    lab: str, source: str, destination: str, expected: tuple[bool, str]
) -> None:
    assert rules(plan_of(lab), source, destination) == {expected}


def test_the_native_vlan_joins_what_has_no_tag() -> None:
    plan = plan_of("trunk-native")
    for destination in ("plain-2a", "plain-3a", "core-02", "server"):
        assert {reachable for reachable, _ in rules(plan, "plain-1a", destination)} == {True}
