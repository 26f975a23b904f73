"""The verb ``hosts``: machines that exist, what one may do there, and how to be allowed more."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from rich.table import Table

from underlay.cli.console import out, print_document, progress
from underlay.cli.options import AsJson, InventoryOption, LimitOption
from underlay.errors import EXIT_INFRASTRUCTURE, EXIT_OK, BadInput, count, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.cluster.inventory import Machine
    from underlay.observe.rights import Rights

GROUP = "This machine"
ORDER = 15
SENTENCES = {
    ("none", True): "nothing: {error}",
    ("none", False): "nothing: {error}",
    ("reader", True): "rows of the host: underlay check LAB -i …",
    ("reader", False): "rows of the host by TCP and UDP alone: underlay check LAB -i …",
    ("probe", True): "all rows: underlay check LAB -i … --probe",
    ("probe", False): "all rows, no sizes: underlay check LAB -i … --probe",
    ("lab", True): "all rows, and labs: underlay check LAB -i … --sudo, underlay up LAB -i …",
    ("lab", False): "all rows, no sizes, and labs: underlay check LAB -i … --sudo, underlay up …",
}


def command(
    inventory: InventoryOption = None,
    limit: LimitOption = None,
    print_probe: Annotated[
        bool, typer.Option("--print-probe", help="Print the program that --probe runs there.")
    ] = False,
    print_sudoers: Annotated[
        bool,
        typer.Option("--print-sudoers", help="Print the line of sudoers that allows it alone."),
    ] = False,
    path: Annotated[
        str, typer.Option(metavar="PATH", help="Where that program lies on the machines.")
    ] = "/usr/local/lib/underlay-probe",
    as_json: AsJson = False,
) -> None:
    """Show what one may do on the machines of an inventory, and how to get more rights.

    Each is asked over ssh, as the user of the inventory: whether it is reached, whether there is
    Python, whether that user may send echo requests, and whether sudo lets it run the probe.
    Nothing is run by sudo for that, and nothing is written. With ssh alone you are a reader: rows
    of hosts are measured. With the probe, containers are entered as well. Where sudo lets the user
    do everything without a password, nothing has to be installed for that, and `up -i` may put
    containers there.

    The probe is one file of Python to read. An administrator of the machines puts what
    --print-probe prints to PATH, and what --print-sudoers prints into sudoers: it allows that file
    alone, by its digest, and without an argument. Another version of Underlay may have another.
    Exit code 0 means that every machine was reached, 3 that one wasn't.

    Example:
      underlay hosts -i inventory.yml
      underlay hosts --print-probe > underlay-probe
      underlay hosts -i inventory.yml --print-sudoers
    """
    if not path.startswith("/") or any(sign in path for sign in ' \\,:="'):
        raise BadInput(f"--path {path}: expected an absolute path, without signs of sudoers' own")
    if print_probe:
        from underlay.observe.pinned import program

        print(program(), end="")
        return
    if inventory is None:
        more = " --print-sudoers" if print_sudoers else ""
        raise BadInput("hosts needs --inventory", hint=f"underlay hosts -i inventory.yml{more}")
    from underlay.cluster.inventory import machines_of

    machines = machines_of(inventory, limit or "")
    if print_sudoers:
        _print_sudoers(machines, path)
        return
    found = _asked(machines, path)
    if as_json:
        print_document("hosts", _document(found, path))
    else:
        _show(found)
    raise typer.Exit(EXIT_INFRASTRUCTURE if any(each.error for each in found) else EXIT_OK)


def _asked(machines: Sequence[Machine], path: str) -> list[Rights]:
    from underlay.cluster.machines import ways_to
    from underlay.observe.rights import rights

    with progress(f"asking {count(len(machines), 'machine')}"), ways_to(machines) as ways:
        return rights(ways, path)


def _print_sudoers(machines: Sequence[Machine], path: str) -> None:
    """Print a line for each user of the inventory; refuse one that leaves the user to ssh."""
    from underlay.observe.pinned import sudoers

    users = dict.fromkeys(machine.user for machine in machines)
    unnamed = [machine.name for machine in machines if not machine.user]
    if unnamed:
        hint = (
            f"set ansible_user of {listed(unnamed)}; `underlay hosts -i …` shows who you are there"
        )
        if _is_an_empty_file(sys.stdout):
            hint += "\nthe file that this was redirected to is empty now, and no line of sudoers"
        raise BadInput(
            f"the inventory says of {unnamed[0]} no ansible_user, for whom the line would be",
            hint=hint,
        )
    for user in users:
        print(sudoers(user, path))


def _is_an_empty_file(stream: TextIO) -> bool:
    """Whether a shell has made or emptied a file for what would have been printed to ``stream``."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(found.st_mode) and not found.st_size


def _document(found: Sequence[Rights], path: str) -> dict[str, Any]:
    from underlay.observe.pinned import digest

    return {
        "path": path,
        "digest": digest(),
        "machines": [
            {
                "name": each.name,
                "address": each.address,
                "tier": each.tier,
                "user": each.user or None,
                "python": each.python or None,
                "probe": None if each.error else each.probe,
                "icmp": None if each.error else each.icmp,
                "error": each.error or None,
                "hint": each.hint or None,
            }
            for each in found
        ],
    }


def _show(found: Sequence[Rights]) -> None:
    table = Table(box=None, pad_edge=False, show_edge=False)
    for title in ("machine", "user", "Python", "probe", "what can be measured"):
        table.add_column(title, overflow="fold")
    for each in found:
        sentence = SENTENCES[each.tier, each.icmp != "none"]
        words = sentence.format(error=each.error.removeprefix(f"{each.name}: "))
        probe = "" if each.error else each.probe
        table.add_row(each.name, each.user or "?", each.python or "?", probe, words)
    out.print(table)
    for hint, names in _by_hint(found).items():
        whose = "" if len(names) == len(found) else f" ({listed(names)})"
        out.print(f"\nhint: {hint}{whose}", markup=False, soft_wrap=True)


def _by_hint(found: Sequence[Rights]) -> dict[str, list[str]]:
    """Return what would allow more, with the machines on which it would."""
    names: dict[str, list[str]] = {}
    for each in found:
        for hint in filter(None, each.hint.splitlines()):
            names.setdefault(hint, []).append(each.name)
    return names
