"""Where in a lab faults usually are, in the order in which they are proposed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.faults.fault import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from underlay.faults.scene import Child, Scene
    from underlay.plan import PlannedNode, PlannedSegment


def second_first(scene: Scene) -> list[PlannedNode]:
    """Return a lab's nodes, the second one first: it has neighbours before and after it."""
    return sorted(scene.plan.nodes, key=lambda node: node.index != 2)


def parents(scene: Scene, nodes: Iterable[PlannedNode]) -> Iterator[Place]:
    """Yield every parent of each of these nodes."""
    for node in nodes:
        for parent in scene.parents(node.name):
            yield Place(node.name, parent, node.name)


def ports(scene: Scene) -> Iterator[tuple[PlannedNode, PlannedSegment, str]]:
    """Yield every node's port in every segment, the second node's first."""
    for node in second_first(scene):
        for segment in scene.plan.segments:
            yield node, segment, segment.ports[node.name]


def neighbour(scene: Scene, child: Child) -> Child | None:
    """Return the first child of the same network on another node, both with IPv4 addresses."""
    near = (c for c in scene.children if c.network == child.network and c.node != child.node)
    return next((c for c in near if c.address and child.address), None)
