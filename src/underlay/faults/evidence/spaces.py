"""Which network namespaces could be looked into, and what is up in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from underlay.faults.fault import Place
    from underlay.faults.scene import Scene
    from underlay.observe.evidence import Evidence, Space


def spaces(scene: Scene, evidence: Evidence) -> Iterator[Space]:
    """Yield the namespace of each end of the lab, once, where there is evidence from it."""
    for name in dict.fromkeys(end.space for end in scene.ends.values()):
        space = evidence.space(name)
        if space is not None:
            yield space


def links(
    evidence: Evidence, places: Iterable[Place]
) -> Iterator[tuple[Place, Space, dict[str, Any]]]:
    """Yield the places whose interface is there, with its namespace and what ``ip`` says of it."""
    for place in places:
        space = evidence.space(place.target)
        if space is not None and place.device in space.links:
            yield place, space, space.links[place.device]


def with_link_up(evidence: Evidence, place: Place) -> Space | None:
    """Return a place's namespace where its interface is there and up.

    What such an interface lacks, such as an address, is a fault of its own.
    """
    space = evidence.space(place.target)
    link = space.links.get(place.device) if space else None
    return space if link is not None and "UP" in link["flags"] else None
