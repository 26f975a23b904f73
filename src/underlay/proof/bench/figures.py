"""The figures of `bench`: what each means, what it should be, and how it is measured.

Every second is wall time of the command line. Warm means that the image and the
rendered files are cached and that no node runs.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.spans import KERNEL_TO_SSH, recorded
from underlay.errors import Infrastructure
from underlay.proof.bench import baseline, command_line, labs
from underlay.proof.bench.fleets import SIZES, fleet
from underlay.proof.bench.labs import DOWN_DEADLINE
from underlay.proof.bench.memory import used_mib
from underlay.proof.bench.node_processes import nodes_seconds
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from underlay.proof.bench.labs import Stopwatch

NODES = (10, 20)
LIBVIRT = "libvirt_up_to_matrix_s"
UP, FLOOR, NODE = "up_s", "floor_to_ssh_s", "node_processor_s"
LEAN = "lean_up_to_matrix_s"
ENGINE = "lean_engine_to_matrix_s"
ONE_BY_ONE = "ssh_ping_60_s"
ONE_BY_ONE_SHARED = "ssh_ping_shared_60_s"
ONE_A_NODE = "ssh_fping_60_s"
ICMP = "matrix_60_icmp_s"
MATRIX, WATCHED = "matrix_12_s", "watch_12_s"
# The shortest pause that `watch` makes, in seconds, and how many matrices it is timed by.
LEAST_PAUSE, MORE = 0.5, 5
# How many pairs of containers are measured by ssh and ping, of all that there are.
SAMPLE = 30
# What is done to fleets, and what is said of it beside the verb.
FLEET_VERBS = {"import": "", "lint": ", with what is wanted", "diff": " and the same before"}


@dataclass
class Found:
    """What was measured so far: seconds by figure, reasons by figure that couldn't be.

    ``planned`` says how often a figure is to be measured, where that isn't once. ``load`` is the
    mean number of processes that wanted to run in the minute before a figure and after it.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    planned: dict[str, int] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)
    growth: dict[str, float] = field(default_factory=dict)
    load: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, name: str, seconds: float) -> None:
        """Note one run of the figure ``name``."""
        self.seconds.setdefault(name, []).append(seconds)

    def runs(self, name: str, times: range) -> range:
        """Note that the figure ``name`` is to be measured as often as ``times``; return that."""
        self.planned[name] = len(times)
        return times

    def fail(self, names: Sequence[str], reason: str) -> None:
        """Note why the figures ``names``, which are measured together, aren't complete.

        Where all of them have all their runs, something failed behind the last one's.
        """
        done = {name: len(self.seconds.get(name, ())) for name in names}
        planned = {name: self.planned.get(name, 1) for name in names}
        lacking = [name for name in names if done[name] < planned[name]]
        for name in lacking or names[-1:]:
            before = f"{done[name]} of {planned[name]} runs; then: " if done[name] else ""
            self.not_run[name] = before + reason

    def median(self, name: str) -> float | None:
        """Return the figure's median; None where it wasn't measured."""
        values = self.seconds.get(name)
        return statistics.median(values) if values else None


@dataclass(frozen=True)
class Figure:
    """A figure: its name in the JSON document, what it is, and the aim in seconds."""

    name: str
    what: str
    aim: float | None


FIGURES = (
    Figure("cli_start_s", "`underlay --version`", 0.15),
    Figure("lint_s", "`lint` of the default lab", 0.3),
    *(
        Figure(f"fleet_{hosts}_{verb}_s", f"`{verb}` of a fleet of {hosts} hosts{what}", 1)
        for hosts in SIZES
        for verb, what in FLEET_VERBS.items()
    ),
    Figure("up_to_matrix_s", "warm `up` and `check`, default lab, 3 full nodes", 10),
    Figure(UP, "warm `up` of the same", None),
    Figure(
        FLOOR,
        "warm `up` of 3 full nodes until each has ssh: no cloud-init, one namespace a node",
        None,
    ),
    Figure(NODE, "processor seconds of a full node until it is ready, default lab", 5),
    Figure(LEAN, "the same, 3 lean nodes with 60 containers", 6),
    Figure(ENGINE, "the same by `check FILE`: without Vagrant, but with the lab's end", 5),
    Figure(MATRIX, "`check` of the default lab, 12 containers", 1.2),
    Figure(WATCHED, "a further matrix of `watch` of the same, with a pause of 0.5 s", 1),
    Figure("switch_s", "`switch` to another lab on running nodes, and `check`", 3),
    Figure("matrix_60_s", "`check`, 60 containers, ICMP, TCP and UDP", 3),
    Figure(ICMP, "`check`, 60 containers, ICMP", None),
    Figure(
        ONE_A_NODE,
        "every pair of 60 containers by one ssh per node and fping in each namespace",
        None,
    ),
    Figure(
        ONE_BY_ONE_SHARED,
        f"the same by one ping per pair over a shared ssh, scaled from {SAMPLE} pairs",
        None,
    ),
    Figure(
        ONE_BY_ONE,
        f"the same by one ssh and ping per pair, scaled from {SAMPLE} pairs",
        None,
    ),
    Figure("matrix_300_icmp_s", "`check`, 300 containers, ICMP", 15),
    Figure("start_300_s", "`up` of 3 lean nodes with 300 containers", 15),
    Figure("nodes_20_s", "`up` and `check` of 20 full nodes", None),
    Figure("image_build_s", "`image build`", 60),
    Figure(LIBVIRT, "warm `up` and `check`, default lab, by vagrant-libvirt", None),
)
NAMES = tuple(figure.name for figure in FIGURES)


