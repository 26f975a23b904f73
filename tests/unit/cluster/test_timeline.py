"""Where a start's time went: what is recorded, what a node says about its boot, and the bars."""

from __future__ import annotations

from pathlib import Path

from underlay.cluster.spans import FILE, Span, parse_times, process_began, record, recorded, span
from underlay.report.timeline import WIDTH, timeline

SYSTEMD = """\
UserspaceTimestampMonotonic=1100000

Id=ssh.service
InactiveExitTimestampMonotonic=7000000
ActiveEnterTimestampMonotonic=8200000

Id=never.service
InactiveExitTimestampMonotonic=0
ActiveEnterTimestampMonotonic=0
"""


def test_spans_of_several_processes_come_back_in_order(tmp_path: Path) -> None:
    record(tmp_path, Span("core-01", "late", 20.0, 21.0))
    record(tmp_path, Span("host", "early", 10.0, 30.0))
    record(tmp_path, Span("host", "of an earlier start", 1.0, 2.0))
    found = recorded(tmp_path, since=10.0)
    assert [each.what for each in found] == ["early", "late"]


def test_a_half_written_line_costs_only_itself(tmp_path: Path) -> None:
    record(tmp_path, Span("host", "whole", 1.0, 2.0))
    with (tmp_path / FILE).open("a") as file:
        file.write('["host", "cut')
    assert [each.what for each in recorded(tmp_path, since=0.0)] == ["whole"]


def test_a_failing_block_is_recorded_too(tmp_path: Path) -> None:
    try:
        with span(tmp_path, "host", "failing"):
            raise ValueError
    except ValueError:
        pass
    assert [each.what for each in recorded(tmp_path, since=0.0)] == ["failing"]


def test_a_folder_that_is_gone_is_no_failure(tmp_path: Path) -> None:
    with span(tmp_path / "gone", "host", "down"):
        pass
    assert recorded(tmp_path / "gone", since=0.0) == []


def test_this_process_began_before_now() -> None:
    import time

    assert 0 < time.monotonic() - process_began() < 3600


def test_units_of_systemd() -> None:
    assert parse_times(SYSTEMD)[:2] == [("kernel", 0, 1_100_000), ("ssh", 7_000_000, 8_200_000)]


def test_times_of_a_lean_init() -> None:
    text = "kernel 0 900000\nmodules 900000 1200000\nbroken\n"
    assert parse_times(text) == [("kernel", 0, 900_000), ("modules", 900_000, 1_200_000)]


def test_bars_stand_where_and_as_long_as_they_should() -> None:
    rows = [("host", "all", 5.0, 15.0), ("core-01", "half", 10.0, 15.0), ("core-01", "x", 6, 6.01)]
    text = timeline([Span(*row) for row in rows], ascii_only=True)
    lines = text.splitlines()
    assert lines[0] == "host"
    assert lines[1].count("#") == WIDTH
    assert lines[2] == "core-01"
    assert lines[3].count("#") == WIDTH // 2
    assert "5.00 s" in lines[3]
    assert len(lines) == 4
    assert timeline([]) == ""
