"""A timeline: who did what when, as bars below each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 48
# Seconds below which a span isn't worth a line.
WORTH_SHOWING = 0.1

Row = tuple[str, str, float, float]


def timeline(rows: Sequence[Row], *, ascii_only: bool = False, shortest: float = 0.0) -> str:
    """Return ``rows`` (who, what, begin, end in seconds) as text, grouped by who.

    Groups are in the order of their first rows; rows shorter than ``shortest``
    are left out. Without rows the text is empty.
    """
    shown = [row for row in rows if row[3] - row[2] >= shortest]
    if not shown:
        return ""
    start, end = min(row[2] for row in shown), max(row[3] for row in shown)
    scale = WIDTH / max(end - start, 1e-9)
    mark = "#" if ascii_only else "━"
    widest = max(len(row[1]) for row in shown)
    lines = []
    for who in dict.fromkeys(row[0] for row in shown):
        lines.append(who)
        for _, what, begin, until in (row for row in shown if row[0] == who):
            left = int((begin - start) * scale)
            length = max(1, round((until - begin) * scale))
            bar = (" " * left + mark * length)[:WIDTH].ljust(WIDTH)
            lines.append(
                f"  {what:<{widest}}  {begin - start:6.2f} s  {bar}  {until - begin:5.2f} s"
            )
    return "\n".join(lines)
