"""Every cell is what it is when nothing else is asked: samples are asked by themselves."""

from __future__ import annotations

import random

import pytest

from cluster.near import shell, state_of
from cluster.running import Lab
from underlay.cluster.access import spawn_as_root
from underlay.observe import measure
from underlay.observe.tasks import one_by_one
from underlay.proof.lab import RunningLab, measure_and_judge
from underlay.verdict import Cell

SAMPLE = 24
# Where others' packets help most, and one of each way that a packet can take.
MORE = (
    "two-networks",
    "two-links-private",
    "two-links-ipvlan",
    "gateway-ipvlan",
    "detour-ipvlan",
    "router-subnets",
    "overlay-vxlan",
    "macvlan-source",
    "docker-ipvlan-l3",
    "nat-two-homed",
    "filters",
    "filter-runtimes",
    "dual-stack",
    "slaac",
    "shim",
)
Name = tuple[str, str, str, int]
# Each keeps lannet-2a from being found, and nothing else.
UNFOUND = {
    "in the container": ("lannet-2a", "sysctl -qw net.ipv4.conf.eth0.arp_ignore={}", "8", "0"),
}


def came(cell: Cell) -> tuple[object, ...]:
    """Return what came of a cell: whether it was reached, where it stopped, whether it arrived."""
    return cell.observed, cell.stopped_at, cell.arrived


def judged(lab: Lab) -> dict[Name, Cell]:
    verdict = measure_and_judge(RunningLab(state_of(lab)), lambda _: None)
    return {(c.source, c.destination, c.protocol, c.family): c for c in verdict.reach}


@pytest.mark.parametrize(
    "lab", ["coreos", *(pytest.param(name, marks=pytest.mark.all) for name in MORE)], indirect=True
)
def test_a_cell_is_what_it_is_alone(lab: Lab) -> None:
    cells = judged(lab)
    pairs = sorted({(source, destination, family) for source, destination, _, family in cells})
    chosen = random.Random(7).sample(pairs, min(SAMPLE, len(pairs)))
    running = RunningLab(state_of(lab))
    asked = one_by_one(running.prediction.plan, chosen)
    alone = measure(running.prediction.plan, spawn_as_root(running.state), asked=asked)
    assert not alone.failed
    assert len(alone.cells) >= len(chosen)
    for seen in alone.cells:
        together = cells[seen.source, seen.destination, seen.protocol, seen.family]
        assert (seen.observed, seen.stopped_at, seen.arrived) == came(together), seen


@pytest.mark.parametrize("lab", ["coreos"], indirect=True)
@pytest.mark.parametrize("where", UNFOUND)
def test_who_cannot_be_found_is_not_reached_for_having_asked(lab: Lab, where: str) -> None:
    """It reaches everybody and is reached by nobody, as people know it from pings of both sides."""
    target, script, broken, mended = UNFOUND[where]
    shell(lab, target, script.format(broken))
    try:
        cells = judged(lab)
    finally:
        shell(lab, target, script.format(mended))
    should = [cell for cell in cells.values() if cell.expected == "reachable"]
    to = [cell for cell in should if cell.destination == "lannet-2a"]
    assert to
    assert {came(cell) for cell in to} == {("unreachable", "no_neighbour", False)}
    others = [cell for cell in should if cell not in to]
    assert [cell for cell in others if cell.source == "lannet-2a"]
    assert {cell.observed for cell in others} == {"reachable"}


@pytest.mark.all
@pytest.mark.parametrize("lab", ["overlay-vxlan"], indirect=True)
def test_a_node_that_cannot_be_found_is_not_reached_through_a_list_of_nodes(lab: Lab) -> None:
    """Its containers reach the others', whose nodes it finds. To it no packet can be sent."""
    shell(lab, "core-02", "sysctl -qw net.ipv4.conf.eth1.arp_ignore=8")
    try:
        cells = judged(lab)
    finally:
        shell(lab, "core-02", "sysctl -qw net.ipv4.conf.eth1.arp_ignore=0")
    there = {"listed-2a", "listed-2b"}
    crossing = [
        cell
        for cell in cells.values()
        if cell.expected == "reachable"
        and cell.source.startswith("listed-")
        and len(there & {cell.source, cell.destination}) == 1
    ]
    to = [cell for cell in crossing if cell.destination in there]
    assert to
    assert {came(cell) for cell in to} == {("unreachable", "no_neighbour", False)}
    assert {cell.observed for cell in crossing if cell.source in there} == {"reachable"}
