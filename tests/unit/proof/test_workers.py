"""Labs proven side by side: who takes what, in which order, and what becomes of an interrupt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from underlay.cluster.providers.uml.provider import Uml
from underlay.cluster.state.lab import LabState
from underlay.cluster.suite import Brought, Suite
from underlay.errors import Infrastructure
from underlay.expect import predict
from underlay.lint import Loaded, load
from underlay.observe.observation import Observation
from underlay.plan import Plan
from underlay.proof import labs as proving
from underlay.proof import workers as side_by_side
from underlay.proof.labs import prove_labs
from underlay.proof.result import LabResult
from underlay.proof.shards import boot_seconds, seconds_of
from underlay.proof.workers import Workers, units_of
from underlay.storage import paths
from underlay.verdict import judge

if TYPE_CHECKING:
    from underlay.proof.workers import Say

PATIENCE = 20.0
TEXT = """\
name: {name}
nodes: {{count: {nodes}, profile: lean, memory: {memory}}}
segments:
  lan: {{subnet: 192.168.70.0/24}}
networks:
  net: {{driver: macvlan, segment: lan, subnet: 20.1.1.0/24, runtime: iproute2}}
containers:
  - {{on: all, count: 1, networks: [net]}}
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.HOME, str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def lab(tmp_path: Path) -> Callable[..., Loaded]:
    """Return what writes a lab and reads it."""

    def write(name: str, *, nodes: int = 1, memory: int = 256) -> Loaded:
        file = tmp_path / f"{name}.yml"
        file.write_text(TEXT.format(name=name, nodes=nodes, memory=memory))
        return load(file)

    return write


def names(units: list[list[Loaded]]) -> list[list[str]]:
    return [[one.plan.lab for one in unit] for unit in units]


class Machine(Uml):
    """A machine with so much memory of which nodes take none yet, but for what is ``held``."""

    def __init__(self, mib: int = 1 << 20) -> None:
        self.mib = mib
        self.held: dict[str, int] = {}

    def free_mib(self) -> int:
        return self.mib - sum(self.held.values())

    def held_mib(self, state: Path) -> int:
        return self.held.get(state.name, 0)


class Faked(Suite):
    """A suite whose labs are up at once. It notes which are up, and at most were at a time."""

    def __init__(self, visit: Callable[[Brought], None] = lambda _: None) -> None:
        super().__init__("uml", visit, print)
        self.up: set[str] = set()
        self.most: set[str] = set()
        self.order: list[str] = []
        self.ended: list[str] = []
        self.over = threading.Event()
        self.noting = threading.Lock()

    def render(self, labs: object) -> None:
        assert labs

    def _boot(self, loaded: Loaded) -> LabState:
        self.boots += 1
        return self._now(loaded)

    def _turned(self, state: LabState, loaded: Loaded) -> LabState:
        with self.noting:
            self.up.discard(state.lab)
        return self._now(loaded)

    def _now(self, loaded: Loaded) -> LabState:
        with self.noting:
            self.order.append(loaded.plan.lab)
            self.up.add(loaded.plan.lab)
            if len(self.up) > len(self.most):
                self.most.clear()
                self.most.update(self.up)
        return LabState(loaded.plan.lab, str(loaded.file), "uml")

    def _end(self, state: LabState) -> None:
        with self.noting:
            self.up.discard(state.lab)
            self.ended.append(state.lab)

    def end_all(self) -> None:
        self.over.set()


def worked(suite: Suite, units: list[list[Loaded]], visit: Callable[[Brought, Say], None]) -> int:
    workers = Workers(suite, Machine(), units, len(units))
    workers.run(visit, print)
    return workers.boots


def test_the_longest_is_taken_first_and_a_group_stays_together(lab: Callable[..., Loaded]) -> None:
    alone = [lab("alone", nodes=3)]
    pair = [lab("one"), lab("two")]
    many = [lab(f"of-{number}", nodes=2) for number in range(9)]
    assert names(units_of([alone, pair, many], 2)) == names([many, alone, pair])
    # One worker takes all, each group on one boot.
    assert len(units_of([alone, pair, many], 1)) == 3


