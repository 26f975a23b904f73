"""The proof that a node is ready: its set-up ended without error, the runtimes answered."""

from __future__ import annotations

import json
import re
import socket
import time
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING

from underlay.cluster import ssh, statement
from underlay.cluster.process import readable, refuse, run, tail
from underlay.errors import Infrastructure, listed
from underlay.plan.memory import need

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from underlay.plan import Plan, PlannedNode

SSH_PORT = 22
REACH_DEADLINE = 1.0
REACH_INTERVAL = 0.25

# s that each container of a node may take to start, on a host that has more to do: 62 of
# Docker's, one after the other, are minutes.
EACH = {"docker": 8.0, "podman": 4.0}
EACH_OTHER = 1.0
# s more for each that a file of its user's own starts: that takes a program of the engine's own.
BY_OWN_FILE = 12.0

# cloud-init's last word; and the node program's own, on a lean node, where no cloud-init is
# that would pass it on.
RESULT = "/run/cloud-init/result.json"
REPORT = "/run/underlay/report.json"
LOG = "/run/underlay/log"
# Waiting by bash's own read instead of sleep leaves
# the node's one processor to what is waited for: each sleep would be a new process.
LATE = "timeout"
UNFINISHED = "its set-up did not finish within the deadline"
# ssh's own exit code for whatever goes wrong with its connection, and seconds until the next try.
LOST = 255
OUT_OF_MEMORY = re.compile(r"Out of memory: Killed process \d+ \(([^)\n]*)\)")
AGAIN = 1.0
# s after which it is looked whether waiting on is in vain, and that a node without memory has left:
# what its kernel ended may be started again, but mostly the set-up waits for it for ever.
LOOK, MERCY = 15.0, 45.0
WAIT = """
exec 9<> <(:)
until [ -e {own} ] || [ -e {theirs} ]; do
    [ $SECONDS -gt {seconds} ] && { echo timeout; exit 1; }
    read -rt 0.05 -u 9
done
if [ -e {own} ]; then echo "$(<{own})"; else echo "$(<{theirs})"; fi
"""


def wait_for_ssh(
    address: str,
    limit: float,
    meanwhile: Callable[[], None] = lambda: None,
    speaks: Callable[[str], bool] | None = None,
) -> bool:
    """Return whether an ssh server at ``address`` speaks before ``limit`` on the monotonic clock.

    ``meanwhile`` is called after each try, and raises where waiting on is in vain. ``speaks`` is
    how an address is tried that can't be reached from here.
    """
    while not (speaks or _speaks)(address):
        meanwhile()
        if time.monotonic() > limit:
            return False
        time.sleep(REACH_INTERVAL)
    return True


def _speaks(address: str) -> bool:
    with suppress(OSError), socket.create_connection((address, SSH_PORT), REACH_DEADLINE) as line:
        line.settimeout(REACH_DEADLINE)
        return line.recv(1) != b""
    return False


def for_containers(plan: Plan) -> float:
    """Return the seconds for the containers of the node that has most to start."""
    each: defaultdict[str, float] = defaultdict(float)
    for container in plan.containers:
        each[container.node] += EACH.get(container.runtime, EACH_OTHER)
        each[container.node] += BY_OWN_FILE if container.started_by else 0.0
    return max(each.values(), default=0.0)


