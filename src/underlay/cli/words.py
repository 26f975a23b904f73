"""Words that only this machine knows, for shell completion: ``underlay --complete KIND``.

It is asked at every press of the Tab key, so it reads a few files and imports little.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from underlay.cli.which_lab import lab_names, running_labs
from underlay.storage.paths import state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def words(kind: str) -> list[str]:
    """Return the words of ``kind``, in order and each once; none for a kind that isn't there."""
    made = KINDS.get(kind)
    return list(dict.fromkeys(made())) if made else []


def nodes() -> Iterator[str]:
    """Yield the nodes of all labs that are up."""
    for plan in _plans():
        yield from (node["name"] for node in plan["nodes"])


def targets() -> Iterator[str]:
    """Yield what `exec` takes: nodes, containers and the switch."""
    yield from nodes()
    for plan in _plans():
        yield from (container["name"] for container in plan["containers"])
    if running_labs():
        yield "switch"  # plan.SWITCH, whose import would cost more than all else here


def containers() -> Iterator[str]:
    """Yield the containers of all labs that are up."""
    for plan in _plans():
        yield from (container["name"] for container in plan["containers"])


def ends() -> Iterator[str]:
    """Yield what `trace` takes: containers and nodes."""
    yield from containers()
    yield from nodes()


def faults() -> Iterator[str]:
    """Yield the faults that `break` knows."""
    from underlay.faults import RUNNING

    yield from (fault.id for fault in RUNNING)


def _plans() -> Iterator[dict[str, Any]]:
    for lab in running_labs():
        with suppress(OSError, ValueError):
            yield json.loads((state(lab) / "plan.json").read_text(encoding="utf-8"))


KINDS: dict[str, Callable[[], Iterator[str] | tuple[str, ...]]] = {
    "labs": lab_names,
    "running": running_labs,
    "nodes": nodes,
    "targets": targets,
    "containers": containers,
    "ends": ends,
    "faults": faults,
}
