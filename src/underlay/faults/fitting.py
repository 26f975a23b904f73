"""Which faults make sense in a lab, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from underlay.faults.catalogue import RUNNING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.faults.fault import Fault, Place
    from underlay.faults.scene import Scene


@dataclass(frozen=True)
class Fitting:
    """A fault with the places at which it changes a cell, and how many it may at the first."""

    fault: Fault
    places: tuple[Place, ...]
    cells: int


def fitting(scene: Scene) -> Iterator[Fitting]:
    """Yield the faults that can be brought about in the running lab of ``scene``."""
    for fault in RUNNING:
        places = tuple(p for p in fault.places(scene) if fault.effect(scene, p).every)
        if places:
            yield Fitting(fault, places, len(fault.effect(scene, places[0]).every))
