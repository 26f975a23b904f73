"""What a lab's nodes have cost the processors so far, as the kernel counts it of each process."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from underlay.cluster.providers.uml import sandbox
from underlay.errors import Infrastructure
from underlay.proof.bench.descendants import descendants
from underlay.storage import paths

# Of what stands behind a process's name in /proc/PID/stat, proc(5): its own time in user space
# and in the kernel, and that of its children that have ended.
TIMES = slice(11, 15)
# The argument that names a User Mode Linux kernel.
NAMES_NODE = "umid="


def nodes_seconds(lab: str) -> list[float]:
    """Return the processor seconds of each node of the running ``lab``, with all that it ran.

    Raises Infrastructure where its nodes aren't processes of this host.
    """
    living = sandbox.find(paths.state(lab))
    if living is None:
        raise Infrastructure(f"the lab {lab} has no sandbox")
    kernels = [each for each in descendants(living.pid) if NAMES_NODE in each.words]
    # A process of the node's keeps its kernel's command line.
    first = [each for each in kernels if each.parent == living.pid]
    return [
        sum(
            process_seconds(pid)
            for pid in (kernel.pid, *(one.pid for one in descendants(kernel.pid)))
        )
        for kernel in first
    ]


def process_seconds(pid: int) -> float:
    """Return the processor seconds of a process and of those of its children that have ended.

    None are counted of one that is gone.
    """
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[TIMES])) / os.sysconf("SC_CLK_TCK")
    return 0.0
