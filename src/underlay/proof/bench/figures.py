"""The figures of `bench`: what each means, what it should be, and how it is measured.

Every second is wall time of the command line. Warm means that the image and the
rendered files are cached and that no node runs.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import statistics
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.process import run
from underlay.cluster.providers.uml.sandbox import memory_kib
from underlay.errors import Infrastructure
from underlay.proof.bench import command_line, labs
from underlay.proof.bench.labs import DOWN_DEADLINE
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from underlay.proof.bench.labs import Stopwatch

NODES = (10, 20)
LIBVIRT = "libvirt_up_to_matrix_s"
LEAN = "lean_up_to_matrix_s"
ENGINE = "lean_engine_to_matrix_s"
ONE_BY_ONE = "ssh_ping_60_s"
ONE_BY_ONE_SHARED = "ssh_ping_shared_60_s"
# How many cells are measured by ssh and ping, of all that a matrix has.
SAMPLE = 60
# Longer than a node that is busy takes to let somebody in.
SSH_DEADLINE = 60.0
# The lab's own ssh_config shares connections; a script typed in an hour has none.
UNSHARED = ["-o", "ControlMaster=no", "-o", "ControlPath=none"]


@dataclass
class Found:
    """What was measured so far: seconds by figure, reasons by figure that couldn't be.

    ``planned`` says how often a figure is to be measured, where that isn't once.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    planned: dict[str, int] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)
    growth: dict[str, float] = field(default_factory=dict)

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
    Figure("up_to_matrix_s", "warm `up` and `check`, default lab, 3 full nodes", 10),
    Figure(LEAN, "the same, 3 lean nodes with 60 containers", 6),
    Figure(ENGINE, "the same by `check FILE`: without Vagrant, but with the lab's end", 5),
    Figure("switch_s", "`switch` to another lab on running nodes, and `check`", 3),
    Figure("matrix_60_s", "`check`, 60 containers, ICMP, TCP and UDP", 3),
    Figure(
        ONE_BY_ONE,
        f"as matrix_60_s, by one ssh and ping per cell, scaled from {SAMPLE} cells",
        None,
    ),
    Figure(
        ONE_BY_ONE_SHARED,
        f"as matrix_60_s, by one ping per cell over a shared ssh, scaled from {SAMPLE} cells",
        None,
    ),
    Figure("matrix_300_icmp_s", "`check`, 300 containers, ICMP", 15),
    Figure("start_300_s", "`up` of 3 lean nodes with 300 containers", 15),
    Figure("nodes_20_s", "`up` and `check` of 20 full nodes", None),
    Figure("image_build_s", "`image build`", 60),
    Figure(LIBVIRT, "as up_to_matrix_s, by vagrant-libvirt", None),
)
NAMES = tuple(figure.name for figure in FIGURES)


def command_lines(watch: Stopwatch, found: Found, wanted: set[str]) -> None:
    """Time what starts no node."""
    if "cli_start_s" in wanted:
        _repeat(watch, found, "cli_start_s", 10, "--version")
    if "lint_s" in wanted:
        _repeat(watch, found, "lint_s", 5, "lint", str(paths.root() / "labs" / "coreos.yml"))


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
    """Time the default lab's start and proof."""
    _up_to_matrix(watch, found, "up_to_matrix_s", labs.copy("coreos", watch.folder))


def libvirt(watch: Stopwatch, found: Found, wanted: set[str]) -> None:
    """Time the default lab's start and proof by vagrant-libvirt, and its own start if missing."""
    if os.geteuid() != 0:
        raise Infrastructure("needs root, or a libvirtd that you may use")
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
    """Time the full matrix of 60 containers, and what it replaces."""
    with watch.lab(labs.many("sixty", watch.folder, count=20)) as (name, _):
        if "matrix_60_s" in wanted:
            _repeat(watch, found, "matrix_60_s", 5, "check", "--lab", name)
        baselines = [each for each in (ONE_BY_ONE_SHARED, ONE_BY_ONE) if each in wanted]
        if not baselines:
            return
        checked = watch.run("check", "--lab", name, "--json").document()
        cells = checked["summary"]["cells"]
        for each in baselines:
            shared = each == ONE_BY_ONE_SHARED
            found.add(each, seconds_by_ssh_and_ping(watch, name, cells, shared=shared))


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
        free = memory_kib()["MemAvailable"]
        with watch.lab(file) as (name, started):
            seconds = started + watch.seconds("check", "--lab", name)
            spent[count] = (seconds, (free - memory_kib()["MemAvailable"]) / 1024)
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
    (lean, (LEAN, ENGINE)),
    (matrix_60, ("matrix_60_s", ONE_BY_ONE_SHARED, ONE_BY_ONE)),
    (full, ("up_to_matrix_s",)),
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


def seconds_by_ssh_and_ping(watch: Stopwatch, lab: str, cells: int, *, shared: bool) -> float:
    """Return how long ``cells`` cells of the running ``lab`` would take, from ``SAMPLE`` of them.

    This is what Underlay replaces: one ssh and one ping for each cell, as by a script typed in
    an hour, which opens a connection for each; or by a better one, whose connections are shared.
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
        run(["ssh", "-F", config, node, "true"], deadline=min(SSH_DEADLINE, watch.left))
    how = "over a shared connection" if shared else "and one connection"
    watch.say(f"one ssh and one ping {how} for each of {len(sample)} cells")
    began = time.monotonic()
    for source, destination in sample:
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
    return (time.monotonic() - began) / len(sample) * cells
