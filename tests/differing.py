"""Which few of many labs differ most from each other: for proofs that are too slow for all."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Set
from typing import TYPE_CHECKING

from underlay.expect import predict

if TYPE_CHECKING:
    from underlay.plan import Plan


def differing(labs: Mapping[str, Set[Hashable]], count: int) -> list[str]:
    """Return ``count`` names of ``labs``, each the one that adds most to those before it.

    What a lab adds are the features that none before it has; of labs that add as much, the one
    with fewer features is taken, as it says the same in less, then the first by name.
    """
    chosen: list[str] = []
    had: set[Hashable] = set()
    left = dict(labs)
    while left and len(chosen) < count:
        name = min(left, key=lambda one: (-len(left[one] - had), len(left[one]), one))
        had |= left.pop(name)
        chosen.append(name)
    return chosen


def features(plan: Plan) -> frozenset[Hashable]:
    """Return what a lab shows: rules, drivers in their modes by each runtime, and the switch's."""
    return frozenset(
        (
            *(cell.rule for cell in predict(plan)),
            *((n.driver, n.mode, n.flag, n.runtime) for n in plan.networks),
            *((s.hairpin, s.isolated, s.locked) for s in plan.segments),
        )
    )
