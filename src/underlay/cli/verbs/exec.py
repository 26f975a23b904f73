"""The verb ``exec``: a command as root, wherever in the lab it is wanted."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from underlay.cli.options import LabOption
from underlay.cli.which_lab import running_state
from underlay.errors import EXIT_NOT_RUN, BadInput, UnderlayError

GROUP = "Running labs"
ORDER = 30

# What a node and the switch have whatever their image is.
SHELL = ["sh", "-c", "exec $(command -v bash || command -v sh)"]


def command(
    target: Annotated[str, typer.Argument(help="A node, a container, or `switch`.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- CMD...", help="The command; a shell without one."),
    ] = None,
    tty: Annotated[
        bool, typer.Option("--tty", "-t", help="Give the command a terminal, whoever reads it.")
    ] = False,
    no_tty: Annotated[
        bool, typer.Option("--no-tty", "-T", help="Give it none, although there is one.")
    ] = False,
    lab: LabOption = None,
) -> None:
    """Run a command as root in a node, a container or the switch, or open a shell there.

    In a container the network is the container's and the tools are the node's, so
    that ip, tcpdump, iptables and tc are at hand. `switch` is where the segments'
    bridges and ports are. Standard input is passed through and the exit code is the
    command's; 125 means that it could not be run. What follows `--` is the command's.
    Where standard input, output and error are a terminal, so they are for the command.

    Example:
      underlay exec core-01 -- ip -brief address
      underlay exec lannet-1a -- ping -c 1 20.1.1.129
      underlay exec switch -- bridge fdb show
      underlay exec lannet-1a
    """
    from underlay.cluster.access import execute

    try:
        if tty and no_tty:
            raise BadInput("-t and -T are opposites", hint="leave both out: a terminal is found")
        asked = True if tty else False if no_tty else None
        wanted = _wants_terminal(asked, bool(arguments))
        code = execute(running_state(lab), target, arguments or SHELL, tty=wanted)
    except UnderlayError as error:
        error.exit_code = EXIT_NOT_RUN
        raise
    raise typer.Exit(code)


def _wants_terminal(asked: bool | None, named: bool) -> bool:
    """Whether the command gets a terminal; raise BadInput where there is none to give.

    A terminal would put standard error into standard output, so it is given unasked only where
    neither goes elsewhere, as Compose's `exec` does it.
    """
    if asked and not sys.stdin.isatty():
        raise BadInput("-t gives the command a terminal, and standard input isn't one")
    there = all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    if not named and not sys.stdin.isatty():
        raise BadInput(
            "no command is given behind the target, and a shell wants a terminal",
            hint="underlay exec TARGET -- CMD...  such as  core-01 -- ip -brief address",
        )
    return there if asked is None else asked
