"""Real frames over a wire that is slow or loses some: the late count, and the lost are shown."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from underlay.expect import ends, predict
from underlay.observe import Observation, Seen
from underlay.plan import Plan
from underlay.report.document import document
from underlay.report.terminal import report
from underlay.verdict import Verdict, judge
from unit.observe.test_probe_real import differing, plan_of, run

FIRST = {"net-1a", "core-01"}
SECOND = {"net-2a", "core-02"}
THIRD = {"net-3a", "core-03"}


def between(seen: Observation, sources: set[str], destinations: set[str]) -> list[Seen]:
    """Return the cells of all three protocols; a node reaches its own container by no way."""
    return [c for c in seen.cells if c.source in sources and c.destination in destinations]


def judged(plan: Plan, seen: Observation) -> Verdict:
    return judge(plan.lab, "none", predict(plan), seen)


def printed(plan: Plan, verdict: Verdict) -> str:
    console = Console(file=io.StringIO(), width=100, soft_wrap=True)
    console.print(report(verdict, ends(plan)), soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def shows(plan: Plan, seen: Observation) -> int:
    """Return how many packets both reports say were lost: as many as the observation has."""
    verdict = judged(plan, seen)
    lost = sum(cell.lost for cell in seen.cells)
    assert document(verdict)["summary"]["lost"] == lost
    words = f"{lost} packets lost, and resent with success"
    assert (words in printed(plan, verdict).splitlines()) == (lost > 0)
    return lost


def test_what_was_lost_is_reached_by_a_second_packet_and_reported(tmp_path: Path) -> None:
    plan = plan_of(count=1, nodes=2)
    seen = run(plan, tmp_path, "wire core-02: out drop first request, out drop odd answer")
    assert not differing(plan, seen)
    assert judged(plan, seen).exit_code == 0
    across = between(seen, SECOND, FIRST)
    for cell in across:
        assert (cell.observed, cell.attempts, cell.lost) == ("reachable", 2, 1), cell
    for cell in between(seen, FIRST, SECOND):
        assert (cell.observed, cell.arrived) == ("reachable", True), cell
        assert cell.lost == 1 or (cell.lost > 1 and cell.protocol == "tcp"), cell
    assert shows(plan, seen) >= 2 * len(across)


def test_a_neighbour_that_is_asked_for_again_is_a_loss_and_silence_none(tmp_path: Path) -> None:
    plan = plan_of(count=1)
    seen = run(
        plan,
        tmp_path,
        "wire core-02: in drop first arp",
        "wire core-03: out drop every request",
    )
    there, back = between(seen, FIRST, SECOND), between(seen, SECOND, FIRST)
    assert {cell.observed for cell in there + back} == {"reachable"}
    for cell in there + back:
        assert cell.attempts in (1, 2), cell
        assert cell.lost == cell.attempts - 1, cell
    # Who asks again is known to whom it asks: the other's first packet may leave just then.
    for one in there:
        turned = (one.destination, one.source, one.protocol)
        other = next(c for c in back if (c.source, c.destination, c.protocol) == turned)
        assert one.lost + other.lost in (1, 2), (one, other)
    for cell in between(seen, THIRD, FIRST):
        assert (cell.observed, cell.stopped_at) == ("unreachable", "no_answer"), cell
        assert (cell.attempts, cell.lost, cell.arrived) == (2, 0, False), cell
    assert {c.observed for c in between(seen, FIRST, THIRD)} == {"reachable"}
    assert set(differing(plan, seen)) == set(between(seen, THIRD, FIRST | SECOND))
    assert judged(plan, seen).exit_code == 1
    assert shows(plan, seen) >= len(there)


def test_an_answer_that_comes_twice_is_one(tmp_path: Path) -> None:
    """Its copy comes to a socket by which something else is asked by then, or nothing."""
    plan = plan_of(nodes=2)
    seen = run(plan, tmp_path, "wire core-02: out repeat 0.02 answer, in repeat 0.02 answer")
    assert not seen.failed
    assert not differing(plan, seen)
    assert not shows(plan, seen)


@pytest.mark.parametrize(
    ("effect", "least"),
    [
        ("out delay 1.5 answer", 1500),
        pytest.param("out delay 2 answer", 2000, marks=pytest.mark.all),
        pytest.param("out delay 1 frame", 1900, marks=pytest.mark.all),
    ],
)
def test_a_slow_wire_is_waited_for(effect: str, least: float, tmp_path: Path) -> None:
    plan = plan_of(count=1, nodes=2)
    seen = run(plan, tmp_path, f"wire core-02: {effect}")
    assert not differing(plan, seen)
    assert judged(plan, seen).exit_code == 0
    for cell in between(seen, FIRST, SECOND):
        assert cell.rtt_ms is not None
        assert cell.rtt_ms >= least, cell
        assert cell.arrived
    if "answer" in effect:
        # TCP's own second SYN left before the answer to the first came: the kernel resent it.
        late = [cell for cell in seen.cells if cell.protocol != "tcp"]
        assert {cell.lost for cell in late} == {0}
        fine = between(seen, SECOND, FIRST)
        assert {(c.observed, c.attempts, c.lost) for c in fine} == {("reachable", 1, 0)}
