"""Records what real nodes show under each fault, for tests/unit/test_explain.py.

With the default lab up and green: ``.venv/bin/python tests/record_evidence.py``. Each fault
is broken, measured, looked at and mended; only what differs from the green lab is kept.
"""

from __future__ import annotations

import json
import lzma
import subprocess
import sys
from pathlib import Path
from typing import Any

from underlay.cli.check import measured
from underlay.cluster.access import spawn_as_root, start_at_switch
from underlay.cluster.lab_state import LabState, read_state
from underlay.faults import RUNNING, Scene
from underlay.faults.record import inject, mend
from underlay.observe.evidence import SWITCH, Evidence, gather
from underlay.observe.start import gather_command

FILE = Path(__file__).parent / "unit" / "evidence" / "coreos.json.xz"
LAB = "coreos"
# A hung node costs minutes, and shows nothing to record.
LEFT_OUT = ("node-hung",)


def look(state: LabState) -> Evidence:
    """Return what every node and the switch show now."""
    plan, spawn = state.plan(), spawn_as_root(state)

    def start(name: str) -> subprocess.Popen[bytes]:
        command = gather_command(plan, name)
        return start_at_switch(state, command) if name == SWITCH else spawn(name, command)

    return gather(plan, start)


def record(state: LabState, scene: Scene) -> dict[str, Any]:
    """Return the recordings by fault, and that of the green lab."""
    green = look(state)
    found: dict[str, Any] = {"green": {"documents": green.documents, "failed": {}}}
    for fault in RUNNING:
        place = next((p for p in fault.places(scene) if fault.effect(scene, p).every), None)
        if place is None or fault.id in LEFT_OUT:
            continue
        inject(state, scene, fault, place)
        try:
            verdict = measured(state)
            seen = look(state)
        finally:
            mend(state)
        wrong = [c for c in verdict.cells if c.differs or not c.measured]
        changed = {
            n: d
            for n, d in seen.documents.items()
            if d["spaces"] != green.documents.get(n, {}).get("spaces")
        }
        found[fault.id] = {
            "place": str(place),
            "cells": sorted((c.source, c.destination, c.protocol, c.family) for c in wrong),
            "documents": changed,
            "failed": seen.failed,
        }
        print(f"{fault.id}: {len(wrong)} cells, {len(changed)} documents")
    return found


def main() -> int:
    """Write the recordings beside the tests that read them."""
    state = read_state(LAB)
    if state is None or measured(state).exit_code:
        print("the default lab must be up and green", file=sys.stderr)
        return 3
    found = record(state, Scene(state.plan()))
    plan = json.loads(state.plan().to_json())
    FILE.parent.mkdir(exist_ok=True)
    with lzma.open(FILE, "wt") as file:
        json.dump({"plan": plan, "faults": found}, file, separators=(",", ":"), sort_keys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
