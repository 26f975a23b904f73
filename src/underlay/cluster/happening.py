"""What happens to hosts in production, done to one node of a running lab at a time.

The node program does its part there (again.py); a reboot is this machine's part as well: the
node's kernel ends and starts again on the disk that it has written to.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from underlay.cluster import ssh
from underlay.cluster.node_files import PROGRAM_FILE
from underlay.cluster.process import run, tail
from underlay.cluster.providers import provider
from underlay.cluster.ready import prove
from underlay.errors import Infrastructure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.cluster.state.lab import LabState

Event = Literal["recreate", "restart", "reboot"]
EVENTS: tuple[Event, ...] = ("recreate", "restart", "reboot")
# s for all that the node program does at once; runtimes start containers one after the other.
DEADLINE, EACH = 240.0, 10.0
# s until a full node has started all that it starts by itself, after its ssh answers.
BOOTED = 180.0
# It waits for the last unit, and says whether one has failed, which is no matter here.
SETTLED = ["sudo", "-n", "systemctl", "is-system-running", "--wait"]


@dataclass(frozen=True)
class Done:
    """What was done to a node, in words, and what failed there in its runtimes' words."""

    did: tuple[str, ...]
    failed: tuple[str, ...]


def happen(state: LabState, event: Event, node: str, fixed: Iterable[str]) -> Done:
    """Have ``event`` happen to ``node``, and return once it is over there.

    ``fixed`` are the addresses and MAC addresses that the lab fixes; others may change. Raises
    BadInput where the provider's nodes can't do it, Infrastructure where the node doesn't answer.
    """
    if event != "reboot":
        return _done(_again(state, node, event, fixed))
    return _reboot(state, node, fixed)


def _reboot(state: LabState, node: str, fixed: Iterable[str]) -> Done:
    by, plan = provider(state.provider), state.plan()
    by.refuse_to_reboot()
    left = _done(_again(state, node, "leave", fixed))
    if left.failed:
        return left
    _forget_connection(state, node)
    by.start_again(plan, node, state.folder)
    config = state.folder / "ssh_config"
    if plan.node(node).profile == "lean":
        prove(config, node, BOOTED)
        word = "booted; a lean node has no systemd and is made anew as a whole"
        return Done((word,), ())
    run(ssh.command(config, node, SETTLED), deadline=BOOTED, check=False)
    back = _done(_again(state, node, "back", fixed))
    return Done(("booted", *back.did), back.failed)


def _forget_connection(state: LabState, node: str) -> None:
    """End the shared ssh connection to a node that goes: it would hang until its keepalive."""
    config = state.folder / "ssh_config"
    with suppress(Infrastructure):
        run(["ssh", "-F", str(config), "-O", "exit", node], deadline=5, check=False)


def _again(state: LabState, node: str, word: str, fixed: Iterable[str]) -> dict[str, Any]:
    """Have the node program do ``word``; return its report."""
    count = sum(container.node == node for container in state.plan().containers)
    asked = ["sudo", "-n", "python3", "-I", "-S", PROGRAM_FILE, "--again", word]
    done = run(
        ssh.command(state.folder / "ssh_config", node, asked),
        deadline=DEADLINE + EACH * count,
        input_text=json.dumps({"fixed": sorted(fixed)}),
        check=False,
    )
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        words = tail(done.stderr, 1) or f"exit code {done.returncode}"
        raise Infrastructure(
            f"{node} did not say what became of it: {words}", hint="underlay converge"
        ) from error
    return report


def _done(report: dict[str, Any]) -> Done:
    return Done(tuple(report["changes"]), tuple(report["failed"]))