def command_lines(watch: Stopwatch, found: Found, wanted: set[str]) -> None:
    """Time what starts no node."""
    if "cli_start_s" in wanted:
        _repeat(watch, found, "cli_start_s", 10, "--version")
    if "lint_s" in wanted:
        _repeat(watch, found, "lint_s", 5, "lint", str(paths.root() / "labs" / "coreos.yml"))


def fleets(watch: Stopwatch, found: Found, wanted: set[str]) -> None:
    """Time what is said of fleets of some hosts, and of many, before any node starts."""
    for hosts in SIZES:
        before, now = (
            fleet(watch.folder / f"fleet-{hosts}-{name}", hosts, routed=name == "now")
            for name in ("before", "now")
        )
        folders = [str(folder) for folder in sorted((now.parent / "hosts").iterdir())]
        imported = str(watch.folder / f"imported-{hosts}.yml")
        words = {
            "import": ["import", *folders, "--output", imported, "--force"],
            "lint": ["lint", str(now)],
            "diff": ["diff", str(before), str(now)],
        }
        for verb in FLEET_VERBS:
            name = f"fleet_{hosts}_{verb}_s"
            if name in wanted:
                _repeat(watch, found, name, 3, *words[verb])


def lean(watch: Stopwatch, found: Found, wanted: set[str]) -> None:
    """Time the lean lab's start and proof, through Vagrant and by the engine alone."""
    file = labs.copy("lean", watch.folder)
    if LEAN in wanted:
        _up_to_matrix(watch, found, LEAN, file)
    if ENGINE in wanted:
        # The first one renders the lab's files, whose key is another one's.
        watch.seconds("check", str(file))
        _repeat(watch, found, ENGINE, 3, "check", str(file))


def full(watch: Stopwatch, found: Found, wanted: set[str]) -> None:
    """Time the default lab's start and proof, in turn with what no start can be quicker than."""
    file = labs.copy("coreos", watch.folder)
    floor = labs.many("floor", watch.folder, count=1, profile="full, config: ignition")
    for _ in found.runs("up_to_matrix_s", watch.times(3)):
        with watch.lab(file) as (lab, seconds):
            for each in nodes_seconds(lab):
                found.add(NODE, each)
            found.add(UP, seconds)
            found.add("up_to_matrix_s", seconds + watch.seconds("check", "--lab", lab))
            if MATRIX in wanted and MATRIX not in found.seconds:
                _repeat(watch, found, MATRIX, 5, "check", "--lab", lab)
            if WATCHED in wanted and WATCHED not in found.seconds:
                _watched(watch, found, lab)
        if FLOOR in wanted:
            with watch.lab(floor) as (lab, seconds):
                began = time.monotonic() - seconds
                there = [
                    s.end for s in recorded(paths.state(lab), began) if s.what == KERNEL_TO_SSH
                ]
                found.add(FLOOR, max(there) - began)


def _watched(watch: Stopwatch, found: Found, lab: str) -> None:
    """Time a matrix of ``watch``, with its shortest pause: what each further one takes."""
    words = ("watch", "--lab", lab, "--interval", str(LEAST_PAUSE), "--count")
    for _ in found.runs(WATCHED, watch.times(3)):
        one = watch.seconds(*words, "1")
        found.add(WATCHED, (watch.seconds(*words, str(1 + MORE)) - one) / MORE)


def libvirt(watch: Stopwatch, found: Found, wanted: set[str]) -> None:
    """Time the default lab's start and proof by vagrant-libvirt, and its own start if missing."""
    file = labs.copy("coreos", watch.folder)
    if "up_to_matrix_s" not in found.seconds:
        _up_to_matrix(watch, found, "up_to_matrix_s", file)
    with watch.lab(file, "--provider", "libvirt") as (name, seconds):
        found.add(LIBVIRT, seconds + watch.seconds("check", "--lab", name))


def switch(watch: Stopwatch, found: Found, wanted: set[str]) -> None:
    """Time turning running nodes into another lab and back, with the proof."""
    if command_line.run("switch", "--help", deadline=watch.left).code:
        raise Infrastructure("there is no verb `switch`")
    pair = [
        labs.many("switch-one", watch.folder, count=10, profile="full"),
        labs.many("switch-two", watch.folder, count=10, profile="full", driver="ipvlan"),
    ]
    with ExitStack() as stack:
        now, _ = stack.enter_context(watch.lab(pair[0]))
        stack.enter_context(_ended(pair[1].stem))
        watch.warm(pair[1])
        for number in found.runs("switch_s", watch.times(4)):
            target = pair[(number + 1) % 2]
            seconds = watch.seconds("switch", str(target), "--lab", now)
            now = target.stem
            found.add("switch_s", seconds + watch.seconds("check", "--lab", now))


