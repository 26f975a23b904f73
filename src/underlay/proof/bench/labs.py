"""The labs that are timed: under names of their own, up and down again within one deadline for all.

They are copies of shipped labs, and generated ones. With names of their own they never meet a
lab that is up already.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from underlay.cluster.prepare import load_plan
from underlay.cluster.ssh import lab_key
from underlay.cluster.state.lab import remove
from underlay.errors import EXIT_OK, Infrastructure, UnderlayError
from underlay.proof.bench import command_line
from underlay.render import render_cached
from underlay.storage import paths
from underlay.storage.paths import root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

PREFIX = "bench-"

_MANY = """\
name: {name}
nodes: {{count: {nodes}, profile: {profile}, memory: {memory}}}
protocols: [{protocols}]
segments:
  lan: {{subnet: 192.168.70.0/24}}
networks:
  many: {{driver: {driver}, segment: lan, subnet: 10.7.0.0/16, runtime: {runtime}}}
containers:
  - {{on: all, count: {count}, networks: [many]}}
"""
# What is left for tidying up when the time is over.
DOWN_DEADLINE = 90.0


def copy(shipped: str, folder: Path) -> Path:
    """Write the shipped lab called ``shipped`` under a name of its own into ``folder``."""
    text = (root() / "labs" / f"{shipped}.yml").read_text(encoding="utf-8")
    file = folder / f"{PREFIX}{shipped}.yml"
    file.write_text(re.sub(r"^name: .*$", f"name: {PREFIX}{shipped}", text, flags=re.MULTILINE))
    return file


def many(
    name: str,
    folder: Path,
    *,
    nodes: int = 3,
    count: int,
    profile: str = "lean",
    memory: int = 512,
    protocols: str = "icmp, tcp, udp",
    driver: str = "macvlan",
    runtime: str = "iproute2",
) -> Path:
    """Write a lab of ``count`` containers on each of ``nodes`` nodes, all in one network."""
    file = folder / f"{PREFIX}{name}.yml"
    file.write_text(
        _MANY.format(
            name=f"{PREFIX}{name}", nodes=nodes, count=count, profile=profile, memory=memory,
            protocols=protocols, driver=driver, runtime=runtime,
        )
    )  # fmt: skip
    return file


class OutOfTime(Infrastructure):
    """The time of the whole bench is over; what remains isn't measured."""


class Stopwatch:
    """Times command lines. ``say`` is handed a line of progress at a time."""

    def __init__(
        self, folder: Path, seconds: float, say: Callable[[str], None], *, quick: bool
    ) -> None:
        self.folder = folder
        self.say = say
        self.quick = quick
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """The seconds that are left; raise OutOfTime where none are."""
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise OutOfTime("the bench's time was over")
        return seconds

    def times(self, runs: int) -> range:
        """Return how often something is measured: once where it must be quick."""
        return range(1 if self.quick else runs)

    def run(
        self,
        *words: str,
        environment: Mapping[str, str] | None = None,
        codes: tuple[int, ...] = (EXIT_OK,),
    ) -> command_line.Done:
        """Run ``underlay`` with ``words``; Infrastructure where it exits with none of ``codes``."""
        self.say(" ".join(["underlay", *(word for word in words if "\n" not in word)]))
        done = command_line.run(*words, deadline=self.left, environment=environment)
        return done.prove(codes)

    def seconds(self, *words: str) -> float:
        """Return the wall time of ``underlay`` with ``words``."""
        return self.run(*words).seconds

    @contextmanager
    def lab(self, file: Path, *options: str) -> Iterator[tuple[str, float]]:
        """Have the lab of ``file`` up; hand out its name and the wall time of `up`.

        Its image and its files are cached beforehand. Afterwards nothing of it is left,
        under whatever name it is up by then. Raises Infrastructure where it can't be
        ended, unless something else has gone wrong before.
        """
        name = file.stem
        self.warm(file)
        failed: list[UnderlayError] = []
        try:
            yield name, self.seconds("up", str(file), *options)
        finally:
            for each in [path.name for path in paths.states().glob(f"{name}*")]:
                try:
                    command_line.run("down", "--lab", each, deadline=DOWN_DEADLINE).prove()
                except UnderlayError as error:
                    failed.append(error)
        if failed:
            raise failed[0]

    def warm(self, file: Path) -> None:
        """Render the lab's files into the cache, from which every start takes them."""
        plan = load_plan(file)
        try:
            key = lab_key(plan.lab)
            render_cached(plan, key, self.folder / "warm" / plan.lab, paths.cache() / "files")
        finally:
            remove(plan.lab)
