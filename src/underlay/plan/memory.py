"""What a node needs of its memory: so that one whose containers can't fit is named beforehand.

A node that is full starts nothing more: the kernel ends whatever asks next, which a runtime
reports as exit code 137. The figures were measured on real nodes by
``tests/cluster/test_memory.py``, which writes ``docs/proof/memory-full.json`` and ``-lean``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from underlay.plan.values import Plan, PlannedNode


@dataclass(frozen=True)
class Cost:
    """MiB: what a runtime takes for itself, once, and for each of its containers.

    ``programs`` is what must fit besides of the files that each start reads, the runtime's own
    programs. A kernel gives that back when it is asked to, and reads it from the disk again for the
    next start: 62 Docker containers took 237 s to start in 704 MiB, 329 s in 640, and had not
    started after 430 s in 576.
    """

    once: float
    each: float
    programs: float = 0


# MiB of a node with no container: what the kernel keeps for itself, and the system.
SYSTEM = {"full": 85.0, "lean": 77.0}
# By profile and runtime.
RUNTIMES = {
    ("full", "cni"): Cost(5, 0.4),
    ("full", "docker"): Cost(42, 6, programs=130),
    ("full", "podman"): Cost(2, 0.9),
    ("full", "iproute2"): Cost(0, 0.4),
    ("lean", "cni"): Cost(0, 0.4),
    ("lean", "iproute2"): Cost(0, 0.4),
}
# For what runs now and then: a runtime that starts four containers at once, the probe.
SPARE = 64.0
# What `memory` is rounded up to where a value is proposed, and its least value.
STEP, LEAST = 64, 256


@dataclass(frozen=True)
class Need:
    """What a node needs, in MiB: all of it, and its parts in words."""

    mib: int
    parts: tuple[str, ...]

    @property
    def enough(self) -> int:
        """The least value of ``nodes.memory`` that would do."""
        return max(LEAST, ceil(self.mib / STEP) * STEP)


def need(plan: Plan, node: PlannedNode) -> Need:
    """Return what ``node`` needs to start all of its containers and to have them measured."""
    count = Counter(c.runtime for c in plan.containers if c.node == node.name)
    total = SYSTEM[node.profile] + SPARE
    parts = [f"{ceil(total)} for the node itself"]
    for runtime, containers in sorted(count.items()):
        cost = RUNTIMES[node.profile, runtime]
        mib = cost.once + cost.programs + cost.each * containers
        total += mib
        parts.append(f"{ceil(mib)} for {containers} by {runtime}")
    return Need(ceil(total), tuple(parts))
