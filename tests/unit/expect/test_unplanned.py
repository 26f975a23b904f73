"""What is planned without being asked for: who may hear whom, and what is asked of nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.expect import Prediction
from underlay.expect.unplanned import NOBODYS, Planned, Point, planned
from underlay.lint.read import read_lab
from underlay.plan import make_plan

LABS = Path(__file__).resolve().parents[3] / "labs"
# What each interface sends at most: see docs/concepts/measuring.md.
MOST_QUESTIONS, MOST_ASKED = 3, 2


def of(lab: str) -> Planned:
    return planned(Prediction(make_plan(read_lab(LABS / f"{lab}.yml"))))


def hears(found: Planned) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """Return by each interface those that it may hear."""
    return {
        (one.space, one.interface): {
            (other.space, other.interface)
            for other in found.points
            if other.sort in one.hears and other.space != one.space
        }
        for one in found.points
    }


def test_networks_on_two_segments_are_apart_and_one_wire_is_one_link() -> None:
    heard = hears(of("coreos"))
    assert heard["lannet-1a", "eth0"] == {
        ("lannet-1b", "eth0"), ("lannet-2a", "eth0"), ("lannet-2b", "eth0"),
        ("lannet-3a", "eth0"), ("lannet-3b", "eth0"), ("core-02", "eth1"), ("core-03", "eth1"),
    }  # fmt: skip
    # Neither a child nor its parent hears the other.
    assert ("core-01", "eth1") not in heard["lannet-1a", "eth0"]
    assert not any(name.startswith("lannet") for name, _ in heard["ipnet-1a", "eth0"])


def test_two_subnets_of_one_segment_are_one_link() -> None:
    found = of("two-networks")
    segments = {one.network: one for one in found.points}
    assert len(segments) > 1
    plan = make_plan(read_lab(LABS / "two-networks.yml"))
    shared = [n.name for n in plan.networks if n.segment == plan.networks[0].segment]
    if len(shared) > 1:
        first, second = (next(p for p in found.points if p.network == name) for name in shared[:2])
        assert second.sort in first.hears


def test_vlans_are_apart() -> None:
    found = of("docker-vlan")
    plan = make_plan(read_lab(LABS / "docker-vlan.yml"))
    tags = {network.name: (network.segment, network.vlan) for network in plan.networks}
    names = {one.space: one.network for one in found.points if one.network in tags}
    for (space, _), others in hears(found).items():
        for other, _ in others:
            if space in names and other in names:
                assert tags[names[space]] == tags[names[other]]


@pytest.mark.parametrize("lab", ["coreos", "lean", "vlan-ports", "several-subnets"])
def test_questions_are_few_and_for_nobody(lab: str) -> None:
    found = of(lab)
    taken = {address for own in found.addresses.values() for address in own}
    for one in found.points:
        assert len(one.questions) <= MOST_QUESTIONS
        assert len(one.next_ones) <= MOST_ASKED
        assert not one.questions or one.address
        for address in one.questions:
            assert (address in taken) == (address == one.neighbour), (one, address)
    asked = [one.neighbour for one in found.points if one.neighbour]
    assert len(set(asked)) == len(asked), "each address is asked for by one"


def test_a_host_route_leaves_nobodys_address_in_its_own_subnet() -> None:
    points = {(one.space, one.interface): one for one in of("coreos").points}
    first = points["lannet-1a", "eth0"]
    assert first.questions[0] == "20.1.1.254"
    assert NOBODYS not in first.questions


def test_everybody_has_a_control_who_is_certain_to_hear_somebody() -> None:
    found = of("coreos")
    leading = {one.sort for one in found.points if one.leads}
    assert all(one.controls and leading >= {*one.controls} for one in found.points)
    # One machine that is cut off blinds nobody else: each hears a second one, and not its own.
    machines = {one.sort: one.machine for one in found.points}
    for one in found.points:
        others = [machines[sort] for sort in one.controls]
        assert len(others) == len(set(others)) == 2
        assert one.machine not in others
    # Those of a mode that takes no broadcasts have none.
    without = {one.space for one in of("macvlan-source").points if not one.controls}
    assert without == {"deaf-1a", "deaf-2a"}


def test_a_large_lab_has_few_sorts() -> None:
    points: tuple[Point, ...] = of("scale-100").points
    assert len(points) > 300
    assert max(one.sort for one in points) < 10


def test_who_gets_nothing_of_a_tunnel_may_be_heard_by_the_other_end() -> None:
    """Measured: what it sends is heard once the other node has asked for it."""
    points = {point.end: point for point in of("overlay-passthru").points}
    for near, far in (("vx-1a", "vx-2a"), ("gre-1a", "gre-2a")):
        assert points[near].sort in points[far].hears
        assert points[far].sort not in points[near].hears
        assert points[near].sort not in points[far].controls


def test_children_whose_node_routes_for_them_send_nothing() -> None:
    """Measured: their driver discards it, and they would count as ends that couldn't look."""
    still = {one.space: one.still for one in of("ipvlan-l3s").points}
    modes = {n.name: n.mode for n in make_plan(read_lab(LABS / "ipvlan-l3s.yml")).networks}
    assert {name: flag for name, flag in still.items() if flag}
    assert not any(still[node] for node in ("core-01", "core-02"))
    for name, flag in still.items():
        if name.rpartition("-")[0] in modes:
            assert flag == modes[name.rpartition("-")[0]].startswith("l3"), name
