"""The pictures of how cost grows are drawn from the record as it is now."""

from __future__ import annotations

import re

import pytest

import doc_pages
from underlay.proof.records.keeping import read

ROWS = read("growth").rows


@pytest.mark.parametrize("name", ROWS)
def test_picture_is_of_what_was_recorded(name: str) -> None:
    """Its points have their seconds beside them; docs/plots.py draws it."""
    picture = (doc_pages.DOCS / "pictures" / f"growth-{name}.svg").read_text("utf-8")
    beside = re.findall(r">(\d+\.\d\d)</text>", picture)
    assert beside == [f"{step.processor_s:.2f}" for step in ROWS[name].steps]


def test_every_picture_has_its_record() -> None:
    drawn = {file.name for file in (doc_pages.DOCS / "pictures").glob("growth-*.svg")}
    assert drawn == {f"growth-{name}.svg" for name in ROWS}
