"""How cost grows: with nodes, containers, labs and hosts, and with labs that are at work at once.

What grows is the processor seconds of all that a command runs, nodes and Vagrant among it, as the
kernel counts them of each process. They hardly move with what else the machine does; wall time
stands beside them. Memory is what the nodes' memory and disks take, which lie in the sandbox.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from underlay.cluster.prepare import load_plan
from underlay.cluster.providers.uml import sandbox
from underlay.errors import EXIT_INFRASTRUCTURE, Infrastructure, UnderlayError
from underlay.proof.bench import command_line, labs
from underlay.proof.bench.bench import machine, reason
from underlay.proof.bench.descendants import descendants
from underlay.proof.bench.fleets import SIZES, fleet
from underlay.proof.bench.labs import DOWN_DEADLINE, Stopwatch
from underlay.proof.bench.machines import (
    ROWS_OF_HOSTS,
    Answering,
    hall,
    inventory,
    machines_up,
)
from underlay.proof.bench.node_processes import process_seconds
from underlay.proof.live import How, prove_machines
from underlay.proof.records.keeping import keep
from underlay.storage import paths, temporary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

LONGEST, QUICK = 1800.0, 600.0
# The least that a node can have.
MIB = 256
# How often it is looked, at most, until nobody ends meanwhile.
LOOKS = 10
# Machines that are known by an inventory alone, and how many of a larger fleet are there.
MACHINES = (3, 5, 10, 20)
THERE = 20


@dataclass(frozen=True)
class Step:
    """What ``size`` of something cost: processor and wall seconds; memory or cells where known."""

    size: int
    processor_s: float
    wall_s: float
    mib: float | None = None
    cells: int | None = None


@dataclass
class Grown:
    """The steps that were measured along one way, and why there aren't more."""

    steps: list[Step] = field(default_factory=list)
    not_run: str = ""


@dataclass(frozen=True)
class Way:
    """Something that there can be more and more of; ``measure`` yields a step for each size."""

    name: str
    what: str
    sizes: tuple[int, ...]
    measure: Callable[[Stopwatch, Account, tuple[int, ...]], Iterator[Step]]


def growth(ancestor: int, say: Callable[[str], None], *, quick: bool = False) -> dict[str, Any]:
    """Measure every way and return the document about it.

    ``ancestor`` is this process's parent, to which its orphans come (``continue_in_child``).
    ``quick`` leaves out the largest size of each. What can't be measured is in ``not_run``, with
    the reason. However it ends, no lab of the bench is left.
    """
    facts, began = machine(), time.monotonic()
    found: dict[str, Grown] = {}
    account = Account(ancestor)
    with temporary.folder("bench") as folder:
        watch = Stopwatch(folder, QUICK if quick else LONGEST, say, quick=quick)
        for way in WAYS:
            grown = found[way.name] = Grown()
            try:
                for step in way.measure(watch, account, way.sizes[: -1 if quick else None]):
                    grown.steps.append(step)
            except UnderlayError as error:
                grown.not_run = reason(error)
    facts |= {"load_after": round(os.getloadavg()[0], 2)}
    facts |= {"seconds": round(time.monotonic() - began, 1)}
    return document(found, facts)


def document(found: Mapping[str, Grown], machine: dict[str, Any]) -> dict[str, Any]:
    """Return what ``--json`` prints of what was ``found`` along each way."""
    return {
        "machine": machine,
        "results": [
            {
                "name": way.name,
                "what": way.what,
                "steps": [vars(step) for step in found[way.name].steps],
            }
            for way in WAYS
            if found[way.name].steps
        ],
        "not_run": [
            {"name": name, "reason": grown.not_run}
            for name, grown in found.items()
            if grown.not_run
        ],
    }