def test_a_group_is_cut_where_others_would_wait_for_it(lab: Callable[..., Loaded]) -> None:
    many = [lab(f"of-{number:02}", nodes=2) for number in range(20)]
    units = units_of([many], 3)
    assert len(units) == 3
    assert sorted(chain(*names(units))) == [one.plan.lab for one in many]
    # In pieces that are worth a boot, and in the order of the files.
    for unit in units:
        assert sum(seconds_of(one.plan) for one in unit) > boot_seconds(unit[0].plan) / 2
    assert all(unit == sorted(unit) for unit in names(units))
    assert names(units_of([many[:2]], 3)) == names([many[:2]])


def test_labs_of_other_nodes_are_up_at_once_and_each_has_its_own_result(
    lab: Callable[..., Loaded],
) -> None:
    """Each waits until the other is up: one after the other they never would be."""
    units = [[lab("one"), lab("two")], [lab("three", nodes=2)]]
    met = threading.Barrier(2)
    taken: list[tuple[str, str]] = []
    main = threading.current_thread()

    def visit(brought: Brought, say: Say) -> None:
        name = brought.loaded.plan.lab
        if name != "two":
            met.wait(PATIENCE)
        assert threading.current_thread() is not main

        def take() -> None:
            assert threading.current_thread() is main
            assert brought.state is not None
            taken.append((name, brought.state.lab))

        say(take)

    suite = Faked()
    assert worked(suite, units, visit) == 2
    assert sorted(taken) == [(name, name) for name in ("one", "three", "two")]
    assert suite.most == {"one", "three"}
    assert not suite.up


def test_labs_wait_for_memory_that_others_may_come_to_take(lab: Callable[..., Loaded]) -> None:
    units = [[lab(name, memory=memory)] for name, memory in (("a", 600), ("b", 500), ("c", 300))]
    suite, machine = Faked(), Machine(1000)
    met = threading.Barrier(2)

    def visit(brought: Brought, _: Say) -> None:
        # `b` would fit into what is free, and not into what `a` leaves: `c` comes before it.
        if brought.loaded.plan.lab != "b":
            met.wait(PATIENCE)

    Workers(suite, machine, units, 3).run(visit, print)
    assert suite.most == {"a", "c"}
    assert suite.order[-1] == "b"


def test_what_nodes_have_taken_already_is_not_counted_twice(lab: Callable[..., Loaded]) -> None:
    units = [[lab("a", memory=600)], [lab("b", memory=300)]]
    machine = Machine(1000)
    workers = Workers(Faked(), machine, units, 2)
    assert workers._take(0) == units[0]
    for held in (0, 250, 600):
        machine.held = {"a": held}
        assert workers._free_mib() == 400
    # Somebody else on this machine has taken what was left.
    machine.mib = 700
    assert workers._free_mib() == 100
    taken: list[object] = []
    waiting = threading.Thread(target=lambda: taken.append(workers._take(1)), daemon=True)
    waiting.start()
    waiting.join(2 * side_by_side.LOOK)
    assert not taken
    machine.mib = 1000
    waiting.join(PATIENCE)
    assert taken == [units[1]]


def test_what_fits_nowhere_is_tried_alone(lab: Callable[..., Loaded]) -> None:
    suite = Faked()
    units = [[lab("a", memory=600)], [lab("b", memory=700)]]
    Workers(suite, Machine(10), units, 2).run(lambda *_: None, print)
    assert sorted(suite.order) == ["a", "b"]
    assert len(suite.most) == 1


