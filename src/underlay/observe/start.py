"""How the probe gets onto a node: one argument list, with its source and its task inside.

Nothing is installed on a node. The probe's modules travel compressed on the
command line, so that ssh, testinfra or a test can start it all the same.
"""

from __future__ import annotations

import base64
import json
import secrets
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay.expect import pairs, predict

if TYPE_CHECKING:
    from underlay.plan import Plan

# Below the range that the kernel picks client ports from (net.ipv4.ip_local_port_range).
PORT = 27007
PATIENCE = 60.0  # s that a probe waits for its caller's next word
ON_STDIN = "-"

# Linux takes at most 128 KiB in one argument, and ssh makes one argument of them all.
_LARGEST = 90_000
_MODULES = ("rtnetlink", "namespaces", "question", "probe")
_GATHERING = ("rtnetlink", "namespaces", "gather")
_BOOTSTRAP = """\
import base64, json, sys, types, zlib
package = sys.modules["underlay"] = types.ModuleType("underlay")
package = package.observe = sys.modules["underlay.observe"] = types.ModuleType("underlay.observe")
for name, text in json.loads(zlib.decompress(base64.b64decode(sys.argv[1]))):
    module = sys.modules[package.__name__ + "." + name] = types.ModuleType(name)
    setattr(package, name, module)
    exec(compile(text, name, "exec"), module.__dict__)
sys.exit(module.main(sys.argv[2]))"""
_NONCE = secrets.token_hex(4)


def probe_command(
    plan: Plan, node: str, nonce: str = _NONCE, *, patience: float = PATIENCE, pace: float = 1
) -> list[str]:
    """Return the argument list that runs the probe as root on ``node``.

    All nodes of one measurement need the same ``nonce``; by default it is the same
    for the life of this Python process. The probe prints ``ready``, waits for the
    line ``go`` on stdin, prints ``probed``, waits for ``stop``, and prints one JSON
    document for ``measure.merge``. Where the last argument is ``-``, the line
    ``packed_task`` comes first on stdin.
    """
    task = packed_task(plan, node, nonce, patience=patience, pace=pace)
    last = task if len(task) <= _LARGEST else ON_STDIN
    return ["python3", "-c", _BOOTSTRAP, _source(_MODULES), last]


def gather_command(plan: Plan, node: str) -> list[str]:
    """Return the argument list that gathers, as root on ``node``, what gather.py describes.

    With ``switch`` for ``node`` it is what runs where the segments' bridges are.
    """
    spaces = [[c.name, c.runtime] for c in plan.containers if c.node == node]
    task = _pack({"node": node, "spaces": spaces})
    return ["python3", "-c", _BOOTSTRAP, _source(_GATHERING), task]


def packed_task(
    plan: Plan, node: str, nonce: str = _NONCE, *, patience: float = PATIENCE, pace: float = 1
) -> str:
    """Return what the probe on ``node`` is to do, as one line of text."""
    return _pack(task(plan, node, nonce, patience, pace))


def task(plan: Plan, node: str, nonce: str, patience: float, pace: float = 1) -> dict[str, Any]:
    """Return the probe's specification, as probe.py describes it."""
    spaces = [[node, "node", ""]]
    spaces += [[c.name, c.runtime, ""] for c in plan.containers if c.node == node]
    index = {space[0]: number for number, space in enumerate(spaces)}
    cold = _cold_pairs(plan)
    cells = [
        [
            number,
            index[pair.source.space],
            pair.source_address,
            pair.destination_address,
            (pair.source.name, pair.destination.name) in cold,
        ]
        for number, pair in enumerate(pairs(plan))
        if pair.source.node == node
    ]
    return {
        "node": node,
        "nonce": nonce,
        "port": PORT,
        "patience": patience,
        "pace": pace,
        "cold": bool(cold),
        "spaces": spaces,
        "cells": cells,
    }


def has_cold_cells(plan: Plan) -> bool:
    """Whether the probes print ``cold`` and wait for ``on`` between ``go`` and ``probed``."""
    return bool(_cold_pairs(plan))


def _cold_pairs(plan: Plan) -> set[tuple[str, str]]:
    return {(e.source, e.destination) for e in predict(plan) if e.cold}


@cache
def _source(modules: tuple[str, ...]) -> str:
    here = Path(__file__).parent
    return _pack([(name, (here / f"{name}.py").read_text("utf-8")) for name in modules])


def _pack(value: object) -> str:
    text = json.dumps(value, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()
