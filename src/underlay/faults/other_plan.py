"""Which cells fare otherwise where a fault has made of the lab what another plan says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.faults.scene import cell_of

if TYPE_CHECKING:
    from underlay.expect import Expectation, Prediction
    from underlay.faults.scene import Cell


def otherwise(prediction: Prediction, other: Prediction) -> dict[Cell, Expectation]:
    """Return the cells of a lab that ``other`` predicts otherwise, each as the lab has it.

    Cells of reachability and values are among them. What has no cell by ``other``, as who finds
    whom where no packet can go, isn't known and left out.
    """
    instead = {cell_of(one): one for one in (*other.reach, *other.values)}
    found = {cell_of(one): one for one in (*prediction.reach, *prediction.values)}
    return {
        cell: one for cell, one in found.items() if cell in instead and _differ(one, instead[cell])
    }


def _differ(one: Expectation, instead: Expectation) -> bool:
    """Whether a cell that is as ``instead`` says isn't as ``one`` says, as verdict.py judges."""
    if one.kind == "value":
        return one.value != instead.value
    if one.reachable or instead.reachable:
        return one.reachable != instead.reachable
    allowed = {one.stop, *one.also}
    return instead.arrives > one.arrives or allowed.isdisjoint((instead.stop, *instead.also))
