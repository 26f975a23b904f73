"""Who reaches whom, cell by cell, measured by probes that testinfra starts on the nodes."""

from __future__ import annotations

import json
import os
import random
import secrets
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from testinfra.host import Host

from cluster.inside import entering
from cluster.running import LABS, Cell, Lab
from underlay import paths
from underlay.expect import Expectation, Pair, pairs, predict
from underlay.lab_file import read_lab
from underlay.observe import Seen, merge, probe_command
from underlay.plan import Plan, make_plan

Hosts = dict[str, Host]
Words = dict[str, str]

# Seconds that the probes may be apart; the slowest of them starts python on a busy node.
TOGETHER = 60.0
PINGED = 10  # pairs in each of the labs
SEED = int(os.environ.get("UNDERLAY_TEST_SEED") or secrets.randbelow(2**32))

PLANS = {lab: make_plan(read_lab(paths.root() / LABS[lab][0])) for lab in ("coreos", "docker-vlan")}
CELLS = [(lab, cell) for lab, plan in PLANS.items() for cell in predict(plan)]
PINGS = [
    (lab, pair)
    for lab, plan in PLANS.items()
    for pair in random.Random(SEED).sample(list(pairs(plan)), PINGED)
]

# On the node: two pipes keep the probe waiting for `go` and for `stop`, without its stdin ending.
PREPARE = "folder=$(mktemp -d) && mkfifo $folder/go $folder/stop && echo $folder"
PROBE = "{ cat go; cat stop; } | %s > said; cat said"
AWAIT = """\
tries=0
until grep -qx {word} {folder}/said; do
    tries=$((tries + 1)); test $tries -lt 300 || exit 1
    sleep 0.1
done"""


@pytest.fixture(scope="session")
def observed(lab: Lab, hosts: Hosts) -> dict[Cell, Seen]:
    """Return what one probe per node, all at once, sees of every cell of the lab."""
    plan = lab.plan
    together = Barrier(len(hosts), timeout=TOGETHER)
    with ThreadPoolExecutor(max_workers=2 * len(hosts)) as pool:
        tasks = {
            node: pool.submit(probe, pool, hosts[node], plan, node, together) for node in hosts
        }
        documents = {node: task.result() for node, task in tasks.items()}
    seen = merge(plan, documents).cells
    return {(cell.source, cell.destination, cell.protocol): cell for cell in seen}


def probe(
    pool: ThreadPoolExecutor, host: Host, plan: Plan, node: str, together: Barrier
) -> dict[str, Any]:
    """Run the probe of one node in step with the others; return its document."""
    folder = host.check_output(PREPARE)
    try:
        words = " ".join(["%s"] * len(probe_command(plan, node)))
        script = f"cd {folder} && {PROBE.replace('%s', words)}"
        running = pool.submit(host.run, script, *probe_command(plan, node))
        for heard, say in (("ready", "go"), ("probed", "stop")):
            waited = host.run(AWAIT.format(word=heard, folder=folder))
            assert waited.succeeded, f"{node}: the probe never said {heard}"
            together.wait()
            host.check_output(f"echo {say} > {folder}/{say}")
        done = running.result()
        assert done.succeeded, done
        document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return document
    finally:
        host.run(f"rm -r {folder}")


@pytest.mark.parametrize(
    ("lab", "cell"),
    CELLS,
    ids=[f"{cell.source}-{cell.destination}-{cell.protocol}" for _, cell in CELLS],
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
    PINGS,
    ids=[f"{pair.source.name}-{pair.destination.name}" for _, pair in PINGS],
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
