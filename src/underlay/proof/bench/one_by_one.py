"""What Underlay replaces: one ssh and one ping for each cell, as by a script typed in an hour.

It is timed for a sample of cells and scaled to the whole matrix; twice: by a script that
opens a connection for each ping, and by a better one, whose connections are shared.
"""

from __future__ import annotations

import itertools
import random
import time
from typing import TYPE_CHECKING

from underlay.cluster.process import run
from underlay.errors import Infrastructure
from underlay.storage import paths

if TYPE_CHECKING:
    from underlay.proof.bench.stopwatch import Stopwatch

SAMPLE = 60
# Longer than a node that is busy takes to let somebody in.
DEADLINE = 60.0
# The lab's own ssh_config shares connections; a script typed in an hour has none.
UNSHARED = ["-o", "ControlMaster=no", "-o", "ControlPath=none"]


def seconds_by_ssh_and_ping(watch: Stopwatch, lab: str, cells: int, *, shared: bool) -> float:
    """Return how long ``cells`` cells of the running ``lab`` would take, from ``SAMPLE`` of them.

    ``shared`` connections are open before the first cell, one for each node.
    The cells are of containers that reach each other, the quickest there are: a ping that
    nobody answers waits for a second. Raises Infrastructure where one isn't answered.
    """
    rows = watch.run("status", "--lab", lab, "--json").document()["containers"]
    pairs = list(itertools.permutations(rows, 2))
    # The same cells every time; no secret hangs on them.
    sample = random.Random(SAMPLE).sample(pairs, min(SAMPLE, len(pairs)))  # noqa: S311
    config = str(paths.state(lab) / "ssh_config")
    options = [] if shared else UNSHARED
    for node in sorted({row["node"] for row in rows}) if shared else ():
        run(["ssh", "-F", config, node, "true"], deadline=min(DEADLINE, watch.left))
    how = "over a shared connection" if shared else "and one connection"
    watch.say(f"one ssh and one ping {how} for each of {len(sample)} cells")
    began = time.monotonic()
    for source, destination in sample:
        address = destination["address"]
        ping = ["ip", "netns", "exec", source["name"], "ping", "-n", "-c", "1", "-W", "1", address]
        done = run(
            ["ssh", "-F", config, *options, source["node"], "sudo", "-n", *ping],
            deadline=min(DEADLINE, watch.left),
            check=False,
        )
        if done.returncode:
            raise Infrastructure(
                f"{source['name']} gets no answer of {destination['name']}",
                detail=done.stdout + done.stderr,
            )
    return (time.monotonic() - began) / len(sample) * cells
