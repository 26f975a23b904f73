"""What happens to hosts in production, done to one node of a running lab at a time.

The node program does its part there (again.py); a reboot is this machine's part as well: the
node's kernel ends and starts again on the disk that it has written to. With an update it does so
with the /usr of another image.
"""

from __future__ import annotations

import json
import shlex
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from underlay.cluster import ssh
from underlay.cluster.image import build as image_build
from underlay.cluster.node_files import PROGRAM_FILE
from underlay.cluster.process import run, tail
from underlay.cluster.providers import provider
from underlay.cluster.ready import prove
from underlay.cluster.requirements.usr_image import lacking
from underlay.errors import Infrastructure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.cluster.state.lab import LabState
    from underlay.plan import Plan

Event = Literal["recreate", "restart", "reboot", "update"]
# Those that need nothing more than their name.
EVENTS: tuple[Event, ...] = ("recreate", "restart", "reboot")
# s for all that the node program does at once; runtimes start containers one after the other.
DEADLINE, EACH = 240.0, 10.0
# s until a full node has started all that it starts by itself, after its ssh answers.
BOOTED = 180.0
# It waits for the last unit, and says whether one has failed, which is no matter here.
SETTLED = ["sudo", "-n", "systemctl", "is-system-running", "--wait"]
# Says what /usr is, by the kernel: mount point, then options (proc_pid_mountinfo(5)).
MOUNTED = ["cat", "/proc/self/mountinfo"]
MOUNT_DEADLINE = 30.0


@dataclass(frozen=True)
class Done:
    """What was done to a node, in words, and what failed there in its runtimes' words.

    ``lost`` says why the node didn't come back from an update. Where it did and something failed,
    ``lacks`` is what its /usr hasn't any more.
    """

    did: tuple[str, ...]
    failed: tuple[str, ...]
    lost: Infrastructure | None = None
    lacks: tuple[str, ...] = ()


def happen(
    state: LabState, event: Event, node: str, fixed: Iterable[str], image: Path | None = None
) -> Done:
    """Have ``event`` happen to ``node``, and return once it is over there.

    ``fixed`` are the addresses and MAC addresses that the lab fixes; others may change. With an
    update the node boots with the /usr of ``image``. Raises BadInput where the provider's nodes
    can't do it, Infrastructure where the node doesn't answer: after an update that is ``lost``.
    """
    if image is not None:
        return _update(state, node, fixed, image)
    if event != "reboot":
        return _done(_again(state, node, event, fixed))
    return _reboot(state, node, fixed)


def _update(state: LabState, node: str, fixed: Iterable[str], image: Path) -> Done:
    by, plan = provider(state.provider), state.plan()
    by.replace_usr(plan, node, state.folder, image)
    left = _leave(state, node, fixed)
    if left.failed:
        return left
    try:
        done = _boot(state, node, fixed)
        _prove_usr(state, node, image)
    except Infrastructure as error:
        return replace(left, lost=_not_back(plan, node, image, error))
    word = f"booted with the /usr of {image.name}, read-only"
    lacks = tuple(_lacking(plan, image)) if done.failed else ()
    return Done((word, *done.did[1:]), done.failed, lacks=lacks)


def _prove_usr(state: LabState, node: str, image: Path) -> None:
    """Raise Infrastructure where the node's /usr isn't a file system of its own, read-only."""
    asked = ssh.command(state.folder / "ssh_config", node, MOUNTED)
    lines = run(asked, deadline=MOUNT_DEADLINE).stdout.splitlines()
    found = [fields for fields in map(str.split, lines) if fields[4] == "/usr"]
    if not any(fields[3] == "/usr" and "ro" in fields[-1].split(",") for fields in found):
        raise Infrastructure(f"its /usr isn't that of {image.name}: {found or 'the root has it'}")


def _not_back(plan: Plan, node: str, image: Path, error: Infrastructure) -> Infrastructure:
    """Return why ``node`` is lost: what its /usr lacks, then what became of its boot."""
    causes = _lacking(plan, image)
    because = f": {'; '.join(causes)}" if causes else ""
    return Infrastructure(
        f"{node} did not come back with the /usr of {image.name}{because}",
        detail="\n".join(filter(None, (error.message, error.detail))),
        hint=f"underlay doctor --image {shlex.quote(str(image))}",
    )


def _lacking(plan: Plan, image: Path) -> list[str]:
    own = Path(plan.image.path) if plan.image else image_build.current().disk
    return lacking(image, own) if own.exists() else []


def _reboot(state: LabState, node: str, fixed: Iterable[str]) -> Done:
    provider(state.provider).refuse_to_reboot()
    left = _leave(state, node, fixed)
    return left if left.failed else _boot(state, node, fixed)


def _leave(state: LabState, node: str, fixed: Iterable[str]) -> Done:
    left = _done(_again(state, node, "leave", fixed))
    if not left.failed:
        _forget_connection(state, node)
    return left


def _boot(state: LabState, node: str, fixed: Iterable[str]) -> Done:
    """Boot a node that has left from its own disk, and have its containers started again."""
    plan = state.plan()
    provider(state.provider).start_again(plan, node, state.folder)
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
