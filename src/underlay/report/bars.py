"""The data plane's figures: a table, and the throughput as bars below it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH = 40
HEADER = ("driver", "where", "Gbit/s", "CPU s/Gbit", "p50 ms", "p99 ms", "max ms", "conn/s")


def bars(document: Mapping[str, Any], *, ascii_only: bool = False) -> str:
    """Return ``document`` (that of `bench dataplane`) as text."""
    rows = document["results"]
    lines = _table([HEADER, *map(_cells, rows)])
    if rows:
        lines += ["", "throughput in Gbit/s", *_plot(rows, "#" if ascii_only else "━")]
    lines += [f"not run: {row['name']}: {row['reason']}" for row in document["not_run"]]
    if document["caveat"]:
        lines += ["", document["caveat"]]
    return "\n".join(lines)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
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


def _plot(rows: Sequence[Mapping[str, Any]], mark: str) -> list[str]:
    names = [f"{row['driver']}, {row['where']}" for row in rows]
    widest = max(map(len, names))
    scale = WIDTH / max(1e-9, *(row["throughput_gbit_s"] for row in rows))
    return [
        f"  {name:<{widest}}  {mark * max(1, round(row['throughput_gbit_s'] * scale)):<{WIDTH}}"
        f"  {row['throughput_gbit_s']:.2f}"
        for name, row in zip(names, rows, strict=True)
    ]
