"""What is asked in one measurement: every cell with its number, and each node's probe's task.

All nodes and packets know a cell by its number. Numbers are made here and nowhere else: what
tells nodes their cells and what reads their answers are handed the same value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from underlay.expect import ends, machines, pairs, protocols
from underlay.expect.value_cells import EVERYBODY
from underlay.observe.commands import PATIENCE, pack
from underlay.observe.on_node.cells import AGAIN, COLD, TOGETHER, Cell
from underlay.observe.on_node.unplanned import WORD
from underlay.observe.turns import turns
from underlay.observe.unplanned import task as task_beyond
from underlay.plan.naming import PROBE_PORT

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
        theirs = {c.name: c.own_protocols for c in own}
        kinds = [(home, "node"), *((c.name, c.space_kind) for c in own)]
        spaces = [
            [
                name,
                kind,
                "",
                *(p for p in plan.listens.get(name, ()) if p not in theirs.get(name, ())),
            ]
            for name, kind in kinds
        ]
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
        if "pmtu" in plan.checks:
            tasks[home]["sizes"] = _sizes(plan)
    answered = {c.name: c.own_protocols for c in plan.containers if c.own_ports}
    for one in asked.pairs:
        pair = one.pair
        for protocol in answered.get(pair.destination.space, ()):
            theirs_here = tasks[pair.source.node].setdefault("theirs", {})
            theirs_here.setdefault(protocol, []).append(one.number)
        cell = Cell(
            one.number,
            index[pair.source.space],
            pair.source_address,
            pair.destination_address,
            one.phase,
            one.again,
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


def _sizes(plan: Plan) -> list[int]:
    """Return how large packets of the lab's interfaces may be, each size once."""
    every = [segment.mtu for segment in plan.segments]
    every += [network.mtu for network in plan.networks]
    every += [port.mtu for host in plan.hosts for port in host.ports]
    for node in plan.nodes:
        every += [nic.mtu for nic in node.nics]
        every += [vlan.mtu for vlan in node.vlans]
        every += [link.mtu for link in node.links]
    return sorted(set(every))


@dataclass(frozen=True)
class AskedPair:
    """A pair that is asked by each protocol, in a phase of cells.py, and maybe in one again."""

    number: int
    pair: Pair
    phase: str
    again: str = ""


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
        """The names of the phases, in order; the nodes say which there are again (measure.py).

        Checks come last: what they send may teach neighbours and the switch.
        """
        found = {one.phase for one in self.pairs} - {TOGETHER}
        cold = sorted(found, key=lambda name: (len(name), name))
        checks = dict.fromkeys(value.wanted.protocol for value in self.values)
        return (*cold, TOGETHER, *checks, *([WORD] if self.planned else []))


def numbered(
    plan: Plan, expectations: Iterable[Expectation], planned: Planned | None = None
) -> Asked:
    """Return what is asked of the cells of ``plan``, of which ``expectations`` are predicted.

    With ``planned`` what is beyond it is looked for after them.

    What is predicted says in which order cells are asked, so that silence is waited for once. It
    says nothing about what comes of them: whatever is asked together is asked again by itself
    where that can make a difference.
    """
    predicted = tuple(expectations)
    silent = {(e.source, e.destination, e.family) for e in predicted if not e.reachable}
    every = tuple(pairs(plan))
    asked = []
    for number, (pair, turn) in enumerate(zip(every, turns(plan, every), strict=True)):
        if (pair.source.name, pair.destination.name, pair.family) in silent:
            asked.append(AskedPair(number, pair, TOGETHER, f"{AGAIN}-{turn}"))
        else:
            asked.append(AskedPair(number, pair, f"{COLD}-{turn}"))
    values = [AskedValue(n, e) for n, e in enumerate(e for e in predicted if e.kind == "value")]
    return Asked(tuple(asked), tuple(values), planned)


def one_by_one(plan: Plan, chosen: Iterable[tuple[str, str, Family]]) -> Asked:
    """Return what is asked where each of the ``chosen`` pairs has a phase of its own.

    A pair is named by source, destination and family. Nothing else is asked, so what comes of
    each shows what it is when nobody else speaks.
    """
    wanted = set(chosen)
    named = ((pair, (pair.source.name, pair.destination.name, pair.family)) for pair in pairs(plan))
    found = [pair for pair, name in named if name in wanted]
    return Asked(tuple(AskedPair(n, pair, f"{COLD}-{n}") for n, pair in enumerate(found)), ())
