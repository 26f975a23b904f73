"""The verb ``trace``: one packet's way through a running lab, point by point."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from underlay.cli.console import out, print_json, progress
from underlay.cli.options import AsJson, LabOption
from underlay.cli.which_lab import running_state
from underlay.errors import EXIT_DIFFERS, EXIT_OK

if TYPE_CHECKING:
    from underlay.cluster.state.lab import LabState
    from underlay.proof.trace import Point, Trace

GROUP = "Running labs"
ORDER = 50

PATIENCE = 3.0  # s that an answer may take; ARP alone asks three times, a second apart
LONGEST = 30.0


def command(
    source: Annotated[str, typer.Argument(help="Who asks: a container or a node.")],
    destination: Annotated[str, typer.Argument(help="Who is asked: a container or a node.")],
    lab: LabOption = None,
    as_json: AsJson = False,
) -> None:
    """Send one packet and show where it was seen, hop by hop, there and back.

    The source sends one echo request with a mark of its own, after both ends have
    forgotten each other's MAC address. All points that it and its answer have to pass are
    captured at once: the container's interface, the parent, the switch's ports and the
    same on the other side. Exit code 0 means that the answer came back, 1 that
    it didn't; then the last point is named at which anything was seen.

    Example:
      underlay trace lannet-1a lannet-2a
      underlay trace core-01 ipnet-3b --json
    """
    from underlay.proof.trace import trace_of

    state = running_state(lab)
    trace = trace_of(state.plan(), source, destination)
    with progress(f"sending a packet from {source} to {destination}"):
        points = _seen(state, trace)
    back = bool(points) and points[-1].seen
    if as_json:
        print_json(_document(trace, points, back))
    else:
        _show(trace, points, back)
    raise typer.Exit(EXIT_OK if back else EXIT_DIFFERS)


def _seen(state: LabState, trace: Trace) -> list[Point]:
    from underlay.cluster.access import run_in
    from underlay.observe.capture import sniff
    from underlay.proof.trace import seen_points

    mark = secrets.token_bytes(8)
    ping = ["ping", "-n", "-q", "-c", "1", "-W", f"{PATIENCE:g}", "-p", mark.hex()]
    ask = """
ip neighbour delete "$1" dev "$2" 2>/dev/null || :
shift 2
exec "$@"
"""
    words = [trace.destination_address, trace.device, *ping, "-I", trace.source_address]

    def send() -> None:
        # Otherwise the destination may just now be confirming the source it knew before.
        forget = ["ip", "neighbour", "flush", "to", trace.source_address]
        run_in(state, trace.destination_space, forget, deadline=LONGEST)
        arguments = ["sh", "-c", ask, "sh", *words, trace.destination_address]
        run_in(state, trace.source_space, arguments, deadline=LONGEST)

    frames, missing = sniff(
        state, trace.spaces(), seconds=LONGEST, marks=(mark, *trace.arp_marks()), meanwhile=send
    )
    return seen_points(trace, frames, missing)


def _document(trace: Trace, points: list[Point], back: bool) -> dict[str, Any]:
    return {
        "source": trace.source,
        "destination": trace.destination,
        "reached": back,
        "last_seen": trace.last(points),
        "hops": [
            {
                "way": point.packet,
                "at": point.at,
                "point": point.kind,
                "direction": point.direction,
                "seen": point.seen,
                "arp": list(point.arp),
                "frame": point.frame or None,
            }
            for point in points
        ],
    }


def _show(trace: Trace, points: list[Point], back: bool) -> None:
    addresses = f"{trace.source_address} to {trace.destination_address}"
    out.print(f"{trace.source} to {trace.destination}: {addresses}, one echo request\n")
    table = Table("", "point", "where", "way", "packet", "ARP", box=None, pad_edge=False)
    for point in points:
        sign = "●" if point.seen else "·"
        packet = point.frame if point.seen else "not seen"
        table.add_row(sign, point.kind, point.at, point.direction, packet, ", ".join(point.arp))
    out.print(table)
    out.print()
    if back:
        out.print("The answer came back.")
    else:
        out.print(f"No answer. {trace.last(points)}")
        out.print("next: underlay explain")
