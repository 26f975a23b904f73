"""How long a machine is waited for that lags behind: real processes that answer, or never do."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys

import pytest

from underlay.expect import predict
from underlay.observe import evidence, measure
from underlay.observe import patience as waiting
from underlay.observe.measure import START, _shares
from underlay.observe.patience import LEAST, TIMES, SharedDeadline
from underlay.observe.tasks import numbered
from unit.observe.test_probe_real import plan_of

NODES = ["core-01", "core-02", "core-03"]


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(waiting, "time", made)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    return made


def patience(clock: Clock, *took: float, limit: float = 60.0, more: float = 0.0) -> float:
    """Return how long the rest is waited for once some of three nodes took so many seconds."""
    made = SharedDeadline(NODES, limit, more)
    began = clock.now
    for name, seconds in zip(NODES, took, strict=False):
        clock.now = began + seconds
        made.arrived(name)
    return made.patience


def test_all_of_the_limit_is_theirs_until_half_have_arrived(clock: Clock) -> None:
    assert patience(clock) == 60
    assert patience(clock, 1) == 60
    assert patience(clock, 1, 1) == LEAST


def test_the_slowest_of_the_others_tells_how_long(clock: Clock) -> None:
    assert patience(clock, 1, 4) == TIMES * 4
    assert patience(clock, 4, 1, more=7) == TIMES * 4 + 7
    assert patience(clock, 1, 30) == 60


def test_a_busy_machine_gives_more_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    processors = len(os.sched_getaffinity(0))
    monkeypatch.setattr(os, "getloadavg", lambda: (3.0 * processors, 0.0, 0.0))
    assert patience(clock, 1, 1) == 3 * LEAST
    assert patience(clock, 1, 7) == TIMES * 7
    assert patience(clock, 1, 1, limit=20) == 20


def test_who_arrives_twice_or_is_no_node_changes_nothing(clock: Clock) -> None:
    made = SharedDeadline(NODES, 60)
    for name in ("switch", "router", "core-01", "core-01"):
        made.arrived(name)
        clock.now += 9
    assert made.patience == 60


def test_over_is_what_is_longer_than_that(clock: Clock) -> None:
    made = SharedDeadline(NODES, 60)
    made.arrived("core-01")
    made.arrived("core-02")
    clock.now += LEAST
    assert not made.over
    clock.now += 0.001
    assert made.over


ANSWERS = json.dumps({"spaces": {}, "missing": {}, "lacking": []})


def says(words: str, then: float = 0.0) -> subprocess.Popen[bytes]:
    """Start a process that prints something, and goes on for some seconds."""
    source = f"import time; print({words!r}, end='', flush=True); time.sleep({then})"
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", source], stdin=pipe, stdout=pipe, stderr=pipe)


def test_a_look_into_a_silent_node_ends_soon_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LEAST", 1.0)
    answers = {"core-01": ANSWERS, "core-02": ANSWERS}
    started = {}

    def start(name: str) -> subprocess.Popen[bytes]:
        started[name] = says(answers.get(name, ""), then=300 if name == "core-03" else 0)
        return started[name]

    found = evidence.gather(plan_of(count=1), start)
    assert set(found.documents) == {"core-01", "core-02"}
    assert found.failed.keys() == {"core-03", "switch"}
    assert found.failed["switch"] == "gave no answer"
    said = re.fullmatch(r"did not answer within (\d+) s", found.failed["core-03"])
    assert said
    assert int(said[1]) < evidence.DEADLINE
    assert {process.wait(5) for process in started.values()} == {0, -9}


def test_a_probe_that_never_listens_is_out_once_the_others_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "LEAST", 1.0)
    started = {}

    def spawn(node: str, _: list[str]) -> subprocess.Popen[bytes]:
        frozen = node == "core-03"
        started[node] = says("" if frozen else "ready\n", then=300 if frozen else 0)
        return started[node]

    seen = measure(plan_of(count=1), spawn)
    assert seen.timings["start"] < START
    assert seen.failed.keys() == set(NODES)
    assert "its probe was too late" in seen.failed["core-03"]
    assert {cell.observed for cell in seen.cells} == {"not_measured"}
    assert {process.wait(5) for process in started.values()} == {0, -9}


def test_a_lab_that_asks_for_more_gets_more_time_to_be_probed() -> None:
    """A lab with six checks was measured in 16 of 16 s, and "too late" on a busy machine."""
    plan = plan_of(count=1)
    checked = dataclasses.replace(plan, checks=("source", "macs", "pmtu"))
    few, many = (_shares(numbered(one, predict(one))) for one in (plan, checked))
    assert list(many)[-4:] == ["together", "source", "macs", "pmtu"]
    checks = sum(many[check] for check in checked.checks)
    assert sum(many.values()) == sum(few.values()) + checks > sum(few.values()) + 80
    assert many["together"] == few["together"]


def test_each_cell_counts_where_it_is_asked() -> None:
    plan = dataclasses.replace(plan_of(count=1), checks=("source",))
    more = dataclasses.replace(plan_of(count=9), checks=("source",))
    few, many = (_shares(numbered(one, predict(one))) for one in (plan, more))
    assert many["together"] > few["together"]
    assert many["source"] > few["source"]
