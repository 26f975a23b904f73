"""The pictures of how cost grows are drawn from the record as it is now."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

import doc_pages
from underlay.proof.records.keeping import read

ROWS = read("growth").rows
# The colour of what was measured.
MEASURED = "#1b7fbd"
# What is drawn over cells is the way of containers, whose cells grow with nothing else.
PICTURES = {**{name: name for name in ROWS}, "cells": "containers"}


@pytest.mark.parametrize("name", PICTURES)
def test_picture_is_of_what_was_recorded(name: str) -> None:
    """Its points have their seconds beside them; docs/plots.py draws it."""
    picture = (doc_pages.DOCS / "pictures" / f"growth-{name}.svg").read_text("utf-8")
    beside = re.findall(r">(\d+\.\d\d)</text>", picture)
    assert beside == [f"{step.processor_s:.2f}" for step in ROWS[PICTURES[name]].steps]
    assert f">{name}</text>" in picture


@pytest.mark.parametrize("name", ["cells", "containers"])
def test_points_are_as_far_apart_as_what_they_are_drawn_over(name: str) -> None:
    """The two pictures have the same seconds: what tells them apart is where points are."""
    picture = (doc_pages.DOCS / "pictures" / f"growth-{name}.svg").read_text("utf-8")
    points = re.findall(rf'<use [^>]*x="([\d.]+)"[^>]*fill: {MEASURED}', picture)
    steps = ROWS["containers"].steps
    over = [(step.cells or 0) if name == "cells" else step.size for step in steps]
    assert shares([float(x) for x in points]) == pytest.approx(shares(over), abs=0.001)


def shares(numbers: Sequence[float]) -> list[float]:
    """Return how far each number is on the way from the first to the last."""
    return [(number - numbers[0]) / (numbers[-1] - numbers[0]) for number in numbers]


def test_every_picture_has_its_record() -> None:
    drawn = {file.name for file in (doc_pages.DOCS / "pictures").glob("growth-*.svg")}
    assert drawn == {f"growth-{name}.svg" for name in PICTURES}
