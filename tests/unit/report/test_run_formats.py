"""A run as Markdown, HTML and CSV; text, JSON and JUnit XML are compared with what check makes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from confusion import GREEN
from underlay.cli import main
from underlay.proof.labs import LabResult
from underlay.proof.runs.saving import saved
from underlay.report.run import COLUMNS, Told, csv_text, html_text, run_text
from underlay.report.summary import markdown_text
from unit.proof import test_runs as runs
from unit.proof.test_explain import FILES, Recorded, explained, judged, recorded, scene
from unit.proof.test_runs import run_of, seen, source
from unit.report.test_report import plan_of

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "report"
home = runs.home
proven = runs.suite


def broken(file: Path = FILES[0]) -> Told:
    """Return a run of a lab with a fault, with its causes."""
    name = next(name for name in sorted(recorded(file)["faults"]) if name != GREEN)
    one = Recorded(file, name)
    result = LabResult(judged(one, one.wrong), explained(one), timings={"boot": 2.5})
    lab = saved(source(scene(file).plan), result)
    return Told(run_of(lab, timings={"total": 14.25}, versions={"underlay": "0.1"}))


def green() -> Told:
    plan = plan_of()
    return Told(run_of(saved(source(plan), LabResult(seen(plan))), kernel="6.12"))


def test_a_green_run_is_a_table_in_markdown(golden: Callable[[Path, str], None]) -> None:
    golden(GOLDEN / "run-green.md", markdown_text(green()))


def test_a_red_run_is_a_summary_with_causes_in_markdown(
    golden: Callable[[Path, str], None],
) -> None:
    golden(GOLDEN / "run-red.md", markdown_text(broken()))


class Page(HTMLParser):
    """The text of a page, with a note of each element that is open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["title"]) and "body" in self.open:
            self.text += data


@pytest.mark.parametrize("told", [green(), broken()], ids=["green", "red"])
def test_html_is_the_text_on_a_page_that_stands_alone(told: Told) -> None:
    text = html_text(told)
    page = Page()
    page.feed(text)
    assert not page.open
    assert page.text.strip() == run_text(told, width=100).plain.strip()
    assert "<title>underlay check: " in text
    assert "http" not in text.partition("<body>")[0]


def test_csv_has_a_line_for_each_cell() -> None:
    told = broken()
    rows = list(csv.DictReader(io.StringIO(csv_text(told))))
    cells = told.results.by_lab[told.run.labs[0].lab].verdict.cells
    assert len(rows) == len(cells)
    assert set(rows[0]) == {"lab", *COLUMNS}
    assert sum(row["differs"] == "true" for row in rows) == sum(cell.differs for cell in cells)
    assert {row["observed"] for row in rows} >= {"reachable", "unreachable"}


def test_every_format_of_an_early_end_says_so(
    proven: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proven.during = staticmethod(runs.interrupt)
    file = tmp_path / "run.json"
    assert main(["check", "flat", "--save", str(file)]) == 130
    capsys.readouterr()
    for shape in ("text", "md", "html", "json"):
        assert main(["report", str(file), "--format", shape]) == 0
        assert "interrupted" in capsys.readouterr().out, shape
    assert main(["report", str(file), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["observed"] for row in rows} == {"not_measured"}
