"""The verb ``converge``: a running lab becomes what its lab file says now."""

from __future__ import annotations

import difflib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.applied import apply_lab, refuse_without_inventory
from underlay.cli.carried_over import tell_silenced
from underlay.cli.console import out, print_document, progress
from underlay.cli.options import AsJson, InventoryOption, LabFile, LabOption, LimitOption
from underlay.cli.which_lab import refuse_broken, resolve_lab, running_state
from underlay.errors import BadInput, listed
from underlay.plan import SWITCH

if TYPE_CHECKING:
    from underlay.cluster.converging import Converged

GROUP = "Labs"
ORDER = 50


def command(
    file: LabFile = None,
    lab: LabOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing, and say what would be changed.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show the files that differ, line by line.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Converge although lint finds errors in the lab.")
    ] = False,
    inventory: InventoryOption = None,
    limit: LimitOption = None,
    as_json: AsJson = False,
) -> None:
    """Make a running lab what its lab file says now, by one Ansible task.

    The file is read anew, its nodes' files are rendered, and every node is made what
    they say: what is right already is left alone, so that a second run changes nothing.
    Put right as well is what somebody has changed by hand of a node's files, interfaces,
    addresses, routes, containers and their filters' hooks; what was looked at is said. The
    switch is made anew where its part of the file has changed, and isn't looked at. The file
    must not ask for other nodes than those that run.

    With --inventory it is a lab that `underlay up -i` has applied to machines that exist, and FILE
    is its file: what differs there is undone and made anew, and the rest is left as it is.

    Example:
      underlay converge
      underlay converge --check --diff
      underlay converge guests.yml -i inventory.yml --check
    """
    from underlay.cluster.converging import converge
    from underlay.lint import load

    if inventory is not None:
        if file is None or lab is not None or diff:
            raise BadInput(
                "with --inventory, converge needs the lab's FILE, and takes no --lab and no --diff",
                hint=f"underlay converge LAB -i {inventory} --check",
            )
        loaded = load(resolve_lab(file))
        tell_silenced(loaded)
        code = apply_lab(
            "converge", loaded, inventory, limit or "",
            dry_run=check, force=force, as_json=as_json,
        )  # fmt: skip
        raise typer.Exit(code)
    refuse_without_inventory(None, {"FILE": file, "--limit": limit})
    began = time.monotonic()
    state = running_state(lab)
    refuse_broken(state)
    loaded = load(Path(state.file))
    tell_silenced(loaded)
    with progress(f"converging {state.lab}") as running:
        done = converge(state, loaded, running.step, check=check, force=force)
    seconds = round(time.monotonic() - began, 3)
    if as_json:
        print_document(
            "converge",
            {
                "lab": state.lab,
                "check": check,
                "changed": done.changed,
                "changes": done.changes,
                "looked_at": done.looked_at,
                **({"diff": done.diffs} if diff else {}),
                "seconds": seconds,
            },
        )
        return
    _show(done, diff=diff)
    _show_looked_at(done)
    verb = "would be changed" if check else "changed"
    out.print(f"{state.lab}: {done.changed} {verb}, {seconds:.1f} s")


def _show(done: Converged, *, diff: bool) -> None:
    for where, changes in done.changes.items():
        for change in changes:
            out.print(f"{where}: {change}")
        for file in done.diffs.get(where, []) if diff else []:
            if "before" in file:
                lines = difflib.unified_diff(
                    file["before"].splitlines(),
                    file["after"].splitlines(),
                    f"{where} before: {file['before_header']}",
                    f"{where} after: {file['after_header']}",
                    lineterm="",
                )
                out.print("\n".join(lines))


def _show_looked_at(done: Converged) -> None:
    """Print what "changed" counts: of whom what was compared with what is there."""
    alike: dict[str, list[str]] = {}
    for node, counts in done.looked_at.items():
        alike.setdefault(_in_words(counts), []).append(node)
    for words, nodes in alike.items():
        out.print(f"looked at on {listed(nodes)}: {words}", style="dim")
    if not done.changes[SWITCH]:
        words = "its part of the lab file is as it was when the bridges were made"
        out.print(f"not looked at: the switch; {words}", style="dim")


def _in_words(counts: dict[str, int]) -> str:
    """Return how many of each kind, such as ``1 file, 3 interfaces``; nothing that is none."""
    each = ((kind if n != 1 else kind.removesuffix("s"), n) for kind, n in counts.items() if n)
    return ", ".join(f"{n} {kind}" for kind, n in each) or "nothing"