def prove(
    config: Path, node: str, deadline: float, meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Return when the set-up of ``node`` has ended without error; ``deadline`` in seconds.

    The last thing that it does is to start the containers, so its success means that
    every runtime answered. ``meanwhile`` is called now and then, and raises where waiting on is in
    vain. Raises Infrastructure with what failed.
    """
    done = _waited(config, node, max(deadline, 5.0), meanwhile)
    try:
        said = json.loads(done.stdout)
        errors = said["failed"] if "failed" in said else said["v1"]["errors"]
    except (ValueError, KeyError) as error:
        what = "its set-up ended without a report"
        if done.stdout.strip() == LATE:
            what = UNFINISHED
        elif done.returncode == LOST:
            what = "it could not be asked by ssh whether its set-up has ended"
        raise Infrastructure(
            f"{node}: {what}",
            hint="underlay doctor",
            detail="\n".join(
                filter(None, (tail(done.stderr or done.stdout), tail(_log(config, node))))
            ),
        ) from error
    if errors:
        words = errors if "failed" in said else _own_words(config, node)
        failures = [f"{node}: {each}" for each in words or [f"cloud-init reports {errors[0]}"]]
        refuse(failures, tail(_log(config, node)))


def _waited(
    config: Path, node: str, deadline: float, meanwhile: Callable[[], None]
) -> subprocess.CompletedProcess[str]:
    """Wait on the node until its set-up has ended; return what it said, or how that failed.

    A node with much to do may let a connection go: until the deadline another one is made.
    """
    end = time.monotonic() + deadline
    while True:
        left = max(end - time.monotonic(), 5.0)
        seconds = min(left * 0.8, LOOK)
        script = WAIT.replace("{seconds}", str(int(seconds)))
        script = script.replace("{own}", REPORT).replace("{theirs}", RESULT)
        done = run(ssh.command(config, node, ["bash", "-c", script]), deadline=left, check=False)
        meanwhile()
        late = done.stdout.strip() == LATE and seconds == LOOK
        if not (late or done.returncode == LOST) or time.monotonic() + AGAIN > end:
            return done
        if done.returncode == LOST:
            time.sleep(AGAIN)


class Starving:
    """Ends the wait for a node whose kernel has ended something because its memory was full."""

    def __init__(self, node: str, console: Path) -> None:
        self._node = node
        self._console = console
        self._since: float | None = None

    def __call__(self) -> None:
        """Raise Infrastructure where that was seen some time ago."""
        with suppress(OSError):
            if self._since is None and OUT_OF_MEMORY.search(
                self._console.read_text("utf-8", "replace")
            ):
                self._since = time.monotonic()
        if self._since is not None and time.monotonic() - self._since > MERCY:
            raise Infrastructure(
                f"{self._node}: its set-up had not finished {MERCY:g} s after its memory was full"
            )


def with_console(error: Infrastructure, said: str) -> Infrastructure:
    """Return ``error`` with the last words of the node's console, which say why it happened."""
    detail = "\n".join(filter(None, (error.detail, "console:", readable(said))))
    return Infrastructure(error.message, hint=error.hint, detail=detail)


def out_of_memory(
    error: Infrastructure, plan: Plan, node: PlannedNode, console: str
) -> Infrastructure:
    """Return ``error`` with what came before it, where the memory of ``node`` was too little.

    Whatever it has ended then fails in words of its own, or never: exit code 137 of a container,
    a set-up without an end. Its own words are of mm/oom_kill.c, __oom_kill_process.
    """
    killed = list(dict.fromkeys(OUT_OF_MEMORY.findall(console)))
    needed = need(plan, node)
    short = needed.mib > node.memory
    cure = f"nodes: {{memory: {needed.enough}}} is what lint counts for its containers"
    if not killed and short and UNFINISHED in error.message:
        # A node may read its programs from the disk again and again before it is full.
        return Infrastructure(error.message, detail=error.detail, hint=cure)
    if not killed:
        return error
    message = f"{node.name}: out of memory: its kernel killed {listed(killed)}"
    if not short:
        cure = f"nodes: {{memory: N}} with N above {node.memory}"
    detail = "\n".join(filter(None, (error.message, error.detail)))
    return Infrastructure(message, detail=detail, hint=cure)


def _own_words(config: Path, node: str) -> list[str]:
    """Return what the node program says failed: cloud-init only knows that a command did."""
    with suppress(Infrastructure):
        said = statement.ask(config, node)
        if isinstance(said, dict):
            return [str(each) for each in said.get("failed", [])]
    return []


def _log(config: Path, node: str) -> str:
    """Return the end of the set-up's output, where the failing command's own words are."""
    command = ["sudo", "tail", "-q", "-n", "15", "/var/log/cloud-init-output.log", LOG]
    return run(ssh.command(config, node, command), deadline=20, check=False).stdout