def record(document: Mapping[str, Any]) -> Path:
    """Keep what grows in docs/proof/growth.json, but for ways that weren't measured to the end.

    Returns the path of that file.
    """
    lacking = {row["name"] for row in document["not_run"]}
    load = {side: document["machine"][f"load_{side}"] for side in ("before", "after")}
    return keep(
        "growth",
        {
            row["name"]: {"what": row["what"], "steps": row["steps"], "load": load}
            for row in document["results"]
            if row["name"] not in lacking
        },
    )


class Account:
    """What the processes have cost that this one started, and those that they did.

    ``ancestor`` is its parent, the subreaper of them all: who is orphaned becomes its child.
    """

    def __init__(self, ancestor: int) -> None:
        self._ancestor = ancestor
        self._nodes: EndedNodes | None = None

    @property
    def processor_s(self) -> float:
        """The processor seconds so far, of the living and of those that have ended."""
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = ended.ru_utime + ended.ru_stime
        # The ancestor's own time is that of its orphans: it does nothing but wait. One that it
        # waits for in between would be counted twice, or not at all.
        for _ in range(LOOKS):
            waited_for = process_seconds(self._ancestor)
            others = descendants(self._ancestor, unreaped=True)
            own_of_others = sum(process_seconds(each.pid) for each in others)
            if process_seconds(self._ancestor) == waited_for:
                break
        return own + waited_for + own_of_others

    def begin(self) -> Callable[..., Step]:
        """Return what makes a step of all that is spent from now on, until it is called."""
        if self._nodes is not None:
            self._nodes.stop()
        nodes = self._nodes = EndedNodes(self._ancestor)
        processor, began = self.processor_s, time.monotonic()

        def step(size: int, **more: Any) -> Step:
            wall = time.monotonic() - began
            spent = self.processor_s + nodes.stop() - processor
            return Step(size, round(spent, 2), round(wall, 2), **more)

        return step


