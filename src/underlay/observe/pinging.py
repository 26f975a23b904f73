"""Cells that are asked again and again while something happens: leads pinging.py on the nodes.

What is told is what a user would notice: which cells fell silent, and when each answered again.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from underlay.errors import Infrastructure
from underlay.observe.commands import pack, ping_command
from underlay.observe.led import Led
from underlay.observe.on_node.pinging import GRACE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from underlay.expect import Pair
    from underlay.observe.led import Spawn
    from underlay.plan import Plan

READY, ANSWER = 45.0, 20.0  # s that a machine gets for each
# s between two requests of a cell, at least, and what each cell of a node adds: a system call costs
# a node 50 µs.
INTERVAL, EACH = 0.2, 0.0004


@dataclass(frozen=True)
class Went:
    """What became of one cell. ``lost`` are its requests without an answer since the event began.

    ``first_lost`` is when the first of them was sent, in seconds since then; ``fine`` when the
    first request was sent after which all were answered, in seconds since the event ended (below
    zero before), None where it isn't fine.
    """

    answered: bool
    lost: int
    first_lost: float | None
    fine: float | None


@dataclass
class Seen:
    """What all machines have told; ``missing`` says why nobody asks from a namespace.

    ``announced`` are (how, address, MAC address) with the seconds since the event began: gratuitous
    ARP, or neighbour advertisements that nobody had asked for.
    """

    cells: dict[int, Went] = field(default_factory=dict)
    announced: dict[tuple[str, str, str], float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


class Pingers:
    """Asks ``pairs``, each known by its number, from all machines that have a source of them.

    ``spawn`` starts a program as root on a machine, as for ``measure``. With ``with`` they run
    until its end. A machine that doesn't come up asks nothing; it is in ``failed``.
    """

    def __init__(self, plan: Plan, spawn: Spawn, pairs: Mapping[int, Pair]) -> None:
        self.failed: dict[str, str] = {}
        self._seen = Seen()
        kinds = {container.name: container.space_kind for container in plan.containers}
        by_machine = {
            name: {n: pair for n, pair in pairs.items() if pair.source.node == name}
            for name in dict.fromkeys(pair.source.node for pair in pairs.values())
        }
        self._machines = {
            name: Led(name, ping_command(), _task(own, kinds), spawn)
            for name, own in by_machine.items()
        }
        self._intervals = [_interval(own) for own in by_machine.values()]

    def __enter__(self) -> Pingers:
        limit = time.monotonic() + READY
        for machine in list(self._machines.values()):
            if machine.line(limit) != "ready":
                self._drop(machine, "doesn't ask: it did not get ready")
        return self

    def __exit__(self, *_: object) -> None:
        for machine in self._machines.values():
            machine.dismiss()
        for machine in self._machines.values():
            machine.end()

    @property
    def unsure(self) -> float:
        """The seconds that pass until the last request before now is answered or lost.

        Each machine counts what is lost when it asks again.
        """
        return GRACE + 2 * max(self._intervals, default=0.0)

    def began(self) -> None:
        """Say that the event begins."""
        self._tell("began")

    def ended(self) -> None:
        """Say that the event has ended."""
        self._tell("ended")

    def look(self) -> Seen:
        """Return what became of the cells so far."""
        self._tell("look")
        limit = time.monotonic() + ANSWER
        for machine in list(self._machines.values()):
            try:
                said = json.loads(machine.line(limit))
            except ValueError:
                self._drop(machine, "stopped asking")
                continue
            for number, *row in said["cells"]:
                self._seen.cells[number] = Went(*row)
            for *key, when in said["announced"]:
                how, address, mac = key
                known = self._seen.announced.get((how, address, mac), when)
                self._seen.announced[how, address, mac] = min(known, when)
            self._seen.missing |= said["missing"]
        return self._seen

    def _tell(self, word: str) -> None:
        for machine in self._machines.values():
            machine.say(word)

    def _drop(self, machine: Led, why: str) -> None:
        machine.end()
        self.failed[machine.node] = f"{why}: {machine.failure()}"
        del self._machines[machine.node]


def _interval(pairs: Mapping[int, Pair]) -> float:
    return INTERVAL + EACH * len(pairs)


def _task(pairs: Mapping[int, Pair], kinds: Mapping[str, str]) -> str:
    spaces = list(dict.fromkeys(pair.source.space for pair in pairs.values()))
    return pack(
        {
            "spaces": [[name, kinds.get(name, "node")] for name in spaces],
            "cells": [
                [n, spaces.index(pair.source.space), pair.source_address, pair.destination_address]
                for n, pair in pairs.items()
            ],
            "interval": _interval(pairs),
        }
    )


def refuse_silent(pingers: Pingers, asked: Sequence[int]) -> None:
    """Raise Infrastructure where cells were to be asked and no machine asks."""
    if asked and pingers.failed and not pingers.look().cells:
        name, why = next(iter(pingers.failed.items()))
        raise Infrastructure(f"{name} {why}", hint="underlay doctor")
