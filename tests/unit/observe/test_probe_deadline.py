"""No probe outlives its deadline: real processes whose caller died, fell silent, or never spoke."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from underlay.observe import measure
from underlay.observe.commands import pack, probe_command
from unit.observe.test_probe_real import plan_of

SOURCE = Path(__file__).resolve().parents[3] / "src"
ALONE = ["unshare", "--user", "--map-root-user", "--net"]
PATIENCE = 0.8
SLACK = 4.0  # s that a busy machine may take; without a deadline the probe stays for good
LONG = 600.0

# Starts a probe, says its process id once it listens, and then neither speaks nor reads.
CALLER = """
import subprocess, sys, time
probe = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
probe.stdin.write(sys.argv[1].encode() + b"\\n")
probe.stdin.flush()
assert probe.stdout.readline() == b"ready\\n"
print(probe.pid, flush=True)
time.sleep(600)
"""


def task(patience: float, **more: Any) -> str:
    spec = {
        "node": "n",
        "nonce": "12345678",
        "port": 27007,
        "patience": patience,
        "pace": 1,
        "families": [4],
        "protocols": ["icmp"],
        "spaces": [["n", "node", ""]],
        "cells": [],
        "groups": [],
        "values": {},
    }
    return pack(spec | more)


class Probe:
    """A probe in a network namespace of its own, led by hand."""

    def __init__(self, patience: float = LONG) -> None:
        self.process = subprocess.Popen(
            [*ALONE, *probe_command(patience)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def say(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().decode().strip()

    def ready(self, **more: Any) -> None:
        self.say(task(**{"patience": PATIENCE} | more))
        assert self.hear() == "ready"

    def end(self, since: float) -> tuple[int, float]:
        """Return its exit code, and the seconds until it ended; stdin stays open meanwhile."""
        until = since + PATIENCE + SLACK
        while self.process.poll() is None:
            assert time.monotonic() < until, "it is still there"
            time.sleep(0.01)
        return self.process.returncode, time.monotonic() - since


@pytest.fixture
def probes() -> Iterator[list[Probe]]:
    made: list[Probe] = []
    yield made
    for probe in made:
        probe.process.kill()
        probe.process.communicate()


def test_one_that_hears_no_word_ends(probes: list[Probe]) -> None:
    probes.append(probe := Probe())
    probe.ready()
    code, took = probe.end(time.monotonic())
    assert code == 3
    assert took > PATIENCE / 2


@pytest.mark.all
def test_each_word_gives_it_time(probes: list[Probe]) -> None:
    probes.append(probe := Probe())
    patience = 3 * PATIENCE  # a busy machine may lose a second between two words
    probe.ready(patience=patience)
    began = time.monotonic()
    number = 0
    while time.monotonic() - began < 1.5 * patience:
        number += 1
        probe.say(f"round {number} 0")
        assert probe.hear() == f"round {number} 0 0.0000"
        time.sleep(PATIENCE / 4)
    assert probe.end(time.monotonic())[0] == 3


def test_one_that_never_gets_its_task_ends(probes: list[Probe]) -> None:
    began = time.monotonic()
    probes.append(probe := Probe(PATIENCE))
    code, took = probe.end(began)
    assert code == 3
    assert took > PATIENCE / 2


def test_one_that_nobody_reads_ends(probes: list[Probe]) -> None:
    probes.append(probe := Probe())
    probe.ready(node="n" * 200_000)  # its document is larger than a pipe
    probe.say("stop")
    code, took = probe.end(time.monotonic())
    assert code == 3
    assert took > PATIENCE / 2


def test_one_whose_caller_is_killed_ends_at_once() -> None:
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, task(LONG), *ALONE, *probe_command(LONG)],
        stdout=subprocess.PIPE,
    )
    try:
        assert caller.stdout
        probe = os.pidfd_open(int(caller.stdout.readline()))
        assert select.select([probe], [], [], 0.2)[0] == []  # alive with its caller
        caller.kill()
        gone = select.select([probe], [], [], SLACK)[0]
        if not gone:
            signal.pidfd_send_signal(probe, signal.SIGKILL)
        os.close(probe)
        assert gone
    finally:
        caller.kill()
        caller.communicate()


def test_a_measurement_ends_what_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("underlay.observe.led"), "END", 0.3)
    started: list[subprocess.Popen[bytes]] = []

    def spawn(node: str, argv: list[str]) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        # One is deaf to the end of its stdin, the other to everything.
        stuck = ["sleep", "600"] if node == "core-01" else ["sh", "-c", "kill -STOP $$"]
        started.append(subprocess.Popen(stuck, stdin=pipe, stdout=pipe, stderr=pipe))
        return started[-1]

    began = time.monotonic()
    seen = measure(plan_of(count=1, nodes=2), spawn, start=0.5)
    assert time.monotonic() - began < 20
    assert {cell.observed for cell in seen.cells} == {"not_measured"}
    assert set(seen.failed.values()) == {"its probe was too late"}
    assert [process.poll() for process in started] == [-signal.SIGKILL] * 2
