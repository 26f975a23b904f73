"""Random labs on real nodes: no difference between prediction and packets is left unexplained."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from cluster.running import Checkout
from proof import record
from random_labs import labs, planned, text

DEADLINE = 3600.0
# A few every day, each day's the same; the full proof looks further.
DAILY, FULL = 3, 100
SEED = int(os.environ.get("RANDOM_LABS_SEED", "1"))


def write(folder: Path, count: int) -> dict[str, Path]:
    """Write ``count`` random labs into ``folder`` and return their files by name."""
    files: dict[str, Path] = {}

    @seed(SEED)
    @settings(
        max_examples=4 * count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(labs())
    def collect(lab: dict[str, Any]) -> None:
        name = f"random-{len(files) + 1:03}"
        # Hypothesis begins with the smallest, which says least.
        if len(files) < count and len(lab["networks"]) > 1 and planned(lab, name):
            files[name] = folder / f"{name}.yml"
            files[name].write_text(text(lab, name), encoding="utf-8")

    collect()
    return files


@pytest.mark.parametrize("count", [DAILY, pytest.param(FULL, marks=pytest.mark.all)])
def test_random_labs_are_as_predicted(here: Checkout, tmp_path: Path, count: int) -> None:
    files = write(tmp_path, count)
    assert len(files) == count
    done = here.underlay("check", str(tmp_path), "--json", deadline=DEADLINE)
    document = done.document()
    if count == FULL:
        summaries = {entry["lab"]: entry["summary"] for entry in document["labs"]}
        record("random-labs", {"seed": SEED, "boots": document["boots"], "labs": summaries})
    wrong = [
        f"{cell['source']} -> {cell['destination']} {cell['protocol']}: expected"
        f" {cell['expected']} ({cell['rule']}), observed {cell['observed']}\n"
        + files[entry["lab"]].read_text()
        for entry in document["labs"]
        for cell in entry["cells"]
        if cell["expected"] != cell["observed"]
    ]
    assert not wrong, "\n".join(wrong[:3])
    assert done.code == 0, str(done)
    assert {entry["lab"] for entry in document["labs"]} == set(files)
