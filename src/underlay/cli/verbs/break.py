"""The verb ``break``: brings one fault about in a running lab."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.console import out, print_document, progress
from underlay.cli.options import AsJson, LabOption
from underlay.cli.tables import table
from underlay.cli.which_lab import running_state
from underlay.errors import BadInput

if TYPE_CHECKING:
    from underlay.faults import Scene

GROUP = "Faults"
ORDER = 20


def fault_ids() -> list[str]:
    """Return the ids of all faults, for shell completion."""
    from underlay.faults import RUNNING

    return [fault.id for fault in RUNNING]


def command(
    fault: Annotated[
        str | None,
        typer.Argument(
            help="The fault's id, as `underlay faults` lists it.", autocompletion=fault_ids
        ),
    ] = None,
    node: Annotated[str | None, typer.Option("--node", help="The node to break it on.")] = None,
    container: Annotated[
        str | None, typer.Option("--container", help="The container to break it in.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--list", help="List which faults fit this lab, and where.")
    ] = False,
    lab: LabOption = None,
    as_json: AsJson = False,
) -> None:
    """Bring a fault about in a running lab, to see what it looks like.

    How to undo it is recorded before it is done, so that `underlay mend` returns the
    lab to green even after a crash. Several faults can be broken at once. A fault that
    makes no sense for the lab, or would rightly change no cell, is refused with exit
    code 2.

    Example:
      underlay break --list
      underlay break parent-down --node core-02
      underlay break container-drops-incoming --container lannet-2a
    """
    from underlay.cluster.state.lock import turn
    from underlay.expect import Prediction
    from underlay.faults import Scene, running_fault
    from underlay.faults.choosing import choose_place
    from underlay.faults.record import inject

    state = running_state(lab)
    scene = Scene(Prediction(state.plan()))
    if every:
        _list(scene, as_json)
        return
    if fault is None:
        raise BadInput("which fault?", hint="`underlay break --list` shows those that fit")
    wanted = running_fault(fault)
    place = choose_place(scene, wanted, node, container)
    effect = wanted.effect(scene, place)
    with progress(f"breaking {state.lab}") as running, turn(state.lab, running.step):
        broken = inject(state, scene, wanted, place)
    if as_json:
        from underlay.report.explanation import cell_document

        print_document(
            "break",
            {
                "fault": broken.fault,
                "where": broken.where,
                "cells": [cell_document(cell) for cell in sorted(effect.certain)],
                "possible": [cell_document(cell) for cell in sorted(effect.every)],
            },
        )
        return
    count = len(effect.certain) or len(effect.every)
    several = "should" if effect.certain else "may"
    out.print(f"{wanted.title}: {broken.where}; {count} cells {several} differ now")
    out.print("next: underlay check · underlay explain · underlay mend")


def _list(scene: Scene, as_json: bool) -> None:
    from underlay.faults.fitting import fitting

    rows = [
        (one.fault.id, str(one.places[0]), one.cells, len(one.places), one.fault.title)
        for one in fitting(scene)
    ]
    if as_json:
        keys = ("id", "where", "cells", "places", "title")
        print_document("break", {"faults": [dict(zip(keys, row, strict=True)) for row in rows]})
        return
    shown = table("fault", "first place", "cells", "places", "what")
    for name, where, cells, count, title in rows:
        shown.add_row(name, where, str(cells), str(count), title)
    out.print(shown)
