"""Labs proven side by side: while the probes of one wait for silence, others' nodes work.

A worker is a thread with one lab up at a time, on nodes of its own. What it has to say, and what
became of its labs, the main thread says and takes in: nothing of that is done twice at once.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from underlay.proof.shards import boot_seconds, seconds_of
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from underlay.cluster.providers.base import Provider
    from underlay.cluster.state.lab import LabState
    from underlay.cluster.suite import Brought, Suite
    from underlay.lint import Loaded
    from underlay.plan import Plan

    Unit = list[Loaded]
    # What the main thread is to do.
    Deed = Callable[[], object]
    Say = Callable[[Deed], None]
    # What a worker does with a lab that was brought up: it is told how to say something, too.
    Visit = Callable[[Brought, Say], None]

# Labs at work for each processor. One that is switched and measured keeps half of a processor busy,
# one that boots keeps one busy for each node. Of 15 labs on two processors 3 at once took 103 s and
# 186 processor seconds, 4 took 88 and 159, 5 took 96 and 163; of 12, 4 took the least of 1 to 4
# (docs/proof/growth.json).
PER_PROCESSOR = 2
# While one waits, another works, also where there is one processor.
LEAST = 2
# s between looks at the memory that is free, and at who has ended.
LOOK = 0.5
# s that workers get to end once their nodes have.
PATIENCE = 60.0


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def enough_workers() -> int:
    """Return how many labs this machine's processors can do something for at once."""
    return max(LEAST, PER_PROCESSOR * processors())


def units_of(groups: Sequence[Sequence[Loaded]], workers: int) -> list[Unit]:
    """Return what so many ``workers`` are to take from: the longest first, each on one boot.

    A group that would keep one of them busy when all the others have ended is cut, but into no
    pieces that take longer to boot than to be worked on.
    """
    share = sum(map(_seconds, groups)) / workers
    units: list[Unit] = []
    for group in groups:
        worth = int(_work(group) // boot_seconds(group[0].plan))
        units += _pieces(group, max(1, min(workers, worth, round(_seconds(group) / share))))
    return sorted(units, key=_seconds, reverse=True)


def _pieces(group: Sequence[Loaded], number: int) -> list[Unit]:
    """Return so many pieces of ``group`` that take about as long, each in the order of its labs."""
    pieces: list[Unit] = [[] for _ in range(number)]
    whole, spent = _work(group), 0.0
    for one in group:
        pieces[min(number - 1, int(spent * number / whole))].append(one)
        spent += seconds_of(one.plan)
    return [piece for piece in pieces if piece]


def _work(unit: Sequence[Loaded]) -> float:
    return sum(seconds_of(one.plan) for one in unit)


def _seconds(unit: Sequence[Loaded]) -> float:
    return boot_seconds(unit[0].plan) + _work(unit)


@dataclass
class _Pledge:
    """The memory that a worker's nodes may come to take, and the folder of their lab."""

    mib: int
    folder: Path


class Workers:
    """So many threads that take ``units`` of a ``suite``, as memory allows, until none is left.

    Memory is that of the machine, less what nodes that are up haven't taken yet of theirs. One that
    doesn't fit waits for others to end; where none is at work it is tried all the same, for whoever
    boots it says best what is lacking.
    """

    def __init__(self, suite: Suite, by: Provider, units: Sequence[Unit], number: int) -> None:
        self._suite, self._by = suite, by
        self._waiting = list(units)
        self._said: SimpleQueue[Deed | None] = SimpleQueue()
        self._changed = threading.Condition()
        self._pledges: dict[int, _Pledge] = {}
        self._busy = self._booting = 0
        self._number = number
        self.boots = 0
        self.kept: LabState | None = None

    def run(self, visit: Visit, tell: Callable[[str], None], keep: Loaded | None = None) -> None:
        """Have every lab brought up and handed to ``visit``, in its worker's thread.

        ``tell`` is handed a line about each step, which begins with its lab. What a worker says is
        done in this thread; what raises, here or there, ends them all and is raised. Of the labs
        ``keep`` alone stays up, and is ``kept`` then.
        """
        threads = [
            threading.Thread(target=self._work, args=(number, visit, tell, keep), daemon=True)
            for number in range(self._number)
        ]
        try:
            for thread in threads:
                thread.start()
            working = len(threads)
            while working:
                deed = self._said.get()
                if deed is None:
                    working -= 1
                else:
                    deed()
        except BaseException:
            self._give_up(threads)
            raise

    def _give_up(self, threads: Sequence[threading.Thread]) -> None:
        """End the nodes of all workers, which end by that."""
        self._suite.given_up.set()
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit and any(thread.is_alive() for thread in threads):
            with self._changed:
                self._changed.notify_all()
            self._suite.end_all()
            for thread in threads:
                if thread.ident is not None:
                    thread.join(LOOK / 5)

    def _work(
        self, number: int, visit: Visit, tell: Callable[[str], None], keep: Loaded | None
    ) -> None:
        def told(lab: str, words: str) -> None:
            self._said.put(partial(tell, f"{lab}: {words}"))

        def visited(brought: Brought) -> None:
            if not self._suite.given_up.is_set():
                if brought.state is not None:
                    self._pledges[number].folder = brought.state.folder
                visit(brought, self._said.put)

        try:
            suite = self._suite.beside(visited, told, self._boot_turn)
            while (unit := self._take(number)) is not None:
                kept = suite.prove(unit, keep=unit[-1] is keep)
                self._give_back(number, kept)
            with self._changed:
                self.boots += suite.boots
        except BaseException as error:  # noqa: BLE001 -- it is raised in the main thread
            self._said.put(partial(_raise, error))
        finally:
            self._said.put(None)

    def _take(self, number: int) -> Unit | None:
        """Return the first unit that there is memory for, once there is; None if none is left."""
        with self._changed:
            while self._waiting and not self._suite.given_up.is_set():
                for unit in self._waiting:
                    needed = sum(machine.memory for machine in unit[0].plan.machines)
                    if not self._busy or self._free_mib() >= needed:
                        self._waiting.remove(unit)
                        self._busy += 1
                        folder = paths.state(unit[0].plan.lab)
                        self._pledges[number] = _Pledge(needed, folder)
                        return unit
                self._changed.wait(LOOK)
            return None

    def _give_back(self, number: int, kept: LabState | None) -> None:
        with self._changed:
            self._busy -= 1
            if kept is None:
                del self._pledges[number]
            else:
                # Its nodes stay, and what they may come to take stays theirs.
                self._pledges[-1] = self._pledges.pop(number)
                self.kept = kept
            self._changed.notify_all()

    def _free_mib(self) -> int:
        """Return what memory nobody has and nobody may come to take."""
        pledges = self._pledges.values()
        coming = sum(max(0, one.mib - self._by.held_mib(one.folder)) for one in pledges)
        return self._by.free_mib() - coming

    @contextmanager
    def _boot_turn(self, plan: Plan) -> Iterator[None]:
        """Wait until there is a processor for each node of ``plan``, or all of them for it alone.

        More at once would boot no sooner, and the time that a node gets to boot is meant for those
        of one lab.
        """
        has = processors()
        wants = min(len(plan.machines), has)
        with self._changed:
            self._changed.wait_for(
                lambda: self._booting + wants <= has or self._suite.given_up.is_set()
            )
            self._booting += wants
        try:
            yield
        finally:
            with self._changed:
                self._booting -= wants
                self._changed.notify_all()


def _raise(error: BaseException) -> None:
    raise error