def test_no_more_nodes_boot_at_once_than_there_are_processors(
    lab: Callable[..., Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_by_side, "processors", lambda: 2)
    booting, most = [0], [0]

    class Slow(Faked):
        def _boot(self, loaded: Loaded) -> LabState:
            nodes = len(loaded.plan.machines)
            with self.noting:
                booting[0] += nodes
                most[0] = max(most[0], booting[0])
            time.sleep(0.05)
            with self.noting:
                booting[0] -= nodes
            return super()._boot(loaded)

    units = [[lab(f"of-{n}-{m}", nodes=n)] for n in (1, 2) for m in range(3)]
    assert worked(Slow(), units, lambda *_: None) == 6
    assert most[0] == 2
    # One that has more nodes boots by itself.
    assert worked(Slow(), [[lab("large", nodes=3)], [lab("small")]], lambda *_: None) == 2
    assert most[0] == 3


def test_an_interrupt_ends_all_that_is_up_and_begins_nothing_more(
    lab: Callable[..., Loaded],
) -> None:
    units = [[lab("one"), lab("never")], [lab("two", nodes=2)], [lab("last", nodes=3)]]
    suite = Faked()
    met = threading.Barrier(2)
    taken: list[str] = []

    def visit(brought: Brought, say: Say) -> None:
        if met.wait(PATIENCE) == 0:
            say(_interrupt)
        # As a probe's ssh does: it waits until its sandbox is gone.
        assert suite.over.wait(PATIENCE)
        say(lambda: taken.append(brought.loaded.plan.lab))

    with pytest.raises(KeyboardInterrupt):
        Workers(suite, Machine(), units, 2).run(visit, print)
    assert len(suite.order) == 2
    assert "never" not in suite.order
    assert not suite.up
    assert sorted(suite.ended) == sorted(suite.order)
    # What came of labs whose nodes were ended is nobody's result.
    assert not taken


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_a_defect_in_one_worker_ends_the_others(lab: Callable[..., Loaded]) -> None:
    suite = Faked()

    def visit(brought: Brought, _: Say) -> None:
        if brought.loaded.plan.lab == "one":
            raise ValueError("a defect")
        assert suite.over.wait(PATIENCE)

    with pytest.raises(ValueError, match="a defect"):
        worked(suite, [[lab("one")], [lab("two", nodes=2)]], visit)
    assert not suite.up


class Unlucky(Faked):
    """A suite in which a lab doesn't come up."""

    def _boot(self, loaded: Loaded) -> LabState:
        if loaded.plan.lab == "down":
            raise Infrastructure("its kernel ended")
        return super()._boot(loaded)


@pytest.mark.parametrize("jobs", [1, 3])
def test_what_is_told_of_labs_is_the_same_however_many_are_at_work(
    jobs: int, lab: Callable[..., Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last to be done comes first all the same, and the one that failed is that very lab."""
    made: list[Faked] = []

    def suite(_: str, visit: Callable[[Brought], None], tell: object) -> Faked:
        made.append(Unlucky(visit))
        return made[0]

    def proved(brought: Brought, *_: object) -> LabResult:
        plan: Plan = brought.loaded.plan
        if plan.lab == "one" and jobs > 1:
            time.sleep(0.2)
        verdict = judge(plan.lab, "uml", predict(plan), Observation((), {}, {}))
        return LabResult(verdict, error=brought.error, timings=brought.timings)

    monkeypatch.setattr(proving, "Suite", suite)
    monkeypatch.setattr(proving, "prove_brought", proved)
    every = [lab("one"), lab("down", nodes=2), lab("three", nodes=3), lab("four")]
    lines: list[str] = []
    found = prove_labs(every, "uml", print, lambda _: None, jobs=jobs, beside=lines.append)
    # Those of one boot together, in the order of the files.
    assert list(found.by_lab) == ["one", "four", "down", "three"]
    assert [lab for lab, result in found.by_lab.items() if result.error] == ["down"]
    assert found.boots == 2
    assert set(found.timings) == {"render", "boot", "switch"}


def test_turns_to_boot_are_a_suites_own(lab: Callable[..., Loaded]) -> None:
    turns: list[str] = []

    def turn(plan: Plan) -> AbstractContextManager[None]:
        turns.append(plan.lab)
        return threading.Lock()  # type: ignore[return-value]

    suite = Faked()
    beside = suite.beside(lambda _: None, lambda *_: None, turn)
    suite.prove([lab("one")])
    beside.prove([lab("two"), lab("three")])
    # Who is switched to another lab boots nothing.
    assert turns == ["two"]
    assert (suite.boots, beside.boots) == (1, 1)
