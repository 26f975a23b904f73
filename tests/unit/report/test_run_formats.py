"""A run as Markdown and CSV; text, JSON and JUnit XML are compared with what check makes."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.small_lab import small_lab
from confusion import GREEN
from underlay.cli import main
from underlay.lint import load
from underlay.proof.result import LabResult
from underlay.proof.runs.file import write_run
from underlay.proof.runs.saving import saved
from underlay.report.run import COLUMNS, Told, csv_text, run_text
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


def test_every_report_of_a_choice_says_what_was_left_out(
    proven: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.json"
    words = ["check", "flat", "--only", "mac-1a -> *", "--protocol", "icmp", "--save", str(file)]
    assert main(words) == 0
    capsys.readouterr()
    for shape in ("text", "md", "html", "junit"):
        assert main(["report", str(file), "--format", shape]) == 0
        said = html.unescape(capsys.readouterr().out).replace("\\", "")
        assert re.search(r"\d+ (are )?left out", said), shape
        assert "--only 'mac-1a -> *' --protocol icmp" in said, shape
    assert main(["check", "flat", "--save", str(file)]) == 0
    capsys.readouterr()
    for shape in ("text", "md", "html", "junit"):
        assert main(["report", str(file), "--format", shape]) == 0
        assert "left out" not in capsys.readouterr().out, shape


def test_an_ending_that_promises_another_format_is_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.json"
    write_run(green().run, file)
    metrics = tmp_path / "x.prom"
    assert main(["report", str(file), "--format", "csv", "-o", str(metrics)]) == 0
    said = capsys.readouterr().err
    assert "written as csv, as --format says; its ending says prometheus" in " ".join(said.split())
    assert metrics.read_text().startswith("lab,")
    for name in ("x.csv", "x", "x.txt"):
        assert main(["report", str(file), "--format", "csv", "-o", str(tmp_path / name)]) == 0
        assert capsys.readouterr().err == ""


def test_a_large_run_grows_with_its_cells_and_its_text_does_not(tmp_path: Path) -> None:
    """Twice the containers are four times the cells: a file's bytes for each, and one screen."""
    sizes, lines = [], []
    for number in (12, 24):
        file = tmp_path / "large.yml"
        text = small_lab("large", 3, count=number, runtime="iproute2")
        file.write_text(text)
        plan = load(file).plan
        verdict = seen(plan, wrong=number * number, missing=number)
        run = run_of(saved(source(plan), LabResult(verdict)))
        write_run(run, tmp_path / "run.json")
        sizes.append((tmp_path / "run.json").stat().st_size / len(verdict.cells))
        lines.append(run_text(Told(run), width=100).plain.count("\n"))
    assert sizes[1] <= sizes[0] < 60
    assert max(lines) < 60
