"""Why a statement is about no cell of its lab, and what to do about it."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from underlay.errors import listed
from underlay.expect.intent.keys import key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.expect import End, Prediction
    from underlay.plan import PlannedStatement

MACHINES = {"node": "nodes", "host": "external hosts"}
NETWORK_KEYS = {4: "subnet", 6: "subnet6"}


def why_no_cell(statement: PlannedStatement, prediction: Prediction) -> tuple[str, str]:
    """Return why no cell of the lab is about ``statement``, and the cure, both in words.

    Which pairs are measured stands in ``expect.ends``: those of different containers, and of a
    container with a machine, over each family of which both have an address.
    """
    pairs = list(_pairs(statement, prediction))
    apart = [(one, other) for one, other in pairs if one.space != other.space]
    if not apart:
        alone = listed(dict.fromkeys(one.space for one, _ in pairs))
        return (
            f"{alone} is all that is on either side, and nobody asks itself",
            "name somebody else on one of its sides",
        )
    able = [pair for pair in apart if "container" in (pair[0].kind, pair[1].kind)]
    if not able:
        kinds = dict.fromkeys(MACHINES[end.kind] for pair in apart for end in pair)
        return (
            f"there are only {' and '.join(kinds)} on both sides, which aren't asked by each other",
            "name a container on one of its sides",
        )
    return _unasked(statement, prediction, able)


def _pairs(statement: PlannedStatement, prediction: Prediction) -> Iterator[tuple[End, End]]:
    known = {key_of(end): end for end in prediction.ends}
    sources, destinations = (
        [known[key] for key in keys if key in known]
        for keys in (statement.sources, statement.destinations)
    )
    return product(sources, destinations)


def _unasked(
    statement: PlannedStatement, prediction: Prediction, able: list[tuple[End, End]]
) -> tuple[str, str]:
    """Return why ends that might ask each other don't: for an address, or as nothing gets there."""
    order = {end.name: place for place, end in enumerate(prediction.ends)}
    ends = sorted(able, key=lambda pair: (order[pair[0].name], order[pair[1].name]))
    cells = [
        prediction.cell(pair, protocol)
        for pairing in prediction.pairings.values()
        for one, other in ends
        if (pair := pairing.pair(one, other))
        for protocol in prediction.protocols
    ]
    family = statement.family
    asked = [cell for cell in cells if family in (0, cell.family)]
    if asked:
        # What is seen is asked of those alone whose packets get there.
        first = next((cell for cell in asked if not cell.arrives), asked[0])
        return (
            f"nothing of {first.source} gets to {first.destination}. {first.because}",
            "what is seen is asked of those alone whose packets get there: name some",
        )
    return _without_address(family, able, "leave the family out, or " if cells else "")


def _without_address(family: int, able: list[tuple[End, End]], otherwise: str) -> tuple[str, str]:
    """Return who has no address of ``family``, of either where that is 0, and the cure."""
    every = list(dict.fromkeys(end for pair in able for end in pair))
    own = [end for end in every if end.kind == "container"]
    if not family:
        none = [end for end in own if not (end.address or end.address6)] or own
        return f"{_have(none)} no address that the other side asks", "give their network a subnet"
    key = NETWORK_KEYS[family]
    lacking = [end for end in own if not (end.address if family == 4 else end.address6)]
    if not lacking:
        machines = [end for end in every if end.kind != "container"]
        cure = f"{otherwise}give their segments a {key}"
        return f"{_have(machines)} no IPv{family} address there", cure
    networks = listed(dict.fromkeys(end.network for end in lacking))
    return f"{_have(lacking)} no IPv{family} address", f"{otherwise}give {networks} a {key}"


def _have(ends_: list[End]) -> str:
    """Name ``ends_`` as those that have none of something."""
    return f"{listed(end.name for end in ends_)} {'has' if len(ends_) == 1 else 'have'}"
