"""How long to wait for a machine that lags behind: the time that the others took decides."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LEAST = 10.0  # s that anybody gets, where processors are free
TIMES = 5.0  # so many times what the slowest of the others took
LOOK = 0.05  # s between looks at who has answered by now


class Asked(Protocol):
    """A machine that was asked something; ``error`` says why it has nothing to answer."""

    error: str

    def wait(self, seconds: float) -> bool:
        """Wait for its answer, or its failure, for so long; return whether it is there."""


class SharedDeadline:
    """One deadline for several machines that were asked at the same time.

    Each machine has ``limit`` seconds from now on. ``peers`` are machines of one kind. Once half
    of them have answered, the others have less: ``TIMES`` the time of the slowest that has
    answered, but ``LEAST`` seconds at least. ``more`` seconds are added for work that one machine
    may have and the others haven't. Without this, a single frozen node would cost the whole limit.
    On an overloaded host some nodes are slower than others, so the load multiplies ``LEAST``.
    """

    def __init__(self, peers: Iterable[str], limit: float, more: float = 0.0) -> None:
        self._began = time.monotonic()
        self._limit = limit
        self._more = more
        self._took: dict[str, float | None] = dict.fromkeys(peers)

    def wait_for(self, machines: Mapping[str, Asked]) -> None:
        """Wait until all ``machines`` have answered, or the deadline is over."""
        while waiting := [machine for machine in machines.values() if not machine.wait(0)]:
            for name, machine in machines.items():
                if machine not in waiting and not machine.error:
                    self.arrived(name)
            if self.over:
                break
            waiting[0].wait(LOOK)

    def arrived(self, name: str) -> None:
        """Note how long ``name`` took to answer, if it is a peer and this is its first answer."""
        if name in self._took and self._took[name] is None:
            self._took[name] = time.monotonic() - self._began

    @property
    def patience(self) -> float:
        """How many seconds, from the start, a machine has that hasn't answered yet."""
        took = [seconds for seconds in self._took.values() if seconds is not None]
        if 2 * len(took) < len(self._took) or not took:
            return self._limit
        return min(self._limit, max(LEAST * overload(), TIMES * max(took)) + self._more)

    @property
    def over(self) -> bool:
        """Whether nobody is waited for any longer."""
        return time.monotonic() - self._began > self.patience


def overload() -> float:
    """Return how many times as much there is to do as the processors can, and at least 1."""
    return max(1.0, os.getloadavg()[0] / len(os.sched_getaffinity(0)))
