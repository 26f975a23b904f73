"""A program that is led by lines, and those who ask again and again by it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from underlay.errors import Infrastructure
from underlay.expect import pairs
from underlay.observe import pinging
from underlay.observe.led import COMPLAINTS, Led
from underlay.observe.pinging import Pingers
from unit.report.test_report import plan_of

ECHO = "import sys\nfor line in sys.stdin: print('heard', line.strip(), flush=True)"


def spawn(node: str, command: list[str]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)


@contextmanager
def led(program: str) -> Iterator[Led]:
    one = Led("core-01", [sys.executable, "-c", program], "task", spawn)
    try:
        yield one
    finally:
        one.end()


def soon(seconds: float = 20.0) -> float:
    return time.monotonic() + seconds


def test_it_is_told_its_task_and_each_word_and_answers_line_by_line() -> None:
    with led(ECHO) as one:
        assert one.wait(20)
        one.say("again")
        assert [one.line(soon()) for _ in range(2)] == ["heard task", "heard again"]
        assert (one.error, one.failure()) == ("", "")


@pytest.mark.parametrize("started", [True, False])
def test_its_task_may_come_later(started: bool) -> None:
    going = threading.Event()

    def when_told(node: str, command: list[str]) -> subprocess.Popen[bytes]:
        going.wait(20)
        return spawn(node, command)

    one = Led("core-01", [sys.executable, "-c", ECHO], None, when_told)
    try:
        if started:
            going.set()
            assert not one.wait(0.2)
        one.begin("task")
        going.set()
        assert one.line(soon()) == "heard task"
        one.say("again")
        assert one.line(soon()) == "heard again"
    finally:
        one.end()


def test_one_that_is_late_is_out_and_says_so() -> None:
    with led("import time; time.sleep(60)") as one:
        assert one.line(soon(0.1)) == ""
        assert one.error == "the program was too late"


def test_one_that_ends_is_out_with_the_last_lines_of_its_complaint() -> None:
    words = f"import sys\nfor n in range({COMPLAINTS} + 2): print('no', n, file=sys.stderr)"
    with led(words) as one:
        assert one.line(soon()) == ""
        assert one.failure() == "the program ended early: no 2: no 3: no 4: no 5: no 6"
        # Nobody hears it, and nothing is raised for that.
        one.say("again")


def test_one_that_does_not_start_says_why() -> None:
    def refused(node: str, command: list[str]) -> subprocess.Popen[bytes]:
        raise Infrastructure(f"{node} isn't there")

    one = Led("core-01", ["true"], "task", refused)
    assert one.line(soon()) == ""
    assert one.failure() == "the program did not start: core-01 isn't there"
    one.end()


def test_it_ends_when_its_input_does_and_by_force_where_it_does_not() -> None:
    with led(ECHO) as one:
        assert one.line(soon()) == "heard task"
    with led("import time; print('up', flush=True); time.sleep(60)") as one:
        assert one.line(soon()) == "up"
    began = time.monotonic()
    one.end()
    assert time.monotonic() - began < 20


PINGER = """\
import json, sys
task = sys.stdin.readline()
print("ready", flush=True)
for line in sys.stdin:
    if line.strip() == "look":
        seen = {"cells": [[0, True, 2, 0.5, 1.5]], "announced": [], "missing": {}}
        print(json.dumps(seen), flush=True)
"""


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (PINGER, ""),
        (
            "print('no', file=__import__('sys').stderr)",
            "doesn't ask: it did not get ready: the program ended early: no",
        ),
        (
            PINGER.replace("print(json.dumps(seen), flush=True)", "sys.exit('gone')"),
            "stopped asking: the program ended early: gone",
        ),
    ],
    ids=["asks", "does not start", "dies"],
)
def test_a_machine_that_does_not_ask_is_left_out_with_its_reason(
    program: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pinging, "ping_command", lambda: [sys.executable, "-c", program])
    pair = next(one for one in pairs(plan_of()) if one.source.node == "core-01")
    with Pingers(plan_of(), spawn, {0: pair}) as pingers:
        pingers.began()
        pingers.ended()
        seen = pingers.look()
        assert list(seen.cells) == ([] if why else [0])
        assert pingers.failed == ({"core-01": why} if why else {})
        if not why:
            assert (seen.cells[0].lost, seen.cells[0].fine) == (2, 1.5)
