"""Paths are followed once for containers that are alike, and never for those that aren't."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.expect import End, ends, predict
from underlay.expect.kinds import Kinds
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan

LABS = Path(__file__).resolve().parents[3] / "labs"
NAMES = sorted(path.stem for path in LABS.glob("*.yml") if path.stem != "scale-100")


def plan_of(name: str) -> Plan:
    return make_plan(read_lab(LABS / f"{name}.yml"))


@pytest.mark.parametrize("name", NAMES)
def test_what_holds_for_a_kind_holds_for_each_of_its_pairs(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(name)
    by_kind = predict(plan)

    def alone(_: Kinds, end: End) -> End:
        return end

    monkeypatch.setattr(Kinds, "of", alone)
    assert predict(plan) == by_kind


def test_three_hundred_containers_are_of_few_kinds() -> None:
    plan = plan_of("scale-100")
    kinds = Kinds(plan)
    assert len(plan.containers) == 300
    assert len({kinds.of(end) for end in ends(plan)}) <= 12


def test_a_container_that_owns_a_gateway_is_like_no_other() -> None:
    plan = plan_of("router-on-a-stick")
    kinds = Kinds(plan)
    router = {kinds.of(end) for end in ends(plan) if end.space == "router"}
    others = {kinds.of(end) for end in ends(plan) if end.space != "router"}
    assert not router & others
