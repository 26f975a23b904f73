"""Random labs on real nodes: no difference between prediction and packets is left unexplained.

The full proof goes through ``SEEDS``, some labs each, and keeps what each came to in
docs/proof/random-labs.json, so that one can be run again by itself:
``RANDOM_LABS_SEED=7 ./underlay test --layer cluster -- --all -k "random_labs and full"``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from cluster.running import Checkout
from proof import file, record
from random_labs import labs, planned, text
from underlay.expect import predict
from underlay.plan import Plan

NAME = "random-labs"
DEADLINE = 3600.0
# A few every day, each day's the same; the full proof looks further.
DAILY, FULL = 3, 20
SEED = int(os.environ.get("RANDOM_LABS_SEED", "1"))
SEEDS = range(SEED, SEED + (1 if "RANDOM_LABS_SEED" in os.environ else 5))


def write(folder: Path, number: int, count: int) -> dict[str, Path]:
    """Write ``count`` random labs of the seed ``number`` and return their files by name."""
    files: dict[str, Path] = {}
    seen: set[Hashable] = set()

    @seed(number)
    @settings(
        max_examples=60 * count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(labs())
    def collect(lab: dict[str, Any]) -> None:
        name = f"random-{number}-{len(files) + 1:03}"
        # Hypothesis begins with the smallest, which says least.
        plan = planned(lab, name) if len(files) < count and len(lab["networks"]) > 1 else None
        # What it draws next is often much the same.
        if plan is None or kind(plan) in seen:
            return
        seen.add(kind(plan))
        files[name] = folder / f"{name}.yml"
        files[name].write_text(text(lab, name), encoding="utf-8")

    collect()
    assert len(files) == count
    return files


def kind(plan: Plan) -> Hashable:
    """Return what makes a lab another one than before: drivers, modes, runtimes and rules."""
    return (
        frozenset((n.driver, n.mode, n.flag, n.runtime) for n in plan.networks),
        frozenset(cell.rule for cell in predict(plan)),
    )


def measured(here: Checkout, folder: Path) -> dict[str, Any]:
    """Measure the labs in ``folder`` and return the document; fail where any cell differs."""
    done = here.underlay("check", str(folder), "--json", deadline=DEADLINE)
    document: dict[str, Any] = done.document()
    wrong = [
        f"{cell['source']} -> {cell['destination']} {cell['protocol']}: expected"
        f" {cell['expected']} ({cell['rule']}), observed {cell['observed']}\n"
        + (folder / f"{entry['lab']}.yml").read_text()
        for entry in document["labs"]
        for cell in entry["cells"]
        if cell["expected"] != cell["observed"]
    ]
    assert not wrong, "\n".join(wrong[:3])
    assert done.code == 0, str(done)
    return document


def keep(number: int, document: dict[str, Any]) -> None:
    """Write what the labs of the seed ``number`` came to, beside the other seeds' results."""
    before = json.loads(file(NAME).read_text()) if file(NAME).is_file() else {"seeds": {}}
    labs = {entry["lab"]: entry["summary"] for entry in document["labs"]}
    figures = {"boots": document["boots"], "seconds": document["timings"]["total"], "labs": labs}
    seeds = before["seeds"] | {str(number): figures}
    entries = [summary for each in seeds.values() for summary in each["labs"].values()]
    total = {key: sum(entry[key] for entry in entries) for key in entries[0]}
    record(NAME, {"labs": len(entries), "total": total, "seeds": seeds})


def test_random_labs_are_as_predicted(here: Checkout, tmp_path: Path) -> None:
    files = write(tmp_path, SEED, DAILY)
    document = measured(here, tmp_path)
    assert {entry["lab"] for entry in document["labs"]} == set(files)


@pytest.mark.all
@pytest.mark.parametrize("number", SEEDS)
def test_the_full_proof_of_random_labs(here: Checkout, tmp_path: Path, number: int) -> None:
    files = write(tmp_path, number, FULL)
    document = measured(here, tmp_path)
    assert {entry["lab"] for entry in document["labs"]} == set(files)
    keep(number, document)
