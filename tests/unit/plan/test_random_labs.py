"""Whatever lab passes the checks can be planned and predicted, all of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings

from random_labs import labs, planned
from underlay.expect import Prediction, pairs, predict, protocols
from underlay.faults import Scene
from underlay.plan import plan_from_json

DAILY, ALL = 20, 400
RUNTIMES = ("cni", "docker", "podman", "iproute2")


def rounds(count: int) -> settings:
    slow = [HealthCheck.filter_too_much]
    return settings(max_examples=count, deadline=None, suppress_health_check=slow)


@rounds(DAILY)
@given(labs(runtimes=RUNTIMES))
def test_every_cell_of_a_random_lab_is_predicted(lab: dict[str, Any]) -> None:
    predicted(lab)


@pytest.mark.all
@rounds(ALL)
@given(labs(runtimes=RUNTIMES))
def test_every_cell_of_hundreds_of_random_labs_is_predicted(lab: dict[str, Any]) -> None:
    predicted(lab)


def predicted(lab: dict[str, Any]) -> None:
    plan = planned(lab)
    assume(plan is not None)
    assert plan is not None
    for node in plan.nodes:
        # Of two to one subnet that counts which came last: another one after a boot than a switch.
        ways = [route.to for route in node.routes]
        assert len(ways) == len(set(ways)), (node.name, node.routes)
    cells = predict(plan)
    reach = [cell for cell in cells if cell.kind == "reach"]
    assert len(reach) == len(list(pairs(plan))) * len(protocols(plan))
    # What explain goes by is known of every lab, too.
    Scene(Prediction(plan))
    for cell in cells:
        assert all((cell.because, cell.reference, cell.rule)), cell
        assert cell.reachable is (cell.stop == "")
    assert predict(plan_from_json(plan.to_json())) == cells
