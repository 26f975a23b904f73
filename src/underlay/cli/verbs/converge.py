"""The verb ``converge``: a running lab becomes what its lab file says now."""

from __future__ import annotations

import difflib
import time
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.console import out, print_json, progress
from underlay.cli.options import AsJson, LabOption
from underlay.cli.which_lab import refuse_broken, running_state

if TYPE_CHECKING:
    from underlay.cluster.converging import Converged

GROUP = "Labs"
ORDER = 50


def command(
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
    as_json: AsJson = False,
) -> None:
    """Make a running lab what its lab file says now, by one Ansible task.

    The file is read anew, its nodes' files are rendered, and every node is made what
    they say: what is right already is left alone, so that a second run changes nothing.
    What somebody has changed by hand on a node is put right as well. The file must not
    ask for other nodes than those that run.

    Example:
      underlay converge
      underlay converge --check --diff
    """
    from underlay.cluster.converging import converge

    began = time.monotonic()
    state = running_state(lab)
    refuse_broken(state)
    with progress(f"converging {state.lab}") as running:
        done = converge(state, running.step, check=check, force=force)
    seconds = round(time.monotonic() - began, 3)
    if as_json:
        print_json(
            {
                "lab": state.lab,
                "check": check,
                "changed": done.changed,
                "changes": done.changes,
                **({"diff": done.diffs} if diff else {}),
                "seconds": seconds,
            }
        )
        return
    _show(done, diff=diff)
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
