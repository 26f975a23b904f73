"""Commands ended at random moments, for real; `underlay soak` is the long way to do it.

What came of it is kept in docs/proof/soak.json.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import Checkout
from underlay.proof.records.keeping import keep

TRIALS = 30
CYCLES = 10
CHECKS = 20
DEADLINE = 3600.0


@pytest.mark.all
@pytest.mark.parametrize(
    ("kind", "count"), [("trials", TRIALS), ("cycles", CYCLES), ("checks", CHECKS)]
)
def test_no_rule_is_broken(copy: Checkout, kind: str, count: int) -> None:
    before = interfaces()
    words = ["--trials", "0", f"--{kind}", str(count)]
    began = time.monotonic()
    done = copy.underlay("soak", "--json", *words, deadline=DEADLINE)
    document = done.document()
    seconds = round(time.monotonic() - began, 1)
    keep("soak", {kind: {"count": count, "seconds": seconds, **ROWS[kind](document)}})
    assert done.code == 0, str(done)
    assert document["ok"], str(done)
    prove_nothing_is_left(copy, before)


def row_of_trials(document: dict[str, Any]) -> dict[str, Any]:
    kept = {key: document[key] for key in ("seed", "by_verb", "longest_gone_s")}
    left = len(document["state_left"]) + len(document["temporary_left"])
    return {"broken": len(document["broken"]) + left, **kept}


def row_of_cycles(document: dict[str, Any]) -> dict[str, Any]:
    growth = document["growth"]
    kept = {key: growth[key] for key in ("memory_mib_per_cycle", "disk_mib")}
    return {"broken": len(growth["failed"]) + len(growth["files"]), **kept}


def row_of_checks(document: dict[str, Any]) -> dict[str, Any]:
    load = document["load"]
    return {"broken": len(load["false_verdicts"]) + len(load["failed"])}


ROWS = {"trials": row_of_trials, "cycles": row_of_cycles, "checks": row_of_checks}
