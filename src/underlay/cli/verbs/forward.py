"""The verb ``forward``: a container's TCP port on this machine's loopback."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from underlay.cli.console import err, out, print_document, progress
from underlay.cli.error_lines import error_lines
from underlay.cli.interrupt import reset_exit
from underlay.cli.options import AsJson, LabOption
from underlay.cli.which_lab import running_state
from underlay.errors import EXIT_INTERRUPTED, BadInput, Infrastructure

if TYPE_CHECKING:
    from underlay.cli.console import Progress
    from underlay.observe.forwarding import Forwarding

GROUP = "Running labs"
ORDER = 35

HIGHEST = 65535


def command(
    container: Annotated[
        str,
        typer.Argument(metavar="CONTAINER:PORT", help="A container, and a TCP port of it."),
    ],
    local: Annotated[
        int | None,
        typer.Argument(
            min=1, max=HIGHEST, help="The port here; without it the same one, or any free one."
        ),
    ] = None,
    lab: LabOption = None,
    as_json: AsJson = False,
) -> None:
    """Have a container's TCP port answer on this machine's loopback, over the lab's ssh.

    What listens in a container can be opened in a browser here then. Connections come from inside
    the container's own network: a child of macvlan or ipvlan isn't reached from its own node. Only
    this machine reaches the port, at 127.0.0.1, until Ctrl-C ends it with exit code 130. Where
    nobody listens at the port, the error says so, and at which ports somebody does.

    Example:
      underlay forward lannet-1a:8080
      underlay forward lannet-1a:80 8000
      underlay forward web:80 --lab demo-web
      underlay forward ipnet-2b:80 --json
    """
    from underlay.observe.forwarding import LOOPBACK, container_named, forwarded, local_port

    name, port = _asked(container)
    state = running_state(lab)
    planned = container_named(state.plan(), name)
    here = local_port(local, port)
    address = f"{LOOPBACK}:{here}"
    document = {
        "lab": state.lab,
        "container": planned.name,
        "node": planned.node,
        "port": port,
        "local_port": here,
        "address": address,
    }
    with (
        progress(f"reaching {planned.name}") as running,
        forwarded(state, planned, port, here) as forwarding,
    ):
        if as_json:
            print_document("forward", document)
        else:
            out.print(f"{planned.name}:{port} is at http://{address} · Ctrl-C ends it")
            out.file.flush()
        code = _follow(forwarding, running)
    raise typer.Exit(code)


def _follow(forwarding: Forwarding, running: Progress) -> int:
    """Count connections until Ctrl-C or until the way is gone; return the exit code.

    The one document is out by then, so that nothing more is said on stdout.
    """
    count = _Count()
    try:
        count.follow(forwarding, running)
    except KeyboardInterrupt:
        err.print(count.words)
        reset_exit()
        return EXIT_INTERRUPTED
    except Infrastructure as error:
        err.print(*error_lines(f"error: {error.message}", error.detail, error.hint), sep="\n")
        return error.exit_code


def _asked(what: str) -> tuple[str, int]:
    """Return the container's name and the port that ``what`` names; raise BadInput."""
    name, _, port = what.rpartition(":")
    if not name or not port.isdecimal() or not 1 <= int(port) <= HIGHEST:
        raise BadInput(
            f"found {what!r}, expected CONTAINER:PORT, with a port from 1 to {HIGHEST}",
            hint=f"underlay forward {what.partition(':')[0] or 'lannet-1a'}:80",
        )
    return name, int(port)


class _Count:
    """How many connections there were, and how many are open."""

    def __init__(self) -> None:
        self.number = self.open = self.failed = 0

    @property
    def words(self) -> str:
        """Both in words."""
        of = f"{self.number} connection{'' if self.number == 1 else 's'}"
        return f"{of}, {self.failed} failed" if self.failed else of

    def follow(self, forwarding: Forwarding, running: Progress) -> NoReturn:
        """Count until the way to the node is gone, which raises Infrastructure, or for ever."""
        for row in forwarding.events():
            if "opened" in row:
                self.number += 1
                self.open += 1
            elif "closed" in row:
                self.open -= 1
            else:
                self.number += 1
                self.failed += 1
                running.note(f"{time.strftime('%H:%M:%S')} a connection failed: {row['why']}")
            if err.is_terminal:
                running.step(f"{self.words}, {self.open} open")
        raise AssertionError("events end with an error")
