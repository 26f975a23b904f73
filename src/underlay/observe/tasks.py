"""How the probe gets onto a node: an argument list with its source, and a line with its task.

Nothing is installed on a node. The probe's modules travel compressed on the
command line, so that ssh or a test can start it all the same.
"""

from __future__ import annotations

import base64
import json
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay.expect import ends, machines, pairs, protocols
from underlay.expect.value_cells import EVERYBODY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from underlay.expect import Expectation
    from underlay.plan import Plan

# Below the range that the kernel picks client ports from (net.ipv4.ip_local_port_range).
PORT = 27007
PATIENCE = 60.0  # s that a probe waits for its caller's next word
# Looking for site packages costs more than all that the probe imports.
PYTHON = ("python3", "-I", "-S")

_MODULES = (
    "rtnetlink",
    "namespaces",
    "packets",
    "spaces",
    "question",
    "loop",
    "station",
    "renewing",
    "asking",
    "hearing",
    "answering",
    "resolving",
    "sizing",
    "probe",
)
_GATHERING = ("rtnetlink", "namespaces", "gather")
_SNIFFING = ("rtnetlink", "namespaces", "sniff")
_BOOTSTRAP = """\
import base64, json, sys, types, zlib
for name in ("underlay", "underlay.observe", "underlay.observe.on_node"):
    package = sys.modules[name] = types.ModuleType(name)
for name, text in json.loads(zlib.decompress(base64.b64decode(sys.argv[1]))):
    module = sys.modules[package.__name__ + "." + name] = types.ModuleType(name)
    setattr(package, name, module)
    exec(compile(text, name, "exec"), module.__dict__)
sys.exit(module.main(sys.argv[2]))"""


def probe_command(patience: float = PATIENCE) -> list[str]:
    """Return the argument list that runs the probe as root on a node.

    What it is to do comes first on its stdin, within ``patience`` seconds: a line of
    ``packed_tasks``. How it is led after that is described in probe.py.
    """
    return [*PYTHON, "-c", _BOOTSTRAP, _source(_MODULES), f"{patience:g}"]


def gather_command(plan: Plan, node: str) -> list[str]:
    """Return the argument list that gathers, as root on ``node``, what gather.py describes.

    With ``switch`` for ``node`` it is what runs where the segments' bridges are; an external
    host has no services of its own.
    """
    spaces = [[c.name, c.runtime] for c in plan.containers if c.node == node]
    own = node in {planned.name for planned in plan.nodes}
    task = _pack({"node": node, "spaces": spaces, "services": own})
    return [*PYTHON, "-c", _BOOTSTRAP, _source(_GATHERING), task]


def packed_tasks(
    plan: Plan,
    expectations: Iterable[Expectation],
    nonce: str,
    *,
    patience: float = PATIENCE,
    pace: float = 1,
) -> dict[str, str]:
    """Return what the probe of each node is to do, as one line of text.

    All nodes of one measurement need the same ``nonce``.
    """
    tasks = _tasks(plan, expectations)
    common = {"nonce": nonce, "port": PORT, "patience": patience, "pace": pace}
    return {node: _pack(task | common) for node, task in tasks.items()}


def sniff_command(
    spaces: list[tuple[str, str, list[str]]],
    *,
    seconds: float,
    count: int = 0,
    marks: tuple[bytes, ...] = (),
    snap: int = 65535,
) -> list[str]:
    """Return the argument list that captures as root on one machine, as sniff.py describes it.

    ``spaces`` are (name, kind, devices), with ``node`` for the kind of the machine's own.
    """
    task = {
        "spaces": spaces,
        "seconds": seconds,
        "count": count,
        "marks": [mark.hex() for mark in marks],
        "snap": snap,
    }
    return [*PYTHON, "-c", _BOOTSTRAP, _source(_SNIFFING), _pack(task)]


def _tasks(plan: Plan, expectations: Iterable[Expectation]) -> dict[str, dict[str, Any]]:
    """Return the specification of each node's probe, as probe.py describes it."""
    every = list(pairs(plan))
    # Nodes may have IPv6 in a segment where no container has it: they hear its multicast.
    families = {pair.family for pair in every} | {cell.family for _, cell in values(expectations)}
    tasks: dict[str, dict[str, Any]] = {}
    index: dict[str, int] = {}
    for home in machines(plan):
        own = [container for container in plan.containers if container.node == home]
        spaces = [[home, "node", ""], *([c.name, c.runtime, ""] for c in own)]
        index |= {space[0]: number for number, space in enumerate(spaces)}
        tasks[home] = {
            "node": home,
            "families": sorted(families or {4}),
            "protocols": protocols(plan),
            "spaces": spaces,
            "cells": [],
            "groups": [group for (check, _), group in EVERYBODY.items() if check == "multicast"],
            "values": {check: [] for check in plan.checks},
        }
    cold = {(e.source, e.destination, e.family) for e in expectations if e.cold}
    for number, pair in enumerate(every):
        who = (pair.source.name, pair.destination.name, pair.family)
        space = index[pair.source.space]
        row = [number, space, pair.source_address, pair.destination_address, int(who in cold)]
        tasks[pair.source.node]["cells"].append(row)
    asker = {end.name: end for end in ends(plan)}
    for number, value in values(expectations):
        end = asker[value.source]
        row = [number, index[end.space], value.source_address, value.destination_address, 0]
        tasks[end.node]["values"][value.protocol].append(row)
    return tasks


def values(expectations: Iterable[Expectation]) -> Iterator[tuple[int, Expectation]]:
    """Yield the cells of kind ``value``, each with its number."""
    return enumerate(e for e in expectations if e.kind == "value")


def phases(expectations: Iterable[Expectation]) -> tuple[str, ...]:
    """Return the names of the phases, in order: cold cells are probed first and alone.

    Checks come last: what they send may teach neighbours and the switch.
    """
    reach = ("cold", "others") if any(e.cold for e in expectations) else ("others",)
    return (*reach, *dict.fromkeys(value.protocol for _, value in values(expectations)))


@cache
def _source(modules: tuple[str, ...]) -> str:
    here = Path(__file__).parent / "on_node"
    return _pack([(name, (here / f"{name}.py").read_text("utf-8")) for name in modules])


def _pack(value: object) -> str:
    text = json.dumps(value, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 6)).decode()
