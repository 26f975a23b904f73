"""What nodes say of containers that no plan knows, and of what was put aside of users' own files.

A script or a Compose file may start more than its reader saw in it: who looks for the planned
containers alone never sees the rest.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from underlay.cluster import ssh
from underlay.cluster.process import run, tail
from underlay.cluster.statement import PROGRAM_ASKED
from underlay.errors import Infrastructure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from underlay.plan import Plan

DEADLINE = 60.0


@dataclass(frozen=True)
class Stranger:
    """A container that runs on a node and that no plan knows; ``by`` says who started it."""

    node: str
    runtime: str
    name: str
    image: str
    by: str


@dataclass(frozen=True)
class Beyond:
    """Containers that no plan knows; ``notes`` by node, and ``silent``, who could not be asked."""

    strangers: tuple[Stranger, ...] = ()
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)


def has_own(plan: Plan) -> bool:
    """Whether any node has files of its user's own, by which more may be started than is read."""
    return any(node.own for node in plan.nodes)


def look(plan: Plan, state: Path, nodes: Sequence[str]) -> Beyond:
    """Ask ``nodes`` of the running lab in the state folder ``state``, all at once.

    Lean nodes have no engine that could run more, and are not asked.
    """
    full = [node.name for node in plan.nodes if node.name in nodes and node.profile == "full"]
    strangers: list[Stranger] = []
    notes, silent = {}, {}
    with ThreadPoolExecutor(max(len(full), 1)) as pool:
        asked = {name: pool.submit(_ask, state / "ssh_config", name) for name in full}
    for name, answer in asked.items():
        try:
            said = answer.result()
            strangers += [Stranger(name, **each) for each in said["others"]]
            notes[name] = tuple(map(str, said["notes"]))
        except Infrastructure as error:
            silent[name] = error.message
    return Beyond(tuple(strangers), {name: said for name, said in notes.items() if said}, silent)


def _ask(config: Path, node: str) -> dict[str, Any]:
    words = ssh.command(config, node, [*PROGRAM_ASKED, "--others"])
    done = run(words, deadline=DEADLINE, check=False)
    try:
        said: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        words_of_it = tail(done.stderr, 1) or f"exit code {done.returncode}"
        raise Infrastructure(
            f"did not say which containers it has beyond the plan: {words_of_it}"
        ) from error
    return said
