"""What is said to run next where the lab of a failure has been ended: no command that needs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from underlay.proof.explanation import Explanation
from underlay.proof.result import LabResult
from underlay.proof.runs.file import read_run, write_run
from underlay.proof.runs.saving import saved
from underlay.report.explained import run_explained_text
from underlay.report.junit import junit_text
from underlay.report.run import Told, json_text, run_text
from underlay.report.run_page.page import page_text
from underlay.report.summary import markdown_text
from unit.proof.test_explain import FILES, Recorded, explained, judged, scene
from unit.proof.test_runs import run_of, source

FILE = next(file for file in FILES if file.name.startswith("coreos."))
UP = "underlay up web.yml"
KEEP = "underlay check web.yml --keep"
SHAPES: dict[str, Callable[[Told], str]] = {
    "text": lambda told: run_text(told, width=100).plain,
    "explain": lambda told: run_explained_text(told, width=100, ascii_only=False).plain,
    "json": json_text,
    "markdown": markdown_text,
    "junit": junit_text,
    "page": page_text,
}


def told(folder: Path, fault: str, *, keep_by: str) -> Told:
    """Return a run with a fault as it is read back from its file."""
    one = Recorded(FILE, fault)
    why: Explanation = replace(explained(one), file="web.yml", keep_by=keep_by)
    result = LabResult(judged(one, one.wrong), why, timings={"boot": 2.5})
    file = folder / "run.json"
    write_run(run_of(saved(source(scene(FILE).plan), result)), file)
    return Told(read_run(file))


@pytest.mark.parametrize("shape", SHAPES)
def test_what_needs_the_lab_comes_after_what_brings_it_up(shape: str, tmp_path: Path) -> None:
    text = SHAPES[shape](told(tmp_path, "coreos-child-down", keep_by=KEEP))
    at = text.find(UP)
    assert 0 <= at < text.index("underlay exec ")
    if shape != "json":
        assert KEEP in " ".join(text.split())


@pytest.mark.parametrize("shape", SHAPES)
def test_a_lab_that_is_up_needs_nothing_before(shape: str, tmp_path: Path) -> None:
    text = SHAPES[shape](told(tmp_path, "coreos-child-down", keep_by=""))
    assert "underlay exec " in text
    assert UP not in text
    assert "--keep" not in text


def test_a_lab_that_has_been_ended_needs_no_end(tmp_path: Path) -> None:
    up = SHAPES["json"](told(tmp_path, "coreos-namespace-gone", keep_by=""))
    assert "underlay down --lab" in up
    ended = SHAPES["json"](told(tmp_path, "coreos-namespace-gone", keep_by=KEEP))
    assert "underlay down --lab" not in ended
    assert UP in ended
