"""Who reaches whom, cell by cell, measured by one probe on each node; pings agree."""

from __future__ import annotations

import os
import random
import re
import secrets
import shlex
import subprocess

import pytest
from testinfra.host import Host

from cluster.inside import entering
from cluster.running import LABS, Cell, Lab
from underlay.expect import Expectation, Pair, pairs, predict
from underlay.lint.read import read_lab
from underlay.observe import Seen, measure
from underlay.plan import make_plan
from underlay.storage import paths

Hosts = dict[str, Host]
Words = dict[str, str]

PINGED = 10  # pairs in each of the labs
DAILY = 4  # of them
# Processes that share the tests choose the same pairs.
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or secrets.token_hex(16)
SEED = int(os.environ.get("UNDERLAY_TEST_SEED") or int(RUN, 16) % 2**32)

PLANS = {lab: make_plan(read_lab(paths.root() / LABS[lab][0])) for lab in ("coreos", "docker-vlan")}
CELLS = [(lab, cell) for lab, plan in PLANS.items() for cell in predict(plan)]
PINGS = {lab: random.Random(SEED).sample(list(pairs(plan)), PINGED) for lab, plan in PLANS.items()}
# What ping(8) says of itself: 1 where nobody answered, 2 where it could not ask.
ANSWERED, UNANSWERED = 0, 1


@pytest.fixture(scope="session")
def observed(lab: Lab) -> dict[Cell, Seen]:
    """Return what one probe per node, all at once, sees of every cell of the lab."""

    def spawn(node: str, argv: list[str]) -> subprocess.Popen[bytes]:
        command = ["ssh", "-F", str(lab.state / "ssh_config"), node]
        return subprocess.Popen(
            [*command, shlex.join(["sudo", "-n", *argv])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    seen = measure(lab.plan, spawn)
    assert not seen.failed
    return {(cell.source, cell.destination, cell.protocol): cell for cell in seen.cells}


@pytest.mark.parametrize(
    ("lab", "cell"),
    CELLS,
    ids=[f"{lab}-{cell.source}-{cell.destination}-{cell.protocol}" for lab, cell in CELLS],
    indirect=["lab"],
    scope="session",
)
def test_cell(lab: Lab, cell: Expectation, observed: dict[Cell, Seen]) -> None:
    seen = observed[cell.source, cell.destination, cell.protocol]
    if cell.reachable:
        assert seen.observed == "reachable", f"{seen}\n{cell.because}"
    else:
        assert seen.observed == "unreachable", f"{seen}\n{cell.because}"
        assert seen.stopped_at in (cell.stop, *cell.also), f"{seen}\n{cell.because}"


@pytest.fixture(scope="session")
def words(lab: Lab, hosts: Hosts) -> Words:
    """Return, by node and container, the words that run a command there, on its node."""
    entered: Words = dict.fromkeys(hosts, "")
    for node, host in hosts.items():
        entered |= entering(host, [c for c in lab.plan.containers if c.node == node])
    return entered


# The pairs are others in each run, and the tests' names are not: all shares of a full proof have to
# know the same tests, though each collects them itself.
@pytest.mark.parametrize(
    ("lab", "number"),
    [
        pytest.param(lab, number, marks=() if number < DAILY else pytest.mark.all)
        for lab in PINGS
        for number in range(PINGED)
    ],
    indirect=["lab"],
    scope="session",
)
def test_plain_ping_agrees(lab: Lab, number: int, hosts: Hosts, words: Words) -> None:
    """A sample; UNDERLAY_TEST_SEED repeats one."""
    pair: Pair = PINGS[lab.name][number]
    ends = (pair.source.name, pair.destination.name, "icmp")
    expected = {(c.source, c.destination, c.protocol): c for c in predict(lab.plan)}[ends]
    ping = f"ping -n -c 2 -i 0.3 -W 1 -I {pair.source_address} {pair.destination_address}"
    asked = hosts[pair.source.node].run(f"{words[pair.source.space]} {ping}")
    received = [int(number) for number in re.findall(r"(\d+) received", asked.stdout)]
    told = (asked.rc, [number > 0 for number in received])
    answered, unanswered = (ANSWERED, [True]), (UNANSWERED, [False])
    assert told == (answered if expected.reachable else unanswered), f"seed {SEED}: {ends}: {asked}"
