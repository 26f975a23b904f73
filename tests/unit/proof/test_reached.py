"""Cells that fare alike in two labs are compared at once: never otherwise than one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given

from random_labs import labs, planned, rounds
from underlay.expect import End
from underlay.expect.kinds import Kinds
from underlay.lint import load
from underlay.plan import Plan
from underlay.proof.bench.fleets import fleet
from underlay.proof.difference import Difference, compare, grouped
from unit.cells_made import cells_made

ROOT = Path(__file__).resolve().parents[3]
PAIRS = [("macvlan-isolated", "basics-macvlan"), ("docker-vlan", "podman-vlan")]
DAILY, ALL = 6, 300


def alone(_: Kinds, end: End) -> End:
    return end


def compares_cell_by_cell(old: Plan, new: Plan) -> Difference:
    """Return the difference of two plans; fail where it isn't that of each cell by itself."""
    found = compare(old, new)
    groups = grouped(found)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kinds, "of", alone)
        each = compare(old, new)
        assert each.changes == found.changes
        assert each.cells == found.cells == cells_of(each)
        assert grouped(each) == groups
    return found


def cells_of(difference: Difference) -> int:
    """Return how many cells are in either lab: those of the new, and those that only the old has.

    Those are changes without a new cell.
    """
    only = sum(change.new is None for change in difference.changes)
    return len(difference.new.prediction.cells) + only


@pytest.mark.parametrize("names", PAIRS, ids=lambda names: names[0])
def test_shipped_labs_compare_as_cell_by_cell(names: tuple[str, str]) -> None:
    old, new = (load(ROOT / "labs" / f"{name}.yml").plan for name in names)
    assert compares_cell_by_cell(old, new).changes


@pytest.mark.parametrize("now", [{"routed": False}, {"mode": "private"}, {"hosts": 4}, {}])
def test_a_fleet_compares_as_cell_by_cell(now: dict[str, Any], tmp_path: Path) -> None:
    old = load(fleet(tmp_path / "old", 3)).plan
    new = load(fleet(tmp_path / "new", **{"hosts": 3, **now})).plan
    assert bool(compares_cell_by_cell(old, new).changes) is bool(now)


@rounds(DAILY)
@given(labs(nodes=3), labs(nodes=3))
def test_two_random_labs_compare_as_cell_by_cell(old: dict[str, Any], new: dict[str, Any]) -> None:
    compares_at_random(old, new)


@pytest.mark.all
@rounds(ALL)
@given(labs(nodes=3), labs(nodes=4))
def test_hundreds_of_random_labs_compare_as_cell_by_cell(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    compares_at_random(old, new)


def compares_at_random(old: dict[str, Any], new: dict[str, Any]) -> None:
    before, now = planned(old), planned(new)
    assume(before is not None and now is not None)
    assert before is not None
    assert now is not None
    compares_cell_by_cell(before, now)
    # A network that is another one, with containers that stay.
    networks = {**new["networks"], **old["networks"]}
    mixed = planned({**old, "networks": networks, "containers": new["containers"]})
    if mixed is not None:
        compares_cell_by_cell(before, mixed)


def made(hosts: int, folder: Path) -> int:
    """Return how many cells are made to tell what one host's route makes of a fleet."""
    old = load(fleet(folder / "old" / str(hosts), hosts, routed=False)).plan
    new = load(fleet(folder / "new" / str(hosts), hosts)).plan
    difference, asked = cells_made(lambda: compare(old, new))
    changes = difference.changes
    assert changes
    return asked - 2 * len(changes)


def test_cells_that_are_as_before_are_not_made(tmp_path: Path) -> None:
    assert made(4, tmp_path) == made(9, tmp_path)
