"""What is asked in one measurement: every cell with its number, and each node's probe's task.

All nodes and packets know a cell by its number. Numbers are made here and nowhere else: what
tells nodes their cells and what reads their answers are handed the same value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from underlay.expect import PROBE_PORT, ends, machines, pairs, protocols
from underlay.expect.value_cells import EVERYBODY
from underlay.observe.commands import PATIENCE, pack
from underlay.observe.on_node.cells import COLD, OTHERS, Cell
from underlay.observe.on_node.unplanned import WORD
from underlay.observe.unplanned import task as task_beyond

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.expect import Expectation, Family, Pair
    from underlay.expect.unplanned import Planned
    from underlay.plan import Plan


def packed_tasks(
    plan: Plan, asked: Asked, nonce: str, *, patience: float = PATIENCE, pace: float = 1
) -> dict[str, str]:
    """Return what the probe of each node is to do, as one line of text.

    All nodes of one measurement need the same ``nonce``. A probe ends ``patience`` seconds
    after its caller's last word; ``pace`` multiplies its waits.
    """
    common = {"nonce": nonce, "port": PROBE_PORT, "patience": patience, "pace": pace}
    return {node: pack(task | common) for node, task in _tasks(plan, asked).items()}


def _tasks(plan: Plan, asked: Asked) -> dict[str, dict[str, Any]]:
    """Return the specification of each node's probe, as probe.py describes it."""
    tasks: dict[str, dict[str, Any]] = {}
    index: dict[str, int] = {}
    for home in machines(plan):
        own = [container for container in plan.containers if container.node == home]
        kinds = [(home, "node"), *((c.name, c.runtime) for c in own)]
        spaces = [[name, kind, "", *plan.listens.get(name, ())] for name, kind in kinds]
        index |= {space[0]: number for number, space in enumerate(spaces)}
        tasks[home] = {
            "node": home,
            "families": sorted(asked.families or {4}),
            "protocols": protocols(plan),
            "spaces": spaces,
            "cells": [],
            "groups": [group for (check, _), group in EVERYBODY.items() if check == "multicast"],
            "values": {check: [] for check in plan.checks},
        }
    for one in asked.pairs:
        pair = one.pair
        cell = Cell(
            one.number,
            index[pair.source.space],
            pair.source_address,
            pair.destination_address,
            one.phase,
        )
        tasks[pair.source.node]["cells"].append(cell)
    asker = {end.name: end for end in ends(plan)}
    for value in asked.values:
        wanted, end = value.wanted, asker[value.wanted.source]
        cell = Cell(
            value.number,
            index[end.space],
            wanted.source_address,
            wanted.destination_address,
        )
        tasks[end.node]["values"][wanted.protocol].append(cell)
    if asked.planned:
        for home, task in tasks.items():
            task[WORD] = task_beyond(asked.planned, plan, home)
    return tasks


@dataclass(frozen=True)
class AskedPair:
    """A pair that is asked by each protocol, in a phase of cells.py."""

    number: int
    pair: Pair
    phase: str


@dataclass(frozen=True)
class AskedValue:
    """A cell of kind value, with what is expected there."""

    number: int
    wanted: Expectation


@dataclass(frozen=True)
class Asked:
    """All that is asked, in the matrix's order. Pairs and values are numbered apart.

    What tells them apart in a packet is the protocol, or a check's word.
    """

    pairs: tuple[AskedPair, ...]
    values: tuple[AskedValue, ...]
    planned: Planned | None = None

    @property
    def families(self) -> set[int]:
        """The address families that occur.

        Nodes may have IPv6 in a segment where no container has it: they hear its multicast.
        """
        return {one.pair.family for one in self.pairs} | {v.wanted.family for v in self.values}

    @property
    def phases(self) -> tuple[str, ...]:
        """The names of the phases, in order: cold cells are probed first, by ``_phases``.

        Checks come last: what they send may teach neighbours and the switch.
        """
        cold = sorted(
            {one.phase for one in self.pairs} - {OTHERS}, key=lambda name: (len(name), name)
        )
        in_order = sorted(cold, key=lambda name: (len(name), name))
        checks = dict.fromkeys(value.wanted.protocol for value in self.values)
        return (*in_order, OTHERS, *checks, *([WORD] if self.planned else []))


def numbered(
    plan: Plan, expectations: Iterable[Expectation], planned: Planned | None = None
) -> Asked:
    """Return what is asked of the cells of ``plan``, of which ``expectations`` are predicted.

    With ``planned`` what is beyond it is looked for after them.
    """
    predicted = tuple(expectations)
    cold = {(e.source, e.destination, e.family) for e in predicted if e.cold}
    phases = _phases(plan, [pair for pair in pairs(plan) if _key(pair) in cold])
    return Asked(
        tuple(
            AskedPair(n, pair, phases.get(_key(pair), OTHERS)) for n, pair in enumerate(pairs(plan))
        ),
        tuple(
            AskedValue(n, wanted)
            for n, wanted in enumerate(e for e in predicted if e.kind == "value")
        ),
        planned,
    )


def _key(pair: Pair) -> tuple[str, str, Family]:
    return pair.source.name, pair.destination.name, pair.family


def _phases(plan: Plan, cold: Iterable[Pair]) -> dict[tuple[str, str, Family], str]:
    """Return the phases in which ``cold`` pairs are asked, as few as keep each from the others.

    Whoever waits for a neighbour takes any ARP packet of that neighbour's for an answer, and a
    request is a broadcast (Linux net/ipv4/arp.c, arp_process). So nobody asks in a phase in which
    somebody else waits for them, or for them as a gateway.
    """
    attached = {container.name: container.attachments for container in plan.containers}
    asking: list[set[str]] = []
    awaited: list[set[str]] = []
    found = {}
    for pair in cold:
        own = attached.get(pair.source.space, ())
        gateways = {plan.network(one.network).gateway for one in own}
        # A router is no neighbour of its own.
        gateways -= {one.address.ip for one in own} | {""}
        waits = {pair.destination_address, *gateways}
        number = 0
        while number < len(asking) and (
            pair.source_address in awaited[number] or waits & asking[number]
        ):
            number += 1
        if number == len(asking):
            asking.append(set())
            awaited.append(set())
        asking[number].add(pair.source_address)
        awaited[number] |= waits
        found[_key(pair)] = f"{COLD}-{number + 1}"
    return found
