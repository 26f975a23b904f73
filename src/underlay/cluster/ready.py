"""The proof that a node is ready: cloud-init ended without error, the runtimes answered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from underlay.cluster import ssh
from underlay.cluster.process import run, tail
from underlay.errors import Infrastructure

if TYPE_CHECKING:
    from pathlib import Path

# result.json is cloud-init's last word. Waiting by bash's own read instead of sleep leaves
# the node's one processor to what is waited for: each sleep would be a new process.
WAIT = """
exec 9<> <(:)
until [ -e /run/cloud-init/result.json ]; do
    [ $SECONDS -gt {seconds} ] && { echo timeout; exit 1; }
    read -rt 0.05 -u 9
done
echo "$(</run/cloud-init/result.json)"
"""


def prove(config: Path, node: str, deadline: float) -> None:
    """Return when cloud-init on ``node`` has ended without error; ``deadline`` in seconds.

    The last thing that cloud-init does is to start the containers, so its success
    means that every runtime answered. Raises Infrastructure with what failed.
    """
    deadline = max(deadline, 5.0)
    script = WAIT.replace("{seconds}", str(int(deadline * 0.8)))
    done = run(ssh.command(config, node, ["bash", "-c", script]), deadline=deadline, check=False)
    try:
        errors = json.loads(done.stdout)["v1"]["errors"]
    except (ValueError, KeyError) as error:
        raise Infrastructure(
            f"{node}: cloud-init did not finish within the deadline",
            detail=tail(done.stderr) or tail(_log(config, node)),
        ) from error
    if errors:
        raise Infrastructure(
            f"{node}: cloud-init reports {errors[0]}", detail=tail(_log(config, node))
        )


def _log(config: Path, node: str) -> str:
    """Return the end of cloud-init's output, where the failing command's own words are."""
    command = ["sudo", "tail", "-n", "15", "/var/log/cloud-init-output.log"]
    return run(ssh.command(config, node, command), deadline=20, check=False).stdout
