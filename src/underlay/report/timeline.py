"""A start's timeline: who did what when, as bars below each other or as JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.cluster.spans import Span

WIDTH = 48
# Seconds below which a span isn't worth a line.
WORTH_SHOWING = 0.1


def timeline(spans: Sequence[Span], *, ascii_only: bool = False) -> str:
    """Return ``spans`` as text, grouped by who did it; empty where none is worth a line.

    Groups are in the order of their first spans.
    """
    shown = [span for span in spans if span.end - span.begin >= WORTH_SHOWING]
    if not shown:
        return ""
    start, end = min(span.begin for span in shown), max(span.end for span in shown)
    scale = WIDTH / max(end - start, 1e-9)
    mark = "#" if ascii_only else "━"
    widest = max(len(span.what) for span in shown)
    lines = []
    for who in dict.fromkeys(span.who for span in shown):
        lines.append(who)
        for span in (span for span in shown if span.who == who):
            began, seconds = span.begin - start, span.end - span.begin
            bar = " " * int(began * scale) + mark * max(1, round(seconds * scale))
            bar = bar[:WIDTH].ljust(WIDTH)
            lines.append(f"  {span.what:<{widest}}  {began:6.2f} s  {bar}  {seconds:5.2f} s")
    return "\n".join(lines)


def document(spans: Sequence[Span]) -> list[dict[str, object]]:
    """Return ``spans`` as ``--json`` prints them, in seconds from the beginning of the first."""
    return [
        {
            "who": span.who,
            "what": span.what,
            "begin": round(span.begin - spans[0].begin, 3),
            "end": round(span.end - spans[0].begin, 3),
        }
        for span in spans
    ]
