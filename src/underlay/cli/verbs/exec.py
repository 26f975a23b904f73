"""The verb ``exec``: a command as root, wherever in the lab it is wanted."""

from __future__ import annotations

from typing import Annotated

import typer

from underlay.cli.options import LabOption
from underlay.cli.which_lab import running_state
from underlay.errors import EXIT_NOT_RUN, UnderlayError

GROUP = "Running labs"
ORDER = 30


def command(
    target: Annotated[str, typer.Argument(help="A node, a container, or `switch`.")],
    arguments: Annotated[list[str], typer.Argument(metavar="-- CMD...", help="The command.")],
    lab: LabOption = None,
) -> None:
    """Run a command as root in a node, a container or the switch.

    In a container the network is the container's and the tools are the node's, so
    that ip, tcpdump, iptables and tc are at hand. `switch` is where the segments'
    bridges and ports are. Standard input is passed through and the exit code is the
    command's; 125 means that it could not be run. What follows `--` is the command's.

    Example:
      underlay exec core-01 -- ip -brief address
      underlay exec lannet-1a -- ping -c 1 20.1.1.129
      underlay exec switch -- bridge fdb show
    """
    from underlay.cluster.access import execute

    try:
        code = execute(running_state(lab), target, arguments)
    except UnderlayError as error:
        error.exit_code = EXIT_NOT_RUN
        raise
    raise typer.Exit(code)
