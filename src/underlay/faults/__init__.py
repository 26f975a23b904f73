"""The catalogue of faults: what can be wrong, how it shows, and what puts it right."""

from __future__ import annotations

import difflib

from underlay.errors import BadInput
from underlay.faults.catalogue import BOOT, RUNNING
from underlay.faults.fault import Effect, Entry, Fault, Finding, Place, Proof, Step
from underlay.faults.scene import Cell, Scene

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
    "running_fault",
]


def running_fault(name: str) -> Fault:
    """Return the fault of a running lab called ``name``; raise BadInput with the nearest one."""
    for fault in RUNNING:
        if fault.id == name:
            return fault
    near = difflib.get_close_matches(name, [fault.id for fault in RUNNING], n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "`underlay faults` lists them"
    raise BadInput(f"there is no fault {name!r} of a running lab", hint=hint)
