"""Nobody asks while somebody looks for them: in every shipped lab, and for any number of names."""

from __future__ import annotations

from collections import defaultdict
from math import comb
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from underlay.expect import pairs
from underlay.expect.world import World
from underlay.lint.read import read_lab
from underlay.observe.turns import Wires, codes, turns
from underlay.plan import make_plan

LABS = sorted((Path(__file__).parents[3] / "labs").glob("*.yml"))


@pytest.mark.parametrize("file", LABS, ids=lambda file: file.stem)
def test_whoever_is_looked_for_is_still(file: Path) -> None:
    plan = make_plan(read_lab(file))
    if len(plan.containers) > 100:  # any number of names is tried below
        plan = make_plan(read_lab(file).model_copy(update={"containers": []}))
    every = list(pairs(plan))
    wires = {family: Wires(World(plan, family)) for family in {pair.family for pair in every}}
    asking, looked_for = defaultdict(set), defaultdict(set)
    for pair, number in zip(every, turns(plan, every), strict=True):
        way = wires[pair.family].way(pair)
        if way.asker != way.asked:
            for name in way.asking - {way.router}:
                asking[number, name].add(way)
            for name in way.looked_for:
                looked_for[number, name].add(way)
    # A node may be asked for its own answer's sake; then it is the only one that is.
    both = asking.keys() & looked_for.keys()
    assert not [key for key in both if len(asking[key] | looked_for[key]) > 1]


@pytest.mark.parametrize("name", ["overlay-passthru", "overlay-vxlan", "switch-locked"])
def test_a_node_that_is_looked_for_has_no_tunnel_that_tells_where_it_is(name: str) -> None:
    """What a container asks everybody in an overlay has its node ask on the wire for the others."""
    plan = make_plan(read_lab(LABS[0].with_name(f"{name}.yml")))
    every = list(pairs(plan))
    wires = {family: Wires(World(plan, family)) for family in {pair.family for pair in every}}
    telling, sought = defaultdict(set), defaultdict(set)
    for pair, number in zip(every, turns(plan, every), strict=True):
        way = wires[pair.family].way(pair)
        for node in way.tells:
            telling[number, node].add(way)
        for node in way.sought:
            sought[number, node].add(way)
    assert telling
    both = telling.keys() & sought.keys()
    assert not [key for key in both if len(telling[key] | sought[key]) > 1]


@pytest.mark.parametrize("name", ["two-networks-ipvlan", "detour-ipvlan"])
def test_a_node_does_not_look_for_whom_its_child_looks_for_by_another_address(name: str) -> None:
    """The answer is for no child's address, and so the node takes it for one of its own."""
    plan = make_plan(read_lab(LABS[0].with_name(f"{name}.yml")))
    every = [pair for pair in pairs(plan) if pair.family == 4]
    ways = [Wires(World(plan, 4)).way(pair) for pair in every]
    numbered = list(zip(turns(plan, every), ways, strict=True))
    asking = {(number, way.asker, way.hop) for number, way in numbered}
    hearing = {(number, way.hears, way.hop) for number, way in numbered if way.hears}
    assert hearing
    assert not asking & hearing


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=300))
def test_of_each_two_one_asks_while_the_other_does_not(count: int) -> None:
    found = codes(range(count))
    assert all(found[a] - found[b] for a in found for b in found if a != b)
    phases = len(set().union(*found.values()))
    assert count < 2 or comb(phases - 1, (phases - 1) // 2) < count


def test_what_a_router_passes_on_both_ways_has_two_turns() -> None:
    """A router that looks for a destination on a wire would be found there by who looks for it."""
    plan = make_plan(read_lab(Path(LABS[0]).with_name("router-segments.yml")))
    every = list(pairs(plan))
    wires = Wires(World(plan, 4))
    ways = defaultdict(set)
    for pair, number in zip(every, turns(plan, every), strict=True):
        way = wires.way(pair)
        if way.crosses:
            ways[number].add((way.from_domain, way.to_domain))
    assert ways
    for crossed in ways.values():
        assert not {from_ for from_, _ in crossed} & {to for _, to in crossed}


def test_nodes_look_for_each_other_where_an_overlay_carries_a_pair() -> None:
    plan = make_plan(read_lab(Path(LABS[0]).with_name("overlay-vxlan.yml")))
    wires = Wires(World(plan, 4))
    of = {(pair.source.space, pair.destination.space): wires.way(pair) for pair in pairs(plan)}
    assert of["listed-1a", "listed-2a"].carried == (("core-01", "core-02", "lan"),)
    assert of["listed-2a", "listed-1a"].carried == (("core-02", "core-01", "lan"),)
    assert not of["listed-1a", "listed-1b"].carried
    # A frame to a group needs no neighbour, but its answer does.
    assert of["grouped-1a", "grouped-2a"].carried == (("core-02", "core-01", "lan"),)
    # Who asks for a neighbour on the same node asks every node.
    assert of["listed-1a", "listed-1b"].tells == {("core-01", "lan")}
    assert not of["grouped-1a", "grouped-2a"].tells
    assert of["listed-1a", "listed-2a"].asking == {"listed-1a", "core-01"}
    assert of["listed-1a", "listed-2a"].looked_for == {"listed-2a", "core-02"}


TWO = """\
name: two
nodes: 2
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  front: {driver: macvlan, segment: lan, vlan: 40, subnet: 10.40.0.0/24}
  back: {driver: ipvlan, segment: lan, vlan: 50, subnet: 10.50.0.0/24}
containers:
  - {on: all, name: web, networks: [front, back]}
"""


def test_an_answer_by_another_interface_needs_a_turn_of_its_own(tmp_path: Path) -> None:
    """It looks for the asker there, and would find it once that had asked there as well."""
    (tmp_path / "two.yml").write_text(TWO)
    plan = make_plan(read_lab(tmp_path / "two.yml"))
    every = list(pairs(plan))
    names = [(pair.source.name, pair.destination.name) for pair in every]
    turn = dict(zip(names, turns(plan, every), strict=True))
    across = turn["web-1a@back", "web-2a@front"]
    assert [name for name in names if turn[name] == across] == [("web-1a@back", "web-2a@front")]
    assert (
        Wires(World(plan, 4)).way(every[names.index(("web-1a@back", "web-2a@back"))]).detour == ""
    )


ROUTED = """\
name: routed
nodes: 2
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  three: {driver: ipvlan, mode: l3, routed: true, shim: true, segment: lan, subnet: 10.3.0.0/24}
containers:
  - {on: all, networks: [three]}
"""


def test_an_l3_childs_node_looks_for_its_own_next_hop_in_its_own_name(tmp_path: Path) -> None:
    """Asked in the name of its l3 child it finds nobody, and would by what its container asked."""
    (tmp_path / "routed.yml").write_text(ROUTED)
    plan = make_plan(read_lab(tmp_path / "routed.yml"))
    every = list(pairs(plan))
    ways = {(p.source.name, p.destination.name): Wires(World(plan, 4)).way(p) for p in every}
    names = [(pair.source.name, pair.destination.name) for pair in every]
    turn = dict(zip(names, turns(plan, every), strict=True))
    by_child, by_node = ("three-1a", "three-2a"), ("core-01", "three-2a")
    assert [ways[by_child].hop, ways[by_node].hop] == ["192.168.70.12"] * 2
    assert ways[by_child].sender == "192.168.70.11"
    assert ways[by_node].sender != "192.168.70.11"
    assert turn[by_child] != turn[by_node]
