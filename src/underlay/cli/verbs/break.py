"""The verb ``break``: brings one fault about in a running lab."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from underlay.cli.console import out, print_json, progress
from underlay.cli.options import AsJson, LabOption
from underlay.cli.which_lab import running_state
from underlay.errors import BadInput, did_you_mean, listed, nearest

if TYPE_CHECKING:
    from underlay.faults import Fault, Place, Scene

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

        print_json(
            {
                "fault": broken.fault,
                "where": broken.where,
                "cells": [cell_document(cell) for cell in sorted(effect.certain)],
                "possible": [cell_document(cell) for cell in sorted(effect.every)],
            }
        )
        return
    count = len(effect.certain) or len(effect.every)
    several = "should" if effect.certain else "may"
    out.print(f"{wanted.title}: {broken.where}; {count} cells {several} differ now")
    out.print("next: underlay check · underlay explain · underlay mend")


def choose_place(scene: Scene, fault: Fault, node: str | None, container: str | None) -> Place:
    """Return the first place for ``fault`` that fits and changes a cell; raise BadInput."""
    _refuse_unknown(scene, node, container)
    places = list(fault.places(scene))
    if not places:
        raise BadInput(f"{fault.id} makes no sense here: {fault.no_place}", hint=_HINT)
    fitting = [
        place
        for place in places
        if (node is None or place.node == node)
        and (container is None or container in (place.target, *place.detail))
    ]
    if not fitting:
        where = container or node
        there = ", ".join(dict.fromkeys(str(place) for place in places[:6]))
        raise BadInput(f"{fault.id} makes no sense at {where}", hint=f"it fits: {there}")
    for place in fitting:
        if fault.effect(scene, place).every:
            return place
    raise BadInput(f"{fault.id} would change no cell at {fitting[0]}: {fault.symptom}", hint=_HINT)


_HINT = "`underlay break --list` shows which faults fit this lab, and where"


def _refuse_unknown(scene: Scene, node: str | None, container: str | None) -> None:
    nodes = [planned.name for planned in scene.plan.nodes]
    if node is not None and node not in nodes:
        hint = did_you_mean(nearest(node, nodes)) or f"nodes: {listed(nodes)}"
        raise BadInput(f"there is no node {node!r}", hint=hint)
    names = [planned.name for planned in scene.plan.containers]
    if container is not None and container not in names:
        more = f"they are {listed(names, more=f'underlay status --lab {scene.plan.lab}')}"
        hint = did_you_mean(nearest(container, names)) or more
        raise BadInput(f"there is no container {container!r}", hint=hint)


def _list(scene: Scene, as_json: bool) -> None:
    from underlay.faults import RUNNING

    rows = []
    for fault in RUNNING:
        places = [p for p in fault.places(scene) if fault.effect(scene, p).every]
        if places:
            first = places[0]
            count = len(fault.effect(scene, first).every)
            rows.append((fault.id, str(first), count, len(places), fault.title))
    if as_json:
        keys = ("id", "where", "cells", "places", "title")
        print_json({"faults": [dict(zip(keys, row, strict=True)) for row in rows]})
        return
    table = Table("fault", "first place", "cells", "places", "what", box=None, pad_edge=False)
    for name, where, cells, count, title in rows:
        table.add_row(name, where, str(cells), str(count), title)
    out.print(table)
