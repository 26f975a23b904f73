"""What is open although it should be closed is seen, however it is asked: slowly, with losses.

What is expected to get no answer is asked together, and what isn't settled by that once more, with
less patience (on_node/asking.py). Neither may hide a way that is open.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.expect import predict
from underlay.observe import Observation
from underlay.plan import Plan
from underlay.verdict import Verdict, judge
from unit.observe.test_probe_real import PROTOCOLS, cells, plan_of, run

# The containers' default route leads to a gateway that nobody has: so none reaches another machine.
# Once somebody has it, this one of them is reached.
GATEWAY = "20.1.1.1"
OPENED = f"-n core-02 address add {GATEWAY}/32 dev eth1"
ASKER, OPEN = "net-1a", "core-02"


def shut() -> Plan:
    plan = plan_of(count=1, nodes=2, default_route="gateway", gateway=GATEWAY)
    expected = [e for e in predict(plan) if (e.source, e.destination) == (ASKER, OPEN)]
    assert [(e.reachable, e.stop) for e in expected] == [(False, "no_neighbour")] * len(PROTOCOLS)
    return plan


def judged(plan: Plan, seen: Observation) -> Verdict:
    return judge(plan.lab, "none", predict(plan), seen)


@pytest.mark.parametrize(
    "effect",
    [
        pytest.param("out delay 0 answer", id="at once"),
        # Later than both waits of whoever is asked once more together, and than those of a first
        # packet: what is known of the way was learnt when all were asked.
        pytest.param("out delay 1.5 answer", id="late"),
        # Nobody was answered when all were asked, and only what comes after that is.
        pytest.param("in drop both request", id="lost"),
    ],
)
def test_what_is_open_against_the_prediction_is_seen(effect: str, tmp_path: Path) -> None:
    plan = shut()
    seen = run(plan, tmp_path, f"wire {OPEN}: {effect}", OPENED)
    for cell in cells(seen, ASKER, OPEN):
        assert (cell.observed, cell.arrived) == ("reachable", True), cell
    verdict = judged(plan, seen)
    assert verdict.exit_code == 1
    differ = [c for c in verdict.cells if (c.source, c.destination) == (ASKER, OPEN)]
    assert all(cell.differs for cell in differ)


def test_where_it_is_shut_a_slow_way_is_none(tmp_path: Path) -> None:
    plan = shut()
    seen = run(plan, tmp_path, f"wire {OPEN}: out delay 1.5 answer")
    for cell in cells(seen, ASKER, OPEN):
        assert (cell.observed, cell.stopped_at) == ("unreachable", "no_neighbour"), cell
        assert not cell.arrived
    assert judged(plan, seen).exit_code == 0


def test_what_arrives_against_the_prediction_is_seen_without_an_answer(tmp_path: Path) -> None:
    plan = shut()
    seen = run(plan, tmp_path, f"wire {OPEN}: out drop every answer", OPENED)
    for cell in cells(seen, ASKER, OPEN):
        assert (cell.observed, cell.arrived) == ("unreachable", True), cell
    leaks = [cell for cell in judged(plan, seen).cells if cell.leaks]
    assert {(cell.source, cell.destination) for cell in leaks} >= {(ASKER, OPEN)}
