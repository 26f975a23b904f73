"""The verb ``ssh``: a shell on a node."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer

from underlay.cli.options import LabOption
from underlay.cli.which_lab import running_state
from underlay.errors import BadInput, did_you_mean, listed, nearest

GROUP = "Running labs"
ORDER = 20


def command(
    node: Annotated[str, typer.Argument(help="The node's name, such as core-01.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- CMD...]", help="A command to run there.")
    ] = None,
    lab: LabOption = None,
) -> None:
    """Open a shell on a node, or run a command there as the lab's user.

    What follows `--` is the command's. The exit code is the command's, or ssh's 255
    where the node can't be reached.

    Example:
      underlay ssh core-01
      underlay ssh core-01 -- ip -brief address
    """
    from underlay.cluster import ssh

    state = running_state(lab)
    names = [planned.name for planned in state.plan().nodes]
    if node not in names:
        hint = (
            did_you_mean(nearest(node, names))
            or f"nodes: {listed(names, more=f'underlay status --lab {state.lab}')}"
        )
        raise BadInput(f"the lab {state.lab} has no node {node!r}", hint=hint)
    config = state.folder / "ssh_config"
    if arguments:
        done = subprocess.run(
            ssh.command(config, node, arguments, tty=sys.stdin.isatty()), check=False
        )
    else:
        done = subprocess.run(["ssh", "-F", str(config), node], check=False)
    raise typer.Exit(done.returncode)