class EndedNodes:
    """What nodes have cost whose sandbox has ended by now, as it was last seen.

    The kernel ends all processes of a PID namespace with its first one, which can't wait for them
    then: what they have cost is added to nobody (Linux kernel/pid_namespace.c,
    zap_pid_ns_processes; kernel/exit.c, wait_task_zombie). So ``ancestor``'s sandboxes are looked
    at every ``LOOK`` seconds, until ``stop`` is called.
    """

    LOOK = 0.5

    def __init__(self, ancestor: int) -> None:
        self._ancestor = ancestor
        self._seen: dict[tuple[int, int], float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """Look no more, and return the processor seconds of those that have ended."""
        self._over.set()
        self._thread.join()
        living = self._look()
        return sum(seconds for who, seconds in self._seen.items() if who not in living)

    def _watch(self) -> None:
        while not self._over.wait(self.LOOK):
            self._seen |= self._look()

    def _look(self) -> dict[tuple[int, int], float]:
        """Return by the first process of each sandbox what all others in it have cost so far."""
        found = descendants(self._ancestor)
        parents = {each.pid: each.parent for each in found}
        first = {each.pid: each for each in found if each.words.endswith(sandbox.FIRST_PROCESS)}
        seconds = {(each.pid, each.started): 0.0 for each in first.values()}
        for each in found:
            above = each.parent
            while above in parents and above not in first:
                above = parents[above]
            if above in first:
                holder = first[above]
                seconds[holder.pid, holder.started] += process_seconds(each.pid)
        return seconds


def nodes_mib(lab: str) -> float:
    """Return what the memory and the disks of the nodes of ``lab`` take of this host's memory.

    Raises Infrastructure where the lab has no sandbox.
    """
    held = sandbox.held_mib(paths.state(lab))
    if not held:
        raise Infrastructure(f"the lab {lab} has no sandbox")
    return round(held, 1)


def nodes(watch: Stopwatch, account: Account, sizes: tuple[int, ...]) -> Iterator[Step]:
    """Yield what `up` costs of so many lean nodes, each with a container."""
    for size in sizes:
        file = labs.many(f"grown-{size}", watch.folder, nodes=size, count=1, memory=MIB)
        watch.warm(file)
        step = account.begin()
        with watch.lab(file) as (lab, _):
            yield step(size, mib=nodes_mib(lab))


def containers(watch: Stopwatch, account: Account, sizes: tuple[int, ...]) -> Iterator[Step]:
    """Yield what `check` costs of so many containers on three lean nodes, all pairs by ICMP."""
    for size in sizes:
        file = labs.many(
            f"filled-{size}", watch.folder, count=size // 3, memory=1024, protocols="icmp"
        )
        with watch.lab(file) as (lab, _):
            step = account.begin()
            done = watch.run("check", "--lab", lab, "--json")
            yield step(size, cells=done.document()["summary"]["cells"])


def suites(watch: Stopwatch, account: Account, sizes: tuple[int, ...]) -> Iterator[Step]:
    """Yield what `check DIR` costs of so many labs of two lean nodes, each other than the last."""
    for size in sizes:
        folder = watch.folder / f"suite-{size}"
        folder.mkdir()
        with ExitStack() as stack:
            for number in range(1, size + 1):
                name = f"of-{size}-{number}"
                driver = "ipvlan" if number % 2 else "macvlan"
                file = labs.many(name, folder, nodes=2, count=1 + number // 2, driver=driver)
                watch.warm(file)
                stack.callback(_end, file.stem)
            step = account.begin()
            done = watch.run("check", str(folder), "--json")
            measured = done.document()["labs"]
            yield step(size, cells=sum(lab["summary"]["cells"] for lab in measured))


def jobs(watch: Stopwatch, account: Account, sizes: tuple[int, ...]) -> Iterator[Step]:
    """Yield what `check DIR` costs with so many labs at once, of twelve on four kinds of nodes."""
    folder = watch.folder / "jobs"
    folder.mkdir()
    with ExitStack() as stack:
        for number in range(12):
            nodes, memory = 1 + number % 2, MIB + MIB // 4 * (number % 4 // 2)
            driver = "ipvlan" if number % 3 else "macvlan"
            file = labs.many(
                f"job-{number:02}", folder, nodes=nodes, count=2 + number // 4, driver=driver,
                memory=memory,
            )  # fmt: skip
            watch.warm(file)
            stack.callback(_end, file.stem)
        # The first renders the files with the key of all such labs.
        watch.run("check", str(folder), "--json")
        for size in sizes:
            step = account.begin()
            done = watch.run("check", str(folder), "--jobs", str(size), "--json")
            measured = done.document()["labs"]
            yield step(size, cells=sum(lab["summary"]["cells"] for lab in measured))


def hosts(watch: Stopwatch, account: Account, sizes: tuple[int, ...]) -> Iterator[Step]:
    """Yield what `lint` costs of a fleet of so many hosts, with what is wanted of it."""
    for size in sizes:
        file = fleet(watch.folder / f"fleet-{size}", size)
        step = account.begin()
        watch.run("lint", str(file))
        yield step(size)


def predicted(watch: Stopwatch, account: Account, sizes: tuple[int, ...]) -> Iterator[Step]:
    """Yield what `predict` costs of so many hosts with a container each, for all pairs of them."""
    for size in sizes:
        file = hall(watch.folder, size)
        step = account.begin()
        done = watch.run("predict", str(file), "--json")
        yield step(size, cells=len(done.document()["cells"]))


def answered(watch: Stopwatch, account: Account, sizes: tuple[int, ...]) -> Iterator[Step]:
    """Yield what `check -i` does beside asking: predicting, and judging the answers of all hosts.

    Raises Infrastructure where a host's cell isn't as expected.
    """
    for size in sizes:
        plan = load_plan(hall(watch.folder, size))
        ways = Answering(plan)
        # All of it is this very process's work, which is on nobody's account.
        step, began = account.begin(), time.process_time()
        summary = prove_machines(plan, ways, lambda _: None, How()).verdict.summary
        spent = round(time.process_time() - began, 2)
        yield replace(step(size, cells=summary.cells), processor_s=spent)
        if summary.as_expected != size**2:
            raise Infrastructure(f"{summary.as_expected} cells of {size} hosts are as expected")


def surveyed(watch: Stopwatch, account: Account, sizes: tuple[int, ...]) -> Iterator[Step]:
    """Yield what a survey by frames costs of so many machines of an inventory."""
    with machines_up(watch, sizes[-1]) as lab:
        for size in sizes:
            words = ("-i", str(inventory(watch.folder, lab, size)), "--segment", "hall=eth1")
            step = account.begin()
            watch.run("survey", *words, "--send", "--json")
            yield step(size)


def read(watch: Stopwatch, account: Account, sizes: tuple[int, ...]) -> Iterator[Step]:
    """Yield what `check -i` costs of so many machines, for all rows that any user can measure."""
    with machines_up(watch, sizes[-1]) as lab:
        for size in sizes:
            words = ("-i", str(inventory(watch.folder, lab, size)), "--only", ROWS_OF_HOSTS)
            file = hall(watch.folder, size)
            step = account.begin()
            done = watch.run("check", str(file), *words, "--json")
            yield step(size, cells=done.document()["summary"]["cells"])


def planned(watch: Stopwatch, account: Account, sizes: tuple[int, ...]) -> Iterator[Step]:
    """Yield what the same costs where a part of the hosts is there, and the rest is no machine's.

    Raises Infrastructure where a cell of those that are there isn't as expected.
    """
    there = min(THERE, sizes[0])
    with machines_up(watch, there) as lab:
        words = ("-i", str(inventory(watch.folder, lab, there)), "--only", ROWS_OF_HOSTS)
        for size in sizes:
            file = hall(watch.folder, size)
            step = account.begin()
            # What nobody is there for isn't measured, and the exit code says so.
            codes = (0 if size == there else EXIT_INFRASTRUCTURE,)
            done = watch.run("check", str(file), *words, "--json", codes=codes)
            summary = done.document()["summary"]
            yield step(size, cells=summary["cells"])
            if summary["as_expected"] != there**2:
                raise Infrastructure(f"{done}: {summary['as_expected']} cells are as expected")


def _end(lab: str) -> None:
    """End a lab that an interrupted suite may have left."""
    command_line.run("down", "--lab", lab, deadline=DOWN_DEADLINE)


WAYS = (
    Way("hosts", "`lint` of a fleet of so many hosts", SIZES, hosts),
    Way("nodes", "`up` of so many lean nodes, a container on each", (1, 2, 5, 10, 20, 40), nodes),
    Way(
        "containers",
        "`check` of so many containers on 3 lean nodes, all pairs, ICMP",
        (12, 60, 150, 300),
        containers,
    ),
    Way("labs", "`check DIR` of so many labs of 2 lean nodes", (1, 4, 8, 16), suites),
    Way(
        "predicted-hosts",
        "`predict` of so many hosts with a container each, all pairs, ICMP",
        (3, 20, 50, 100),
        predicted,
    ),
    Way(
        "answered-hosts",
        "what `check -i` does beside asking, where so many hosts with a container each answer",
        (10, 20, 50, 100),
        answered,
    ),
    Way(
        "surveyed-machines",
        "`survey --send` of so many machines, lean nodes of which an inventory alone is known",
        MACHINES,
        surveyed,
    ),
    Way(
        "read-machines",
        "`check -i` of so many such machines with a container each, all rows of hosts, ICMP",
        MACHINES,
        read,
    ),
    Way(
        "planned-hosts",
        f"the same of so many hosts, {THERE} of them such machines and the rest by plan alone",
        (THERE, 40, 60, 100),
        planned,
    ),
    Way("jobs", "`check DIR` of 12 labs on 4 boots, with so many at once", (1, 2, 3, 4), jobs),
)
