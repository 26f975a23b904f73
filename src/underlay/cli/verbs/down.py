"""The verb ``down``: nothing of a lab is left but caches."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from underlay.cli.applied import refuse_without_inventory, undo_lab
from underlay.cli.console import out, people, print_document, progress
from underlay.cli.options import AsJson, InventoryOption, LabOption, LimitOption
from underlay.cli.which_lab import running_lab
from underlay.errors import BadInput
from underlay.storage.paths import state, states

GROUP = "Labs"
ORDER = 70


def command(
    lab: LabOption = None,
    every: Annotated[bool, typer.Option("--all", help="Stop every lab of this checkout.")] = False,
    inventory: InventoryOption = None,
    limit: LimitOption = None,
    as_json: AsJson = False,
) -> None:
    """Stop a lab and leave nothing of it behind.

    Its nodes, switch, interfaces, shared connections and state folder are gone
    afterwards; caches of images and rendered files stay. A lab whose nodes were
    killed is tidied up all the same: everything is found by identity, nothing by name.

    With --inventory, what `underlay up -i` has changed on these machines is undone, also where it
    was cut short or a machine was booted again; with --lab, only if it is that lab. What is
    somebody else's by now, or was changed since, is left, and said.

    Example:
      underlay down
      underlay down --lab docker-vlan
      underlay down --all
      underlay down -i inventory.yml
    """
    if inventory is not None:
        if every:
            raise BadInput("--all is for labs of this checkout: --inventory leaves nothing out")
        raise typer.Exit(undo_lab(inventory, limit or "", lab or "", as_json=as_json))
    refuse_without_inventory(None, {"--limit": limit})
    from underlay.cluster.lifecycle import down
    from underlay.cluster.state.lab import only_rendered
    from underlay.cluster.state.lock import forget_unheld
    from underlay.cluster.state.separate import end_kept, sweep
    from underlay.storage import temporary

    # Every folder: one without a record is of a start that was cut short, or `render` left it.
    names = tuple(sorted(p.name for p in states().glob("*"))) if every else (running_lab(lab),)
    rendered = [name for name in names if every and only_rendered(state(name))]
    began = time.monotonic()
    for name in names:
        what = f"removing the files of {name}" if name in rendered else f"stopping {name}"
        with progress(what) as running:
            down(name, running.step)
    names = tuple(name for name in names if name not in rendered)
    temporary.sweep()
    forget_unheld()
    if every:
        # What a `check DIR` that was killed has left, and tests of somebody's own have kept.
        names = (*names, *sweep(), *end_kept())
    seconds = time.monotonic() - began
    if as_json:
        print_document(
            "down", {"labs": list(names), "rendered": rendered, "seconds": round(seconds, 3)}
        )
    elif names:
        out.print(f"{', '.join(names)}: down, {seconds:.1f} s")
    else:
        out.print("no lab was up")
    if rendered:
        people(as_json).print(f"files that were only rendered: {', '.join(rendered)}: removed")
