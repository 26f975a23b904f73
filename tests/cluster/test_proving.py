"""A change held against packets: both labs on one boot, and on two where their nodes differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cluster.commands import Done
from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import Checkout
from cluster.small_lab import small_lab

OLD = small_lab("change", 1, count=2, runtime="iproute2")
# Siblings don't reach each other any more, and one more container comes.
NEW = OLD.replace("driver: macvlan,", "driver: macvlan, mode: private,").replace(
    "count: 2,", "count: 3,"
)
LARGER = OLD.replace("count: 1,", "count: 1, memory: 600,")


def proven(copy: Checkout, folder: Path, old: str, new: str) -> tuple[Done, dict[str, Any]]:
    """Return what ``diff --prove`` says of two labs of one name, and the part about packets."""
    before = interfaces()
    for name, text in (("old", old), ("new", new)):
        (folder / f"{name}.yml").write_text(text)
    files = [str(folder / f"{name}.yml") for name in ("old", "new")]
    done = copy.underlay("diff", *files, "--prove", "--json", deadline=400)
    prove_nothing_is_left(copy, before)
    (lab,) = done.document()["labs"]
    measured: dict[str, Any] = lab["measured"]
    return done, measured


def test_a_change_is_as_predicted_on_one_boot(copy: Checkout, tmp_path: Path) -> None:
    done, measured = proven(copy, tmp_path, OLD, NEW)
    # Cells are lost, as predicted: that is what the exit code says.
    assert done.code == 1, str(done)
    assert measured["boots"] == 1
    assert "switch" in measured["new"]["timings"]
    changes, others = measured["changes"], measured["others"]
    assert changes["as_predicted"] == changes["cells"] > 0
    assert others["as_predicted"] == others["cells"] > 0
    assert measured["cells"] == []


# It boots twice; that labs are measured on one boot is shown daily.
@pytest.mark.all
def test_other_nodes_are_booted_by_themselves(copy: Checkout, tmp_path: Path) -> None:
    done, measured = proven(copy, tmp_path, OLD, LARGER)
    assert done.code == 0, str(done)
    assert measured["boots"] == 2
    (why,) = measured["why_two_boots"]
    assert why.startswith("core-01: MiB of memory: it has 512, NEW needs 600")
    assert measured["others"]["as_predicted"] == measured["others"]["cells"] > 0
