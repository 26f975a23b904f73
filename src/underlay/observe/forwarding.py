"""A container's TCP port on this machine's loopback: leads relaying.py over ssh.

One ssh does both: it listens here, and runs the relay on the container's node, in the container's
network. It has a connection of its own, so that all of this ends with it.
"""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import threading
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NoReturn

from underlay.cluster.access import piped, refuse_stopped
from underlay.cluster.process import close
from underlay.cluster.ssh import command
from underlay.errors import BadInput, Infrastructure, did_you_mean, listed, nearest
from underlay.observe.commands import relay_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.cluster.state.lab import LabState
    from underlay.plan import Plan, PlannedContainer

LOOPBACK = "127.0.0.1"
READY = 120.0  # s until the relay is there
MARGIN = 5.0  # s that it gets to end
# Below this a port is root's.
FIRST_OF_USERS = 1024
LAST_LINES = 5


class Forwarding:
    """A port that is being forwarded: ``events`` are what the relay says of its connections."""

    def __init__(self, process: subprocess.Popen[bytes], node: str) -> None:
        self._process, self._node = process, node
        self._rows: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._said: list[str] = []
        threading.Thread(target=self._read_rows, daemon=True).start()
        self._errors = threading.Thread(target=self._read_errors, daemon=True)
        self._errors.start()

    def first(self) -> dict[str, Any]:
        """Return the relay's first word; raise Infrastructure where there is none."""
        try:
            row = self._rows.get(timeout=READY)
        except Empty:
            raise Infrastructure(f"{self._node} didn't answer within {READY:.0f} s") from None
        return row or self._over("isn't there")

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield what happens, for ever; raise Infrastructure once the way to the node is gone."""
        while (row := self._rows.get()) is not None:
            yield row
        self._over("is gone")

    def _over(self, how: str) -> NoReturn:
        self._errors.join(MARGIN)
        detail = "\n".join(self._said[-LAST_LINES:])
        raise Infrastructure(
            f"the way to {self._node} {how}", detail=detail, hint="underlay status shows the nodes"
        )

    def _read_rows(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                self._rows.put(json.loads(line))
            except ValueError:
                self._said.append(line.decode(errors="replace").rstrip())
        self._rows.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said.append(line.decode(errors="replace").rstrip())


@contextmanager
def forwarded(
    state: LabState, container: PlannedContainer, port: int, local: int
) -> Iterator[Forwarding]:
    """Have ``port`` of a container answer at port ``local`` of the loopback within the block.

    Raises Infrastructure where the node or the container doesn't run, or nobody listens at the
    port; the message says at which somebody does.
    """
    refuse_stopped(state, [container.node])
    # What the node's user can connect to, and nobody guesses.
    path = f"/run/underlay-forward-{secrets.token_hex(8)}"
    arguments = ["sudo", "-n", *relay_command(container, port, path)]
    words = command(state.folder / "ssh_config", container.node, arguments)
    way = ["-L", f"{LOOPBACK}:{local}:{path}", "-o", "ExitOnForwardFailure=yes"]
    own = ["-o", "ControlPath=none", "-o", "ControlMaster=no"]
    process = piped([words[0], *way, *own, *words[1:]])
    try:
        forwarding = Forwarding(process, container.node)
        _refuse_silent(forwarding.first(), state.lab, container.name, port)
        yield forwarding
    finally:
        close(process, MARGIN)


def _refuse_silent(row: dict[str, Any], lab: str, container: str, port: int) -> None:
    look = f"underlay exec --lab {lab} {container} -- ss -ltn"
    if "missing" in row:
        raise Infrastructure(row["missing"], hint=f"underlay status --lab {lab}")
    if not row["ready"]:
        there = [str(number) for number in row["listening"]]
        at = f"somebody listens at {listed(there)}" if there else "nobody listens at any port there"
        raise Infrastructure(
            f"nobody listens at TCP port {port} of {container}", hint=f"{at}\n{look} shows it"
        )


def container_named(plan: Plan, name: str) -> PlannedContainer:
    """Return the container of ``plan`` that ``name`` means; raise BadInput with the nearest one."""
    by_name = {container.name: container for container in plan.containers}
    found = by_name.get(name.partition("@")[0])
    if found is not None:
        return found
    if name in {node.name for node in plan.nodes}:
        raise BadInput(
            f"{name} is a node, not a container", hint=f"the containers are {listed(by_name)}"
        )
    raise BadInput(
        f"the lab {plan.lab} has no container {name!r}",
        hint=did_you_mean(nearest(name, by_name)) or f"the containers are {listed(by_name)}",
    )


def local_port(wanted: int | None, port: int) -> int:
    """Return a free port of the loopback: ``wanted``, or the container's own, or any.

    Raises BadInput where ``wanted`` is in use or may not be used.
    """
    if wanted is not None:
        try:
            return _free(wanted)
        except OSError as error:
            raise BadInput(
                f"port {wanted} of {LOOPBACK} can't be used: {(error.strerror or '').lower()}",
                hint=f"leave it out, or take another one: port {_free(0)} is free",
            ) from error
    if port >= FIRST_OF_USERS:
        try:
            return _free(port)
        except OSError:
            pass
    return _free(0)


def _free(port: int) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trying:
        # As ssh does: connections that have ended keep nobody away.
        trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trying.bind((LOOPBACK, port))
        found: int = trying.getsockname()[1]
        return found
