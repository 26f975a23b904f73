"""Machines that exist, for following packets there: network namespaces on this machine's kernel.

Run as root inside a user, network, mount and PID namespace of its own:

    python followed_sandbox.py PLAN [COMMAND…]

builds PLAN as probe_sandbox.py does, and prints what came of each COMMAND as a list of JSON values:
``ip WORDS``, ``sudo SOURCE DESTINATION PROTOCOL PORT``, ``probe`` with the same words, and
``capture MACHINE NAME DEVICE ASKER ADDRESS``, in which the asker sends an echo request meanwhile.
With ``lost MACHINE`` ssh doesn't get to that one. What is between this and a machine is a program
in the place of ssh; all else is what it is on machines.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from underlay.cluster.inventory import Machine
from underlay.cluster.machines import Ways
from underlay.errors import UnderlayError
from underlay.observe.capture import summary
from underlay.observe.live_capture import run_there, sniff_there
from underlay.plan import Plan, plan_from_json
from underlay.proof.followed_there import (
    asked_there,
    followed_there,
    packet_there,
    traced_there,
)
from unit.observe.probe_sandbox import build, ip


class Here(Ways):
    """Ways to namespaces of this machine; ``lost`` are those to which none leads."""

    lost: tuple[str, ...] = ()

    def command(
        self, name: str, arguments: Sequence[str], *, become: bool = False, python: str = ""
    ) -> list[str]:
        if name in self.lost:
            return ["sh", "-c", "echo 'ssh: no route to host' >&2; exit 255"]
        return ["ip", "netns", "exec", name, *arguments]


def followed(plan: Plan, ways: Ways, by: str, words: Sequence[str]) -> Any:
    source, there, protocol, port = words
    packet = packet_there(protocol, int(port))
    try:
        trace = traced_there(plan, list(ways.machines), source, there, packet)
        found = followed_there(ways, trace) if by == "sudo" else asked_there(ways, trace, "")
    except UnderlayError as error:
        return {"error": error.message, "hint": error.hint}
    return {**asdict(found), "last": trace.last(found.points)}


def captured(plan: Plan, ways: Ways, words: Sequence[str]) -> Any:
    machine, name, device, asker, address = words
    at = next(one.node for one in plan.containers if one.name == asker)

    def send() -> None:
        run_there(plan, ways, at, asker, ["ping", "-c", "1", "-W", "1", address], deadline=20)

    kind = "node" if name == machine else "container"
    caught = sniff_there(
        plan, ways, {machine: [(name, kind, [device])]}, seconds=20, meanwhile=send
    )
    frames = [summary(frame.data).what for frame in caught.frames]
    return {"frames": frames, "missing": dict(caught.missing)}


def main() -> None:
    plan = plan_from_json(Path(sys.argv[1]).read_text())
    build(plan)
    ways = Here([Machine(node.name, "192.0.2.1") for node in plan.nodes], Path("/nowhere"))
    found = []
    for command in sys.argv[2:]:
        word, *words = command.split()
        if word == "ip":
            ip(" ".join(words))
        elif word == "lost":
            ways.lost = tuple(words)
        elif word == "capture":
            found.append(captured(plan, ways, words))
        else:
            found.append(followed(plan, ways, word, words))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
