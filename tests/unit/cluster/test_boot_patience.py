"""How long a node may take to boot, by how many share a processor."""

from __future__ import annotations

import dataclasses
import os

import pytest

from underlay.cluster.providers.uml.provider import NODE_DEADLINE, patience
from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.storage.paths import root


@pytest.mark.parametrize(
    ("nodes", "cores", "times"), [(3, 2, 1), (8, 2, 1), (20, 2, 2.5), (20, 16, 1), (6, 1, 1.5)]
)
def test_many_on_a_processor_get_more(
    monkeypatch: pytest.MonkeyPatch, nodes: int, cores: int, times: float
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    plan = make_plan(read_lab(root() / "labs" / "flat.yml"))
    many = dataclasses.replace(plan, nodes=plan.nodes[:1] * nodes)
    assert patience(many) == NODE_DEADLINE * times
