"""Faults of filters and queues of tc at a node's parents, which its children's frames pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from underlay.faults.catalogue.filters import effect_of, proof_of, strength_of
from underlay.faults.evidence.drops import Drop
from underlay.faults.evidence.drops_tc import of_filters, of_qdiscs
from underlay.faults.fault import Effect, Fault, Finding, Place
from underlay.faults.places import parents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.faults.scene import Cell, Passage, Scene
    from underlay.observe.evidence import Evidence

SUBJECT = "filters"

CLSACT = """
tc qdisc add dev "$1" clsact 2>/dev/null || :
tc filter add dev "$1" "$2" protocol all pref 7007 matchall action drop
"""
NO_CLSACT = 'tc filter delete dev "$1" "$2" pref 7007 2>/dev/null || :'


class ParentDrops(Fault):
    """Something at a node's parent discards frames."""

    layer = "filters"
    direction: ClassVar[str]
    side: ClassVar[str]
    cure = "tc filter delete dev DEVICE SIDE on the node, or replace the queue"
    reference = (
        "tc(8), clsact; measured: a drop at the parent's ingress bites macvlan siblings too, at"
        " its egress it doesn't, and ipvlan siblings never meet either"
    )
    break_script = CLSACT
    mend_script = NO_CLSACT

    def places(self, scene: Scene) -> Iterator[Place]:
        return parents(scene, scene.plan.nodes)

    def effect(self, scene: Scene, place: Place) -> Effect:
        found = Drop("", (), self.direction, place.device)
        return Effect(self._cells(scene, place.node, found))

    def arguments(self, scene: Scene, place: Place) -> tuple[str, ...]:
        return (place.device, self.side)

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        for node in scene.plan.nodes:
            space = evidence.space(node.name)
            if space is None:
                continue
            for found in (*of_filters(space.filters), *of_qdiscs(space.lines("qdiscs"))):
                if found.hits == 0 or found.direction != self.direction:
                    continue
                cells = self._cells(scene, node.name, found)
                if cells:
                    yield self.found(
                        scene,
                        Place(node.name, found.device, node.name),
                        proof_of(space, found),
                        strength=strength_of(found),
                        effect=effect_of(found, cells),
                    )

    def _cells(self, scene: Scene, node: str, found: Drop) -> frozenset[Cell]:
        def met(passage: Passage) -> bool:
            return passage.direction == found.direction and found.takes(passage.packet)

        return scene.cells("parent", node, found.device, met) | scene.cells(
            "space", node, found.device, met
        )


class ParentDropsIncoming(ParentDrops):
    """A node's parent discards what comes in."""

    id = "parent-drops-incoming"
    direction = "in"
    side = "ingress"
    title = "a parent discards what comes in"
    symptom = "the node and its containers lose all others; macvlan siblings lose each other too"
    evidence = "`tc -s filter show dev PARENT ingress`: a dropping filter that counts"
    cause = "A filter at the parent's ingress discards frames before the children get them."


class ParentDropsOutgoing(ParentDrops):
    """A node's parent discards what goes out."""

    id = "parent-drops-outgoing"
    direction = "out"
    side = "egress"
    title = "a parent discards what goes out"
    symptom = "the node and its containers lose all others; siblings go on"
    evidence = "`tc -s filter show dev PARENT egress` or `tc -s qdisc show`: frames are dropped"
    cause = "A filter or queue at the parent discards the frames that children send."
