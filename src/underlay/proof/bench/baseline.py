"""What Underlay replaces: scripts that ask with ssh and ping whether containers reach each other.

Three of them, from the one that is typed in an hour to the one that somebody has thought about.
All ask every pair of a lab's containers once, by ICMP, and the pairs are such as reach each
other, the quickest there are: a ping that nobody answers waits for a second.
"""

from __future__ import annotations

import itertools
import random
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.process import run, run_bytes, tail
from underlay.errors import Infrastructure
from underlay.storage import paths

if TYPE_CHECKING:
    from underlay.proof.bench.labs import Stopwatch

# Longer than a node that is busy takes to let somebody in.
SSH_DEADLINE = 60.0
# The lab's own ssh_config shares connections; a script typed in an hour has none.
UNSHARED = ["-o", "ControlMaster=no", "-o", "ControlPath=none"]
# Where a node gets this machine's fping: its image has none.
FPING = "/run/underlay-bench-fping"

# On each node at once, as root; its arguments are all addresses. What was learned before is
# forgotten in every namespace first. Each line that it prints is a pair that was answered: a
# program that can't run prints none.
SCRIPT = """
inside() { name=$1; shift; ip netns exec "$name" "$@"; }
names=$(ip netns list | cut -d " " -f 1)
ip neigh flush all
for name in $names; do inside "$name" ip neigh flush all; done
for name in $names; do
    { inside "$name" FPING -a "$@" 2>/dev/null | sed "s/^/$name /"; } &
done
wait
"""


def by_ping(watch: Stopwatch, lab: str, sample: int, *, shared: bool) -> float:
    """Return how long all pairs would take by one ssh and one ping each, from ``sample`` of them.

    A connection is opened for each, or with ``shared`` one for each node before the first pair.
    Raises Infrastructure where a ping isn't answered.
    """
    rows = _containers(watch, lab)
    pairs = list(itertools.permutations(rows, 2))
    # The same pairs every time; no secret hangs on them.
    chosen = random.Random(sample).sample(pairs, min(sample, len(pairs)))  # noqa: S311
    config = str(paths.state(lab) / "ssh_config")
    options = [] if shared else UNSHARED
    for node in sorted({row["node"] for row in rows}) if shared else ():
        run(["ssh", "-F", config, node, "true"], deadline=min(SSH_DEADLINE, watch.left))
    how = "over a shared connection" if shared else "and one connection"
    watch.say(f"one ssh and one ping {how} for each of {len(chosen)} pairs")
    began = time.monotonic()
    for source, destination in chosen:
        address = destination["address"]
        ping = ["ip", "netns", "exec", source["name"], "ping", "-n", "-c", "1", "-W", "1", address]
        done = run(
            ["ssh", "-F", config, *options, source["node"], "sudo", "-n", *ping],
            deadline=min(SSH_DEADLINE, watch.left),
            check=False,
        )
        if done.returncode:
            raise Infrastructure(
                f"{source['name']} gets no answer of {destination['name']}",
                detail=done.stdout + done.stderr,
            )
    return (time.monotonic() - began) / len(chosen) * len(pairs)


def by_fping(watch: Stopwatch, lab: str) -> float:
    """Return how long all pairs take by one ssh a node, with fping in every namespace at once.

    Every table of neighbours is emptied first, on the nodes and in the containers, and that is
    part of the time. Raises Infrastructure where this machine has no fping, which is copied to
    the nodes, or one of the pairs isn't answered.
    """
    program = shutil.which("fping")
    if program is None:
        raise Infrastructure("fping is missing here: apt install fping")
    rows = _containers(watch, lab)
    nodes = sorted({row["node"] for row in rows})
    ssh = ["ssh", "-F", str(paths.state(lab) / "ssh_config")]
    put = f"sudo -n sh -c 'cat >{FPING}; chmod 755 {FPING}'"
    for node in nodes:
        content = Path(program).read_bytes()
        deadline = min(SSH_DEADLINE, watch.left)
        done = run_bytes([*ssh, node, put], content, deadline=deadline)
        if done.returncode:
            raise Infrastructure(f"{node} takes no fping", detail=tail(done.stderr.decode()))
    words = " ".join(row["address"] for row in rows)
    script = SCRIPT.replace("FPING", FPING)
    watch.say(f"one ssh to each of {len(nodes)} nodes, and fping in each of {len(rows)} namespaces")

    def ask(node: str) -> str:
        command = [*ssh, *UNSHARED, node, f"sudo -n sh -s {words}"]
        return run(command, deadline=min(SSH_DEADLINE, watch.left), input_text=script).stdout

    began = time.monotonic()
    with ThreadPoolExecutor(len(nodes)) as pool:
        said = dict(zip(nodes, pool.map(ask, nodes), strict=True))
    seconds = time.monotonic() - began
    answered = {tuple(line.split()) for text in said.values() for line in text.splitlines()}
    every = itertools.permutations(rows, 2)
    silent = [(a["name"], b["name"]) for a, b in every if (a["name"], b["address"]) not in answered]
    if silent:
        first = "\n".join(" -> ".join(pair) for pair in silent[:9])
        raise Infrastructure(f"{len(silent)} pairs get no answer", detail=first)
    return seconds


def _containers(watch: Stopwatch, lab: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = watch.run("status", "--lab", lab, "--json").document()[
        "containers"
    ]
    return found
