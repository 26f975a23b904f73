"""Where a fault is brought about: the first place that fits what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.errors import BadInput, did_you_mean, listed, nearest

if TYPE_CHECKING:
    from underlay.faults.fault import Fault, Place
    from underlay.faults.scene import Scene


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
