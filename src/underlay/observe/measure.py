"""Leads one probe on each node through the steps of a measurement, all at once.

What a probe has decided it tells at once, in portions. So one that dies, hangs or is late costs
what it hadn't told by then: its own undecided cells, and those to it that nobody can judge
without its records. No phase takes the time of those after it.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from underlay.expect import predict
from underlay.observe.commands import pack, probe_command, unpacked
from underlay.observe.led import Led
from underlay.observe.observation import grown, merge
from underlay.observe.on_node.asking import BEGUN
from underlay.observe.on_node.cells import COLD, TOGETHER
from underlay.observe.on_node.round_trips import RoundTrips
from underlay.observe.patience import SharedDeadline, overload
from underlay.observe.tasks import numbered, packed_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from underlay.expect import Expectation
    from underlay.expect.unplanned import Planned
    from underlay.observe.led import Spawn
    from underlay.observe.observation import Observation
    from underlay.observe.tasks import Asked
    from underlay.plan import Plan

START = 30.0  # s until every probe listens; ssh to a busy node takes a second or two
# Seconds for the probing itself, on an ordinary machine: what silence costs in each phase at worst,
# and a margin for each cell on slow nodes. A size is looked for step by step (sizing.py).
PROBE_PER_PHASE, PROBE_PER_CELL = {"pmtu": 45.0}, 0.02
PROBE_OTHERS = 20.0
PROBE_TURN = 8.0
ROUND = 10.0  # s that a node may take for one round; its loop turns many times a second
# Seconds from one round to the next, so that rounds cost busy nodes little. They are shorter where
# few cells are undecided: then it is silence that is waited for, by rounds.
BETWEEN, BETWEEN_FEW = 0.02, 0.005
OVERHEARD = 5  # times that a cell is asked again where others' words may have helped it
FEW = 150  # cells of a node
COLLECT = 15.0  # s until a node's document is there


@dataclass(frozen=True)
class Manner:
    """How probes are run on machines that aren't a lab's own nodes.

    ``command`` starts the pinned program (pinned.py) on any of ``machines``, and ``adapt(name,
    task)`` returns what is to be done there instead of a node's ``task``. ``absent`` says why the
    others have no probe.
    """

    machines: frozenset[str]
    command: Sequence[str]
    adapt: Callable[[str, dict[str, Any]], dict[str, Any]]
    absent: dict[str, str]


def measure(
    plan: Plan,
    spawn: Spawn,
    *,
    expectations: Sequence[Expectation] | None = None,
    planned: Planned | None = None,
    asked: Asked | None = None,
    start: float = START,
    deadline: float | None = None,
    pace: float = 1,
    manner: Manner | None = None,
    probes: Probes | None = None,
) -> Observation:
    """Measure every cell of ``plan``'s matrix and return what was seen.

    ``spawn(node, argv)`` starts ``argv`` as root on a node, with pipes for
    stdin, stdout and stderr. ``start`` is the time in seconds until all probes must be
    ready, or less where others are (patience.py), ``deadline`` that for the probing, of which
    each phase has its share; nodes that are ``pace`` times slower than ordinary ones get so many
    times their time to answer. A node that fails or is late costs the cells that have an end
    there and weren't decided by then, not the others; why it failed is in the observation. Cells
    that are undecided when their phase's time is over are left, and nothing else. Nothing is
    raised for that.

    ``expectations`` are the plan's own, for a caller that has them already. They
    set the order of the cells, and how long a probe may take in all; no verdict depends on them.
    With ``planned`` what is there beyond it is looked for once all cells are measured. ``asked``
    is for a caller that wants other cells, or in other phases: the observation has those alone.
    ``manner`` is how probes are run where they aren't as on a lab's own nodes. ``probes`` are those
    of the plan's machines where they were started before; they are ended here.
    """
    nonce = secrets.token_hex(4)
    expectations = predict(plan) if expectations is None else expectations
    asked = numbered(plan, expectations, planned) if asked is None else asked
    shares = _shares(asked)
    if deadline is None:
        deadline = pace * overload() * sum(shares.values())
    patience = start + deadline + COLLECT
    began = time.monotonic()
    tasks = packed_tasks(plan, asked, nonce, patience=patience, pace=pace)
    if manner is not None:
        tasks = {
            node: f"probe {start:g}\n{pack(manner.adapt(node, unpacked(task)))}"
            for node, task in tasks.items()
            if node in manner.machines
        }
    if probes is not None and not probes.serve(tasks):
        probes.end()
        probes = None
    if probes is None:
        probes = Probes(tasks, spawn, manner.command if manner else None)
    runs = probes.begin(tasks)
    timings = {}
    try:
        _await(runs, SharedDeadline([node.name for node in plan.nodes], start))
        timings["start"] = time.monotonic() - began
        went = time.monotonic()
        rounds = _Rounds(runs, ROUND * pace)
        used = 0.0
        more = deadline / sum(shares.values())
        for phase, share in shares.items():
            used += share
            rounds.lead(phase, went + more * used)
            for again in rounds.apart() if phase == TOGETHER else ():
                used += PROBE_TURN
                rounds.lead(again, went + more * used)
        timings["probe"] = time.monotonic() - went
        _tell(runs, "stop")
        stopped = time.monotonic()
        for run in _alive(runs):
            said = run.line(stopped + COLLECT)
            if said and said != "over":
                run.error = f"its probe said {said!r} instead of 'over'"
        timings["collect"] = time.monotonic() - stopped
    finally:
        probes.end()
    found = {name: run.seen for name, run in runs.items() if run.seen}
    failed = {name: run.failure() for name, run in runs.items() if run.error}
    rounded = {phase: round(seconds, 3) for phase, seconds in timings.items()}
    return merge(plan, asked, found, failed | (manner.absent if manner else {}), rounded)


def _await(runs: dict[str, _Run], deadline: SharedDeadline) -> None:
    """Wait until every probe listens; drop the probes that don't in time."""
    deadline.wait_for(runs)
    for run in runs.values():
        run.expect("ready")


