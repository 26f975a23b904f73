"""Which parts of a lab's picture the packets of each pair pass, there and back.

What is alike for pairs of ends of the same kinds is followed once, as the prediction does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from underlay.expect import FAMILIES, Prediction, ends, pairs

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from underlay.expect import End, Pair
    from underlay.expect.passages import Passage
    from underlay.plan import Plan
    from underlay.report.topology.picture import Picture

# More pairs of kinds than this are not followed: the page would wait for them.
MOST = 20_000


def ways_document(plan: Plan, picture: Picture) -> dict[str, Any]:
    """Return the ways as JSON values.

    ``kinds`` has the kind of each end, in the matrix's order, ``rows`` the part of the picture
    that shows it, and ``ways`` for two kinds and a family the parts that lie between both ends:
    those of the request and those of the answer.
    """
    every = ends(plan)
    prediction = Prediction(plan)
    numbers: dict[Hashable, int] = {}
    kinds = [numbers.setdefault(_kind(prediction, end), len(numbers)) for end in every]
    by_name = {end.name: kind for end, kind in zip(every, kinds, strict=True)}
    found: dict[str, tuple[list[str], list[str]]] = {}
    if len(numbers) ** 2 * len(FAMILIES) <= MOST:
        passages = prediction.passages
        for pair in pairs(plan):
            source, destination = by_name[pair.source.name], by_name[pair.destination.name]
            key = f"{source} {destination} {pair.family}"
            if key not in found:
                cell = pair.source.name, pair.destination.name, "icmp", int(pair.family)
                found[key] = parts_of(picture, pair, passages.of(cell, pair))
    return {
        "kinds": kinds,
        "rows": [_place(picture, end) for end in every],
        "ways": found,
    }


def _kind(prediction: Prediction, end: End) -> Hashable:
    """Return what an end has in common with those whose packets pass the same parts."""
    return end.node, *(prediction.paths[family].kinds.of(end) for family in FAMILIES)


def _place(picture: Picture, end: End) -> str:
    """Return the part that shows an end: its row, or for a machine its box."""
    if end.kind == "container":
        return picture.places[end.space, end.interface]
    return next(group.id for group in picture.groups if end.name in group.names)


def parts_of(
    picture: Picture, pair: Pair, passages: Iterable[Passage]
) -> tuple[list[str], list[str]]:
    """Return what request and answer pass, without the two ends themselves."""
    own = {
        (end.space, end.interface)
        for end in (pair.source, pair.destination)
        if end.kind == "container"
    }
    there: dict[str, None] = {}
    back: dict[str, None] = {}
    for one in passages:
        parts = there if one.packet.request else back
        if (one.where, one.interface) in own:
            continue
        if one.kind == "port":
            cable = picture.ports.get((one.where, one.interface), "")
            parts |= {part: None for part in (cable, f"segment {one.where}") if part}
        elif (one.where, one.interface) in picture.places:
            parts[picture.places[one.where, one.interface]] = None
    return list(there), list(back)
