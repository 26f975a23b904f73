"""A fleet that is misspelt is one mistake: what its files would have said isn't missing as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.lint.read import LabError, read_lab


def test_the_keys_that_a_fleet_says_are_not_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "lab.yml"
    file.write_text("name: shop\nflet: {core-01: hosts/core-01}\n")
    with pytest.raises(LabError) as raised:
        read_lab(file)
    (problem,) = raised.value.problems
    assert (problem.id, problem.hint) == ("unknown-key", "did you mean fleet?")


def test_another_unknown_key_leaves_them_missing(tmp_path: Path) -> None:
    file = tmp_path / "lab.yml"
    file.write_text("name: shop\ncolour: blue\n")
    with pytest.raises(LabError) as raised:
        read_lab(file)
    kinds = [problem.id for problem in raised.value.problems]
    assert sorted(kinds) == ["missing-key"] * 3 + ["unknown-key"]
