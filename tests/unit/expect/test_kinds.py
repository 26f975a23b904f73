"""Paths are followed once for ends that are alike, and never for those that aren't."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given

from random_labs import labs, planned, rounds
from underlay.expect import FAMILIES, End, Prediction, ends, predict
from underlay.expect.kinds import Kinds
from underlay.expect.path import Paths
from underlay.expect.world import World
from underlay.lint import load
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan
from underlay.proof.bench.fleets import fleet

ROOT = Path(__file__).resolve().parents[3]
LABS = ROOT / "labs"
NAMES = sorted(path.stem for path in LABS.glob("*.yml") if path.stem != "scale-100")
FLEETS = sorted(path.parent.name for path in (ROOT / "examples").glob("*/lab.yml"))
DAILY, ALL = 10, 400


def plan_of(name: str) -> Plan:
    return make_plan(read_lab(LABS / f"{name}.yml"))


def kinds_of(plan: Plan) -> Kinds:
    return Kinds(World(plan))


def holds_cell_by_cell(plan: Plan) -> None:
    """Fail where a cell isn't what it is when each pair's packets are followed by themselves."""
    by_kind = predict(plan)

    def alone(_: Kinds, end: End) -> End:
        return end

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kinds, "of", alone)
        assert predict(plan) == by_kind


@pytest.mark.parametrize("name", NAMES)
def test_what_holds_for_a_kind_holds_for_each_of_its_pairs(name: str) -> None:
    holds_cell_by_cell(plan_of(name))


@pytest.mark.parametrize("name", FLEETS)
def test_what_holds_for_a_kind_of_a_fleet_holds_for_each_of_its_pairs(name: str) -> None:
    holds_cell_by_cell(load(ROOT / "examples" / name / "lab.yml").plan)


@pytest.mark.parametrize("routed", [True, False])
def test_a_host_without_a_route_is_told_from_those_beside_it(routed: bool, tmp_path: Path) -> None:
    holds_cell_by_cell(load(fleet(tmp_path, 4, routed=routed)).plan)


@rounds(DAILY)
@given(labs(nodes=3))
def test_kinds_of_a_random_lab_hold_cell_by_cell(lab: dict[str, Any]) -> None:
    holds_at_random(lab)


@pytest.mark.all
@rounds(ALL)
@given(labs(nodes=4))
def test_kinds_of_hundreds_of_random_labs_hold_cell_by_cell(lab: dict[str, Any]) -> None:
    holds_at_random(lab)


def holds_at_random(lab: dict[str, Any]) -> None:
    plan = planned(lab)
    assume(plan is not None)
    assert plan is not None
    holds_cell_by_cell(plan)


def test_three_hundred_containers_are_of_few_kinds() -> None:
    plan = plan_of("scale-100")
    kinds = kinds_of(plan)
    assert len(plan.containers) == 300
    assert len({kinds.of(end) for end in ends(plan)}) <= 12


def test_a_container_that_owns_a_gateway_is_like_no_other() -> None:
    plan = plan_of("router-on-a-stick")
    kinds = kinds_of(plan)
    router = {kinds.of(end) for end in ends(plan) if end.space == "router"}
    others = {kinds.of(end) for end in ends(plan) if end.space != "router"}
    assert not router & others


def test_containers_beside_a_router_are_like_no_others_nodes() -> None:
    """Its siblings don't reach it as others do, whatever else they have in common."""
    plan = plan_of("router-on-a-stick")
    kinds = kinds_of(plan)
    home = plan.container("router").node
    beside = {kinds.of(end) for end in ends(plan) if end.node == home}
    others = {kinds.of(end) for end in ends(plan) if end.node != home}
    assert not beside & others


def walks(hosts: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how often packets of a pair are followed for the matrix of a fleet."""
    plan = load(fleet(folder / str(hosts), hosts)).plan
    followed = 0
    own = Paths._followed

    def counted(self: Paths, pair: Any) -> Any:
        nonlocal followed
        followed += 1
        return own(self, pair)

    with monkeypatch.context() as patch:
        patch.setattr(Paths, "_followed", counted)
        assert Prediction(plan).reach
    return followed


def test_more_hosts_of_a_kind_need_no_more_walks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, more = walks(3, tmp_path, monkeypatch), walks(9, tmp_path, monkeypatch)
    assert few == more


def test_two_hosts_of_a_fleet_are_of_one_kind(tmp_path: Path) -> None:
    plan = load(fleet(tmp_path, 3, routed=False)).plan
    for family in FAMILIES:
        kinds = Kinds(World(plan, family))
        first, second, third = (kinds.of(end) for end in ends(plan) if end.kind == "node")
        assert second == third
        assert family == 6 or first != second