def matrix_60(watch: Stopwatch, found: Found, wanted: set[str]) -> None:
    """Time the full matrix of 60 containers."""
    with watch.lab(labs.many("sixty", watch.folder, count=20)) as (name, _):
        _repeat(watch, found, "matrix_60_s", 5, "check", "--lab", name)


def icmp_60(watch: Stopwatch, found: Found, wanted: set[str]) -> None:
    """Time the ICMP matrix of 60 containers, and what it replaces."""
    with watch.lab(labs.many("icmp", watch.folder, count=20, protocols="icmp")) as (name, _):
        # By turns: what else the machine does is the same for both.
        turns = watch.times(5)
        for each in {ICMP, ONE_A_NODE} & wanted:
            found.runs(each, turns)
        for _ in turns:
            if ICMP in wanted:
                found.add(ICMP, watch.seconds("check", "--lab", name))
            if ONE_A_NODE in wanted:
                found.add(ONE_A_NODE, baseline.by_fping(watch, name))
        for each in (ONE_BY_ONE_SHARED, ONE_BY_ONE):
            if each in wanted:
                shared = each == ONE_BY_ONE_SHARED
                found.add(each, baseline.by_ping(watch, name, SAMPLE, shared=shared))


def three_hundred(watch: Stopwatch, found: Found, wanted: set[str]) -> None:
    """Time the start of 300 containers and their ICMP matrix."""
    file = labs.many("many", watch.folder, count=100, memory=1024, protocols="icmp")
    with watch.lab(file) as (name, seconds):
        found.add("start_300_s", seconds)
        _repeat(watch, found, "matrix_300_icmp_s", 3, "check", "--lab", name)


def twenty(watch: Stopwatch, found: Found, wanted: set[str]) -> None:
    """Time 20 full nodes, and 10 to see the growth of time and memory with each node."""
    spent: dict[int, tuple[float, float]] = {}
    for count in NODES[-1:] if watch.quick else NODES:
        file = labs.many(f"nodes-{count}", watch.folder, nodes=count, count=1, profile="full")
        before = used_mib()
        with watch.lab(file) as (name, started):
            seconds = started + watch.seconds("check", "--lab", name)
            spent[count] = (seconds, used_mib() - before)
            if count == NODES[-1]:
                found.add("nodes_20_s", seconds)
    for count, (seconds, memory) in spent.items():
        found.growth[f"s_per_node_of_{count}"] = round(seconds / count, 2)
        found.growth[f"mib_per_node_of_{count}"] = round(memory / count, 1)


def image_build(watch: Stopwatch, found: Found, wanted: set[str]) -> None:
    """Time building the image into a cache of its own, on the real one's file system."""
    paths.cache().mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".bench-", dir=paths.cache()))
    try:
        environment = {"XDG_CACHE_HOME": str(folder)}
        done = watch.run("image", "build", environment=environment)
        found.add("image_build_s", done.seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# In the order in which they are run, the long ones last; each with the figures that it yields.
MEASURES: tuple[tuple[Callable[[Stopwatch, Found, set[str]], None], tuple[str, ...]], ...] = (
    (command_lines, ("cli_start_s", "lint_s")),
    (fleets, tuple(f"fleet_{hosts}_{verb}_s" for hosts in SIZES for verb in FLEET_VERBS)),
    (lean, (LEAN, ENGINE)),
    (matrix_60, ("matrix_60_s",)),
    (icmp_60, (ICMP, ONE_A_NODE, ONE_BY_ONE_SHARED, ONE_BY_ONE)),
    (full, ("up_to_matrix_s", UP, FLOOR, NODE, MATRIX, WATCHED)),
    (switch, ("switch_s",)),
    (three_hundred, ("start_300_s", "matrix_300_icmp_s")),
    (image_build, ("image_build_s",)),
    (twenty, ("nodes_20_s",)),
    (libvirt, (LIBVIRT,)),
)


def _repeat(watch: Stopwatch, found: Found, name: str, times: int, *words: str) -> None:
    """Time ``underlay`` with ``words`` so many times."""
    for _ in found.runs(name, watch.times(times)):
        found.add(name, watch.seconds(*words))


def _up_to_matrix(watch: Stopwatch, found: Found, name: str, file: Path) -> None:
    for _ in found.runs(name, watch.times(3)):
        with watch.lab(file) as (lab, seconds):
            found.add(name, seconds + watch.seconds("check", "--lab", lab))


@contextmanager
def _ended(name: str) -> Iterator[None]:
    """Have nothing left of the lab that others are switched to; raise where it can't be ended."""
    done = None
    try:
        yield
    finally:
        if paths.state(name).exists():
            done = command_line.run("down", "--lab", name, deadline=DOWN_DEADLINE)
    if done is not None:
        done.prove()
