"""What the nodes say of themselves: the proof that a lab is up.

That Vagrant, cloud-init or a program ended without an error says nothing of the node. Each
node is asked which files it was made from and what of that runs, and its answer is held against
the files that were rendered for it.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from underlay.cluster import ssh
from underlay.cluster.node_files import PROGRAM_FILE, judge
from underlay.cluster.process import refuse, run, tail
from underlay.errors import Infrastructure

if TYPE_CHECKING:
    from pathlib import Path

    from underlay.plan import Plan

DEADLINE = 120.0
# Without what `site` imports: a node's Python takes long enough to start.
PROGRAM_ASKED = ["sudo", "-n", "python3", "-I", "-S", PROGRAM_FILE]


def verify(plan: Plan, state: Path) -> None:
    """Return when every node of ``plan`` has said that it is what its rendered files say.

    ``state`` is the lab's state folder, with ssh_config and files. Raises Infrastructure, whose
    message is the first node's own words, and whose detail is what all of them said.
    """
    with ThreadPoolExecutor(len(plan.nodes)) as pool:
        asked = [pool.submit(_unready, plan, state, node.name) for node in plan.nodes]
    refuse([failure for each in asked for failure in each.result()])


def _unready(plan: Plan, state: Path, node: str) -> list[str]:
    """Return what keeps ``node`` from being ready, in its own words; nothing where it is."""
    try:
        said = ask(state / "ssh_config", node)
        return judge(said, plan, node, state / "files" / node)
    except Infrastructure as error:
        return [f"{node}: {error.message}"]


def ask(config: Path, node: str) -> object:
    """Return what ``node`` says of itself; raise Infrastructure where that is nothing."""
    asked = ssh.command(config, node, [*PROGRAM_ASKED, "--ready"])
    done = run(asked, deadline=DEADLINE, check=False)
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        words = tail(done.stderr, 1) or f"exit code {done.returncode}"
        raise Infrastructure(f"did not say whether it is ready: {words}") from error
