"""The verb ``workshop``: a course of exercises, and a seat for each who takes part."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal

import typer

from underlay.cli.options import AsJson
from underlay.errors import BadInput, did_you_mean, nearest

GROUP = "Workshops"
ORDER = 10

# Each action's module in cli/workshop_actions, and the options that it takes.
ACTIONS = {
    "list": ("courses_here", {"json"}),
    "try": ("try_here", set()),
    "prove": ("prove", {"no-nodes", "json"}),
    "up": ("up", {"seats", "listen", "port", "inventory", "json"}),
    "seats": ("seats", {"keys", "new-password", "skip", "inventory", "json"}),
    "watch": ("watch", {"serve", "port", "inventory", "json"}),
    "grade": ("grade", {"inventory", "json", "csv"}),
    "down": ("down", {"inventory", "json"}),
}

# Those that ask all machines of an inventory, by their functions in on_servers.
ON_SERVERS = {"seats": "run_seats", "watch": "run_watch", "grade": "run_grade"}


def command(
    action: Annotated[
        str,
        typer.Argument(
            help=f"{', '.join(f'`{word}`' for word in list(ACTIONS)[:-1])} or `down`.",
            metavar="[ACTION]",
            autocompletion=lambda: list(ACTIONS),
        ),
    ] = "list",
    course: Annotated[
        str | None,
        typer.Argument(help="A course's folder, or the name of one in courses/.", metavar="COURSE"),
    ] = None,
    exercise: Annotated[
        str | None, typer.Argument(help="`try`, `prove`: which exercise.", metavar="EXERCISE")
    ] = None,
    seats: Annotated[
        int | None,
        typer.Option(
            "--seats",
            min=1,
            metavar="N",
            help="`up`: how many seats, beside your own; it has to be said.",
        ),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen",
            metavar="ADDRESS",
            help="`up`: where to listen instead of on loopback.",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=0, max=65535, metavar="P", help="`up`, `watch`: the TCP port; 0 is any."
        ),
    ] = None,
    inventory: Annotated[
        Path | None,
        typer.Option(
            "--inventory",
            "-i",
            metavar="FILE",
            help="All but `list`, `try` and `prove`: the Ansible inventory of the machines that"
            " hold the seats.",
        ),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys", metavar="FILE", help="`seats`: public keys, a line each: `seat-07 KEY`."
        ),
    ] = None,
    new_password: Annotated[
        int | None,
        typer.Option(
            "--new-password", min=0, metavar="SEAT", help="`seats`: give this seat another one."
        ),
    ] = None,
    skip: Annotated[
        Literal["yes", "no"] | None,
        typer.Option("--skip", help="`seats`: whether learners may `skip`, from now on."),
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="`watch`: as a page, which this machine alone can open.")
    ] = False,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="`grade`: print a table as CSV.")] = False,
    no_nodes: Annotated[
        bool, typer.Option("--no-nodes", help="`prove`: judge the files alone, and boot nothing.")
    ] = False,
) -> None:
    """Hold a workshop: a course of exercises, and a seat for each who takes part.

    Every seat is a sandbox with the same names and addresses as all others; seat 00 is
    the trainer's. `list` shows the courses, `try` plays one in this terminal, for somebody
    alone, and `prove` shows with packets that its exercises are as they say. `up` boots the
    seats, `seats` prints how each is entered, `watch` shows all on one screen, `grade` says
    what each has done and why, and `down` leaves nothing.

    Example:
      underlay workshop
      underlay workshop try find-the-fault
      underlay workshop up find-the-fault --seats 8
      underlay workshop seats
      underlay workshop watch
      underlay workshop grade --csv
      underlay workshop down
    """
    from underlay.cli.workshop_actions.asked import Asked

    if action not in ACTIONS:
        hint = did_you_mean(nearest(action, ACTIONS)) or f"underlay workshop {'|'.join(ACTIONS)}"
        raise BadInput(f"there is no action {action!r}", hint=hint)
    module, taken = ACTIONS[action]
    given = {
        "seats": seats is not None,
        "listen": listen is not None,
        "port": port is not None,
        "inventory": inventory is not None,
        "keys": keys is not None,
        "new-password": new_password is not None,
        "skip": skip is not None,
        "serve": serve,
        "json": as_json,
        "csv": as_csv,
        "no-nodes": no_nodes,
    }
    for option, is_given in given.items():
        if is_given and option not in taken:
            _refuse(action, f"--{option}")
    if exercise is not None and action not in ("try", "prove"):
        _refuse(action, f"exercise, such as {exercise}")
    if course is not None and action == "list":
        _refuse(action, f"course, such as {course}")
    function = "run"
    if inventory is not None and action in ON_SERVERS:
        module, function = "on_servers", ON_SERVERS[action]
    run = getattr(import_module(f"underlay.cli.workshop_actions.{module}"), function)
    run(
        Asked(
            course, exercise, seats, listen, port, inventory, as_json, as_csv, no_nodes,
            keys, new_password, serve, skip,
        )
    )  # fmt: skip


def _refuse(action: str, what: str) -> None:
    raise BadInput(f"`underlay workshop {action}` takes no {what}", hint="underlay workshop --help")
