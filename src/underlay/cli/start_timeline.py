"""What ``--timings`` shows: where the time of a lab's start went, on the host and on each node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.cli.console import err

if TYPE_CHECKING:
    from underlay.cluster.spans import Span
    from underlay.cluster.state.lab import LabState

# Below this many seconds a node's unit isn't worth a line.
SHORTEST = 0.1


def document(state: LabState) -> list[dict[str, object]]:
    """Return the spans of this command's start as ``--json`` prints them, in seconds from it."""
    spans, began = _spans(state)
    return [
        {
            "who": span.who,
            "what": span.what,
            "begin": round(span.begin - began, 3),
            "end": round(span.end - began, 3),
        }
        for span in spans
    ]


def show(state: LabState) -> None:
    """Print the timeline of this command's start on stderr."""
    from underlay.report.terminal import ascii_only
    from underlay.report.timeline import timeline

    spans, _ = _spans(state)
    rows = [(span.who, span.what, span.begin, span.end) for span in spans]
    err.print(timeline(rows, shortest=SHORTEST, ascii_only=ascii_only(err.encoding)))


def _spans(state: LabState) -> tuple[list[Span], float]:
    """Return the spans of this command's start, its own launch first, and when it began."""
    from underlay.cluster.boot_times import start_spans
    from underlay.cluster.spans import Span, process_began

    began = process_began()
    spans = start_spans(state, began)
    if spans:
        spans.insert(0, Span("host", "launch", began, spans[0].begin))
    return spans, began
