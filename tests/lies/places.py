"""Where the benchmark brings each fault about, and which of the catalogue have no place there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from cluster.running import LABS
from underlay.expect import Prediction
from underlay.faults import RUNNING, Fault, Place, Scene, running_fault
from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.storage.paths import root

_NONE_LOOKS = (
    "no network of these labs has IPv6 whose containers look for neighbours themselves: in l3 and"
    " l3s their nodes do"
)
# The catalogue's own word is about labs without IPv6 or VLANs, and one of these has them.
NARROWER = {
    "dad-failed": _NONE_LOOKS,
    "nd-dropped": _NONE_LOOKS,
    "vlan-id": "no node of these labs has a VLAN's interface itself: its container has it",
}


class Placeless(NamedTuple):
    """A fault that none of the labs has a place for, and why."""

    fault: str
    title: str
    why: str


@cache
def scene_of(lab: str) -> Scene:
    """Return the scene that faults of the lab called ``lab`` are looked for in."""
    return Scene(Prediction(make_plan(read_lab(root() / LABS[lab][0]))))


def place_of(scene: Scene, name: str) -> Place | None:
    """Return the place that `break` would choose for a fault; None where there is none."""
    fault = running_fault(name)
    return next((p for p in fault.places(scene) if fault.effect(scene, p).every), None)


def placed(lab: str) -> Iterator[str]:
    """Yield the faults that ``lab`` has a place for, in the catalogue's order."""
    scene = scene_of(lab)
    return (fault.id for fault in RUNNING if place_of(scene, fault.id))


def placeless(labs: Sequence[str]) -> Iterator[Placeless]:
    """Yield the faults that no lab of ``labs`` has a place for, in the catalogue's order."""
    anywhere = {name for lab in labs for name in placed(lab)}
    for fault in RUNNING:
        if fault.id not in anywhere:
            yield Placeless(fault.id, fault.title, _why(fault, labs))


def _why(fault: Fault, labs: Sequence[str]) -> str:
    """Return why ``fault`` has no place in any of ``labs``, or what it is that has none."""
    idle = [lab for lab in labs if any(fault.places(scene_of(lab)))]
    if idle:
        where = ", ".join(f"`{lab}`" for lab in idle)
        return f"it can be put into {where}, but changes no cell there"
    if not any(any(fault.places(scene_of(lab))) for lab in LABS):
        return "`break` has a place for it in no shipped lab: it is only found where it came about"
    return NARROWER.get(fault.id, fault.no_place)
