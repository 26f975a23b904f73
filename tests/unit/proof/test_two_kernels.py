"""What two kernels showed of one lab is the same only where each request stopped at one place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proof import unpacked
from two_kernels import NAMED, disagreements, told
from underlay.expect import Expectation, Prediction
from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.proof.records.keeping import read
from underlay.storage.paths import root

REACHED = Expectation("one", "two", "icmp", True, "", "It does.", "nowhere")
UNFOUND = replace(REACHED, destination="three", reachable=False, stop="no_neighbour")
EITHER = replace(UNFOUND, destination="four", also=("no_answer",))
CELLS = (REACHED, UNFOUND, EITHER)
SEEN = ["reachable", "no_neighbour", "no_neighbour"]


def test_what_is_the_same_everywhere_is_the_same() -> None:
    assert disagreements(CELLS, SEEN, SEEN) == []


def test_a_difference_of_stops_only_is_one() -> None:
    """Both are unreachable, as predicted; but one of them was sent, and nobody answered it."""
    lines = disagreements(CELLS, SEEN, ["reachable", "no_answer", "no_neighbour"])
    assert lines == ["one to three by icmp4: no_neighbour, not no_answer"]


def test_a_stop_may_differ_where_the_cell_has_several_and_only_between_these() -> None:
    assert disagreements(CELLS, SEEN, [*SEEN[:2], "no_answer"]) == []
    for word in ("no_route", "refused", "unreachable", "reachable", "not_measured"):
        assert len(disagreements(CELLS, SEEN, [*SEEN[:2], word])) == 1, word


def test_an_end_that_is_reached_on_one_of_them_is_a_difference() -> None:
    assert len(disagreements(CELLS, SEEN, ["no_answer", *SEEN[1:]])) == 1
    assert len(disagreements(CELLS, SEEN, ["reachable", "reachable", "no_neighbour"])) == 1
    # Where it should be reached, no place to stop is as good as another.
    assert len(disagreements((replace(REACHED, also=("no_answer",)),), [""], ["no_answer"])) == 1


def test_cells_of_another_lab_are_not_compared() -> None:
    with pytest.raises(ValueError, match="shorter"):
        disagreements(CELLS, SEEN, SEEN[:2])


def test_only_the_first_are_named() -> None:
    text = told([f"cell {number}" for number in range(NAMED + 1)])
    assert text.startswith(f"{NAMED + 1} cells were seen otherwise\ncell 0\n")
    assert f"cell {NAMED}" not in text


def test_one_stop_turned_round_in_a_lab_that_both_kernels_have_shown_is_seen() -> None:
    """The records themselves agree; change where a single request stopped, and they don't."""
    labs, libvirt = read("labs").rows, read("libvirt").rows
    same = [name for name, row in libvirt.items() if row.prediction == labs[name].prediction]
    assert same
    for name in same:
        cells = Prediction(make_plan(read_lab(root() / "labs" / f"{name}.yml"))).reach
        seen = unpacked(libvirt[name].observed)
        assert disagreements(cells, seen, unpacked(labs[name].observed)) == [], name
        place = next(
            place
            for place, cell in enumerate(cells)
            if cell.stop == "no_neighbour" and not cell.also
        )
        seen[place] = "no_answer"
        assert len(disagreements(cells, seen, unpacked(labs[name].observed))) == 1, name
