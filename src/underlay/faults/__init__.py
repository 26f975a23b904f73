"""The catalogue of faults: what can be wrong, how it shows, and what puts it right."""

from __future__ import annotations

from underlay.errors import BadInput, did_you_mean, nearest
from underlay.faults.catalogue import BOOT, RUNNING
from underlay.faults.fault import Effect, Entry, Fault, Finding, Place, Sureness
from underlay.faults.scene import Cell, Scene
from underlay.faults.step import Proof, Step

__all__ = [
    "BOOT",
    "RUNNING",
    "Cell",
    "Effect",
    "Entry",
    "Fault",
    "Finding",
    "Place",
    "Proof",
    "Scene",
    "Step",
    "Sureness",
    "running_fault",
]


def running_fault(name: str) -> Fault:
    """Return the fault of a running lab called ``name``; raise BadInput with the nearest one."""
    for fault in RUNNING:
        if fault.id == name:
            return fault
    hint = did_you_mean(nearest(name, [fault.id for fault in RUNNING]))
    hint = hint or "`underlay faults` lists them"
    raise BadInput(f"there is no fault {name!r} of a running lab", hint=hint)
