"""The data plane's figures: a table, and below it each of them as bars."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Row = Mapping[str, Any]

PAGE = 80
LONGEST, SHORTEST = 40, 10
HEADER = ("driver", "where", "Gbit/s", "CPU s/Gbit", "p50 ms", "p99 ms", "max ms", "conn/s")
# Each has a scale of its own: beside the slowest of a hundred round trips no median would be seen.
PLOTS: tuple[tuple[str, Callable[[Row], float]], ...] = (
    ("throughput in Gbit/s", lambda row: float(row["throughput_gbit_s"])),
    ("processor seconds per Gbit, less is better", lambda row: float(row["cpu_s_per_gbit"])),
    ("round trips in ms, p50, less is better", lambda row: float(row["latency_ms"]["p50"])),
    ("round trips in ms, p99, less is better", lambda row: float(row["latency_ms"]["p99"])),
)


def bars(document: Mapping[str, Any], *, ascii_only: bool = False) -> str:
    """Return ``document`` (that of `bench dataplane`) as text."""
    rows = document["results"]
    lines = _table([HEADER, *map(_cells, rows)])
    for title, value in PLOTS if rows else ():
        lines += ["", title, *_plot(rows, value, "#" if ascii_only else "━")]
    if document["not_run"]:
        lines += ["", *(f"not run: {row['name']}: {row['reason']}" for row in document["not_run"])]
    if document["caveat"]:
        lines += ["", *textwrap.wrap(document["caveat"], PAGE)]
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    latency = row["latency_ms"]
    return (
        row["driver"],
        row["where"],
        f"{row['throughput_gbit_s']:.2f}",
        f"{row['cpu_s_per_gbit']:.2f}",
        *(f"{latency[key]:.2f}" for key in ("p50", "p99", "max")),
        f"{row['connections_per_s']:.0f}",
    )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = []
    for row in rows:
        words = [
            word.ljust(width) if column < 2 else word.rjust(width)
            for column, (word, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(words).rstrip())
    return lines


def _plot(rows: Sequence[Row], value: Callable[[Row], float], mark: str) -> list[str]:
    names = [f"{row['driver']}, {row['where']}" for row in rows]
    values = [value(row) for row in rows]
    figures = [f"{each:.2f}" for each in values]
    name_width, figure_width = max(map(len, names)), max(map(len, figures))
    # Two columns before each of the three.
    longest = min(LONGEST, max(SHORTEST, PAGE - 6 - name_width - figure_width))
    scale = longest / max(1e-9, *values)
    return [
        f"  {name:<{name_width}}  {mark * max(1, round(each * scale)):<{longest}}"
        f"  {figure:>{figure_width}}"
        for name, each, figure in zip(names, values, figures, strict=True)
    ]
