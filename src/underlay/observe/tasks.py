"""What the probe of each node is to do, as one line of text for its standard input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from underlay.expect import ends, machines, protocols
from underlay.expect.value_cells import EVERYBODY
from underlay.observe.commands import PATIENCE, pack
from underlay.observe.on_node.cells import Cell

if TYPE_CHECKING:
    from underlay.observe.numbering import Asked
    from underlay.plan import Plan

# Below the range that the kernel picks client ports from (net.ipv4.ip_local_port_range).
PORT = 27007


def packed_tasks(
    plan: Plan, asked: Asked, nonce: str, *, patience: float = PATIENCE, pace: float = 1
) -> dict[str, str]:
    """Return what the probe of each node is to do, as one line of text.

    All nodes of one measurement need the same ``nonce``. A probe ends ``patience`` seconds
    after its caller's last word; ``pace`` multiplies its waits.
    """
    common = {"nonce": nonce, "port": PORT, "patience": patience, "pace": pace}
    return {node: pack(task | common) for node, task in _tasks(plan, asked).items()}


def _tasks(plan: Plan, asked: Asked) -> dict[str, dict[str, Any]]:
    """Return the specification of each node's probe, as probe.py describes it."""
    tasks: dict[str, dict[str, Any]] = {}
    index: dict[str, int] = {}
    for home in machines(plan):
        own = [container for container in plan.containers if container.node == home]
        spaces = [[home, "node", ""], *([c.name, c.runtime, ""] for c in own)]
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
            one.cold,
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
    return tasks