def _shares(asked: Asked) -> dict[str, float]:
    """Return the seconds that each phase may take: what it takes a slow node, and no frozen one."""
    cells: Counter[str] = Counter(value.wanted.protocol for value in asked.values)
    cells.update(one.phase for one in asked.pairs)
    least = PROBE_PER_PHASE | {name: PROBE_TURN for name in asked.phases if name.startswith(COLD)}
    return {
        phase: least.get(phase, PROBE_OTHERS) + PROBE_PER_CELL * cells[phase]
        for phase in asked.phases
    }


class _Rounds:
    """Goes round all probes until each has decided its cells, as asking.py explains."""

    def __init__(self, runs: dict[str, _Run], patience: float) -> None:
        self._runs = runs
        self._patience = patience
        self._number = 0
        self._round_trips = RoundTrips()

    def lead(self, phase: str, until: float) -> None:
        """Have all probes go through ``phase``; have what is undecided ``until`` then left."""
        self._round_trips.begin(phase)
        _tell(self._runs, f"ask {phase}")
        begun = self._number + BEGUN
        while undecided := self._round():
            if time.monotonic() > until:
                _tell(self._runs, "cut")
                return
            # Nobody has asked anything before all have come to the phase.
            if self._number >= begun:
                few = undecided <= FEW * len(_alive(self._runs))
                time.sleep(BETWEEN_FEW if few else BETWEEN)

    def apart(self) -> Iterator[str]:
        """Yield the phases that ask by itself what was asked together, as any node needs them.

        Each is to be led before the next is asked for. What was overheard in them is asked
        ``OVERHEARD`` times again.
        """
        for _ in range(1 + OVERHEARD):
            names = self._left()
            yield from names
            if not names:
                return

    def _left(self) -> list[str]:
        _tell(self._runs, "left")
        names: set[str] = set()
        for run in _alive(self._runs):
            line = run.line(time.monotonic() + self._patience)
            word, *more = line.split() or [""]
            if word == "left":
                names.update(more)
            else:
                run.error = run.error or f"its probe said {line!r} instead of what is left"
        return sorted(names, key=lambda name: (len(name), name))

    def _round(self) -> int:
        """Hear every probe, drop those that don't answer; return how many cells are undecided."""
        self._number += 1
        _tell(self._runs, f"round {self._number} {self._round_trips.slowest:.4f}")
        return sum(self._undecided(run) for run in _alive(self._runs))

    def _undecided(self, run: _Run) -> int:
        """Read the answer of one probe; return how many of its cells are undecided."""
        line = run.line(time.monotonic() + self._patience)
        word, *rest = line.split() or [""]
        if word != "round" or len(rest) != 3 or rest[0] != str(self._number):
            run.error = run.error or f"its probe said {line!r} in round {self._number}"
            return 0
        self._round_trips.learn(float(rest[2]))
        return int(rest[1])


class _Run(Led):
    """The probe of one node; ``error`` says why it is out of the measurement.

    ``seen`` is what it has told so far, as merge takes it.
    """

    what = "its probe"

    def __init__(self, node: str, spawn: Spawn, command: Sequence[str]) -> None:
        self.seen: dict[str, Any] = {}
        super().__init__(node, command, None, spawn)

    def line(self, until: float) -> str:
        """Return the next line; empty, with ``error`` set, where the probe ended or is late.

        Lines that tell what was seen are kept, and aren't it.
        """
        while True:
            line = super().line(until)
            word, _, told = line.partition(" ")
            if word != "seen":
                return line
            # A line that was cut short stands for a probe that ended.
            with contextlib.suppress(ValueError):
                self.seen = grown(self.seen, json.loads(told))

    def expect(self, word: str) -> None:
        """Have the probe's next line be ``word``; one that hasn't said it by now is out."""
        said = self.line(time.monotonic())
        if said and said != word:
            self.error = f"its probe said {said!r} instead of {word!r}"


class Probes:
    """Probes of ``nodes`` that are started, and wait for their tasks.

    They look at nothing before they have them. They are to be told within ``PATIENCE`` seconds
    (commands.py), and end with this process, or by ``end``.
    """

    def __init__(
        self, nodes: Iterable[str], spawn: Spawn, command: Sequence[str] | None = None
    ) -> None:
        command = probe_command() if command is None else command
        self._runs = {node: _Run(node, spawn, command) for node in nodes}

    def serve(self, nodes: Iterable[str]) -> bool:
        """Whether they are those of ``nodes``, and none of them is known to have ended."""
        return set(nodes) == set(self._runs) and not any(run.wait(0) for run in self._runs.values())

    def begin(self, tasks: Mapping[str, str]) -> dict[str, _Run]:
        """Tell each its task, by node."""
        for node, task in tasks.items():
            self._runs[node].begin(task)
        return self._runs

    def end(self) -> None:
        """End all of them, by force where one doesn't by itself."""
        for run in self._runs.values():
            run.dismiss()
        for run in self._runs.values():
            run.end()


def _alive(runs: dict[str, _Run]) -> list[_Run]:
    return [run for run in runs.values() if not run.error]


def _tell(runs: dict[str, _Run], word: str) -> None:
    for run in _alive(runs):
        run.say(word)
