"""The lab's own filters have gone, in whole or in part: cells fare as if they weren't there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from underlay.expect import Prediction
from underlay.faults.evidence.own_filters import changed
from underlay.faults.fault import LIKELY, PROVEN, Effect, Fault, Finding, Place
from underlay.faults.other_plan import otherwise
from underlay.faults.step import Proof, Step
from underlay.plan.filter_rules import BUILT_IN, CHAINS, chains_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from underlay.faults.evidence.own_filters import Chain
    from underlay.faults.scene import Cell, Scene
    from underlay.observe.evidence import Evidence, Space
    from underlay.plan import PlannedFilter

SUBJECT = "filters"

PROGRAMS = {4: "iptables", 6: "ip6tables"}
# Where a node has the text of each of its filters (cluster/node_files.py), for itself and for
# containers.
FOLDER = "/etc/underlay/filters"


class FilterGone(Fault):
    """A filter of the lab file isn't in force where it should be."""

    id = "filter-gone"
    layer = "filters"
    title = "a filter of the lab isn't in force"
    symptom = (
        "cells that a filter of the lab should stop are reachable, or refused where nobody listens"
    )
    evidence = (
        "`iptables-save -c`: a built-in chain doesn't jump to the lab's own (UNDERLAY-IN and the"
        " like), or that one is empty, lacks rules, or has others than the lab's"
    )
    cause = "Somebody has removed or changed a rule that the lab file asks for, or flushed a chain."
    cure = (
        f"run iptables-restore --wait --noflush {FOLDER}/NAME.v4 in NAME, which fills its chains"
        " anew, and iptables -I INPUT -j UNDERLAY-IN where that jump is missing; ip6tables and"
        " NAME.v6 for IPv6"
    )
    reference = "iptables(8), iptables-restore(8); docs/concepts/filters.md"
    no_place = "this lab has no filters on nodes or containers"
    break_script = """
for pair in "$@"; do for program in iptables ip6tables; do
    $program -w 5 -D "${pair% *}" -j "${pair#* }" 2>/dev/null || :
done; done
"""
    mend_script = """
for pair in "$@"; do for program in iptables ip6tables; do
    $program -w 5 -n -L "${pair#* }" >/dev/null 2>&1 || continue
    $program -w 5 -C "${pair% *}" -j "${pair#* }" 2>/dev/null && continue
    $program -w 5 -I "${pair% *}" -j "${pair#* }"
done; done
"""

    def places(self, scene: Scene) -> Iterator[Place]:
        nodes = {node.name: node.name for node in scene.plan.nodes}
        nodes |= {container.name: container.node for container in scene.plan.containers}
        for name in scene.plan.rules:
            if name in nodes:
                yield Place(name, "", nodes[name])

    def arguments(self, scene: Scene, place: Place) -> tuple[str, ...]:
        chains = chains_of(scene.plan.rules[place.target]["v4"])
        return tuple(f"{BUILT_IN[chain]} {chain}" for chain in chains)

    def effect(self, scene: Scene, place: Place) -> Effect:
        """Return the cells that fare otherwise where nothing is filtered at the place."""
        return Effect(_otherwise(scene, place, (), (4, 6)))

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find chains that nothing jumps to, and those whose rules aren't the lab's.

        A place has one finding, whichever of its chains it is, over both families.
        """
        for place in self.places(scene):
            space = evidence.space(place.target)
            found = dict(_found(scene, space)) if space else {}
            if not found:
                continue
            effects = [_effect(scene, place, family, chains) for family, chains in found.items()]
            effect = Effect(
                frozenset().union(*(one.certain for one in effects)),
                frozenset().union(*(one.possible for one in effects)),
            )
            yield self.found(
                scene,
                place,
                *(_proof(place, family, chains) for family, chains in found.items()),
                sureness=PROVEN if effect.certain else LIKELY,
                effect=effect,
                steps=[step for entry in found.items() for step in _cured(place, *entry)],
            )


def _found(scene: Scene, space: Space) -> Iterator[tuple[int, list[Chain]]]:
    for family, program in PROGRAMS.items():
        text = scene.plan.rules[space.name].get(f"v{family}", "")
        if chains := list(changed(text, space.lines(program))):
            yield family, chains


def _proof(place: Place, family: int, chains: Iterable[Chain]) -> Proof:
    lines = tuple(dict.fromkeys(line for chain in chains for line in chain.said))
    return Proof(place.target, f"{PROGRAMS[family]}-save -c", lines)


def _cured(place: Place, family: int, chains: Iterable[Chain]) -> Iterator[Step]:
    """Yield what fills the chains anew, and leads to them again, where it is needed.

    iptables-restore flushes those chains alone that its file makes.
    """
    program = PROGRAMS[family]
    if not all(chain.filled for chain in chains):
        file = f"{FOLDER}/{place.target}.v{family}"
        yield Step(place.target, f"{program}-restore --wait --noflush {file}")
    for chain in chains:
        if not chain.jumped:
            hook = BUILT_IN[chain.name]
            yield Step(place.target, f"{program} -w 5 -I {hook} -j {chain.name}")


def _effect(scene: Scene, place: Place, family: int, chains: list[Chain]) -> Effect:
    """Return the cells that are certain to fare otherwise, and those that may.

    What a rule in other words takes isn't known, nor what a rule of somebody else's lets pass.
    """
    by_name = {chain.name: chain for chain in chains}
    kept: list[PlannedFilter] = []
    sure: list[PlannedFilter] = []
    for way, name in CHAINS.items():
        listed = [
            one for one in scene.plan.filters if one.direction == way and place.target in one.spaces
        ]
        chain = by_name.get(name)
        if chain is None:
            kept, sure = [*kept, *listed], [*sure, *listed]
        elif chain.jumped:
            numbers = {number: position for position, number in enumerate(chain.kept)}
            there = sorted(
                (one for one in listed if one.number in numbers),
                key=lambda one, order=numbers: order[one.number],  # type: ignore[misc]
            )
            sure += listed if chain.foreign or chain.altered else there
            kept += [] if chain.foreign else [x for x in there if x.number not in chain.altered]
    certain = _otherwise(scene, place, sure, (family,))
    return Effect(certain, _otherwise(scene, place, kept, (family,)) - certain)


def _otherwise(
    scene: Scene, place: Place, left: Iterable[PlannedFilter], families: tuple[int, ...]
) -> frozenset[Cell]:
    """Return the cells that fare otherwise where a place has the filters ``left`` alone."""
    elsewhere = [
        replace(one, spaces=tuple(name for name in one.spaces if name != place.target))
        for one in scene.plan.filters
    ]
    here = [replace(one, spaces=(place.target,)) for one in left]
    other = Prediction(replace(scene.plan, filters=(*elsewhere, *here)))
    found = otherwise(scene.prediction, other).items()
    return frozenset(cell for cell, one in found if one.kind == "reach" and one.family in families)
