"""Explain finds nothing in a healthy lab, whichever it is; kept in docs/proof/green.json.

No cell is measured here: that all of them are green is the proof of test_all_labs.py.
"""

from __future__ import annotations

import pytest

from cluster.running import Checkout
from proof import of_lab
from underlay.cluster.providers import DEFAULT
from underlay.cluster.state.separate import separate_state
from underlay.cluster.suite import Brought, Suite
from underlay.faults import RUNNING, Scene
from underlay.lint import load
from underlay.proof.lab import RunningLab, gather_evidence
from underlay.proof.records.keeping import keep

pytestmark = pytest.mark.all


def test_nothing_is_found_in_any_shipped_lab(here: Checkout) -> None:
    labs = [load(file) for file in sorted((here.root / "labs").glob("*.yml"))]
    seen: dict[str, dict[str, object]] = {}

    def visit(brought: Brought) -> None:
        assert brought.state is not None, brought.error
        plan = brought.loaded.plan
        lab = RunningLab(brought.state)
        evidence = gather_evidence(lab)
        scene = Scene(lab.prediction)
        findings = [f for fault in RUNNING for f in fault.find(scene, evidence)]
        seen[plan.lab] = {
            **of_lab(brought.loaded.file),
            "faults": len(RUNNING),
            "spaces": sum(len(found["spaces"]) for found in evidence.documents.values()),
            "unseen": dict(evidence.failed),
            "found": [[f.fault.id, str(f.place)] for f in findings if f.effect.every],
        }

    with separate_state():
        suite = Suite(DEFAULT, visit, _silent)
        suite.render(labs)
        for group in suite.groups(labs):
            suite.prove(group)
    keep("green", seen, all_rows=True)
    assert set(seen) == {loaded.plan.lab for loaded in labs}
    assert not {lab: row for lab, row in seen.items() if row["found"] or row["unseen"]}


def _silent(_: str) -> None:
    """Say nothing."""
