"""Who reaches whom, cell by cell, measured by one probe on each node; pings agree."""

from __future__ import annotations

import os
import random
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
# Processes that share the tests have to choose the same ones.
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or secrets.token_hex(16)
SEED = int(os.environ.get("UNDERLAY_TEST_SEED") or int(RUN, 16) % 2**32)

PLANS = {lab: make_plan(read_lab(paths.root() / LABS[lab][0])) for lab in ("coreos", "docker-vlan")}
CELLS = [(lab, cell) for lab, plan in PLANS.items() for cell in predict(plan)]
PINGS = [
    (lab, pair, number < DAILY)
    for lab, plan in PLANS.items()
    for number, pair in enumerate(random.Random(SEED).sample(list(pairs(plan)), PINGED))
]


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


@pytest.mark.parametrize(
    ("lab", "pair"),
    [pytest.param(lab, pair, marks=() if d else pytest.mark.all) for lab, pair, d in PINGS],
    ids=[f"{lab}-{pair.source.name}-{pair.destination.name}" for lab, pair, _ in PINGS],
    indirect=["lab"],
    scope="session",
)
def test_plain_ping_agrees(lab: Lab, pair: Pair, hosts: Hosts, words: Words) -> None:
    """A sample; UNDERLAY_TEST_SEED repeats one."""
    ends = (pair.source.name, pair.destination.name, "icmp")
    expected = {(c.source, c.destination, c.protocol): c for c in predict(lab.plan)}[ends]
    ping = f"ping -n -c 2 -i 0.3 -W 1 -I {pair.source_address} {pair.destination_address}"
    asked = hosts[pair.source.node].run(f"{words[pair.source.space]} {ping}")
    assert asked.succeeded == expected.reachable, f"seed {SEED}: {asked}"
