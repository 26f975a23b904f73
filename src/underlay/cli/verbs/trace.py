"""The verb ``trace``: one packet's way through a running lab, point by point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from underlay.cli.console import out, print_document, progress
from underlay.cli.options import AsJson, LabOption
from underlay.cli.which_lab import running_state
from underlay.errors import EXIT_DIFFERS, EXIT_OK, BadInput
from underlay.storage.seated import in_seat

if TYPE_CHECKING:
    from underlay.proof.trace import Packet, Point, Trace

GROUP = "Running labs"
ORDER = 50

Protocol = Literal["icmp", "tcp", "udp"]

REFUSALS = {
    "refused": ": nobody listens at this port, or somebody says so",
    "accepted": ": somebody listens at this port",
}


def command(
    source: Annotated[str, typer.Argument(help="Who asks: a container or a node.")],
    destination: Annotated[str, typer.Argument(help="Who is asked: a container or a node.")],
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="Ask this port instead of sending an echo."),
    ] = None,
    protocol: Annotated[
        Protocol | None,
        typer.Option("--protocol", help="What is sent; with a port tcp, without one icmp."),
    ] = None,
    lab: LabOption = None,
    as_json: AsJson = False,
) -> None:
    """Send one packet and show where it was seen, hop by hop, there and back.

    The source sends one echo request with a mark of its own, after both ends have
    forgotten each other's MAC address. All points that it and its answer have to pass are
    captured at once: the container's interface, the parent, the switch's ports and the
    same on the other side. Exit code 0 means that the answer came back, 1 that
    it didn't; then the last point is named at which anything was seen. With --port a
    TCP SYN or a UDP datagram goes to that port; a refusal is an answer, too.

    Example:
      underlay trace lannet-1a lannet-2a
      underlay trace lannet-1a lannet-2a --port 5432
      underlay trace lannet-1a core-02 --protocol udp --port 53
      underlay trace core-01 ipnet-3b --json
    """
    from underlay.proof.followed import followed
    from underlay.proof.trace import trace_of

    packet = _packet(protocol, port)
    state = running_state(lab)
    trace = trace_of(state.plan(), source, destination, packet)
    with progress(f"sending {packet.words} from {source} to {destination}"):
        points = followed(state, trace)
    back = bool(points) and points[-1].seen
    if as_json:
        print_document("trace", _document(trace, points, back))
    else:
        _show(trace, points, back)
    raise typer.Exit(EXIT_OK if back else EXIT_DIFFERS)


def _packet(protocol: Protocol | None, port: int | None) -> Packet:
    from underlay.proof.followed import packet_of

    if port is None and protocol in ("tcp", "udp"):
        hint = "--port 5432, say"
        raise BadInput(f"--protocol {protocol} without a port", hint=hint)
    if port is None:
        return packet_of()
    if protocol == "icmp":
        raise BadInput("an ICMP echo has no port", hint="leave out --port, or --protocol icmp")
    return packet_of(protocol or "tcp", port)


def _document(trace: Trace, points: list[Point], back: bool) -> dict[str, Any]:
    from underlay.report.captures import hops_document

    return {
        "source": trace.source,
        "destination": trace.destination,
        "protocol": trace.packet.protocol,
        "port": trace.packet.port or None,
        "answer": _answer(points) or None,
        "reached": back,
        "last_seen": trace.last(points),
        "hops": hops_document(points),
    }


def _answer(points: list[Point]) -> str:
    """Return in a word what came back to the source; nothing where nothing did."""
    if not points or not points[-1].seen:
        return ""
    frame = points[-1].frame
    if "unreachable" in frame or "RST" in frame:
        return "refused"
    return "accepted" if "SYN" in frame else "replied"


def _show(trace: Trace, points: list[Point], back: bool) -> None:
    addresses = f"{trace.source_address} to {trace.destination_address}"
    out.print(f"{trace.source} to {trace.destination}: {addresses}, {trace.packet.words}\n")
    table = Table("", "point", "where", "way", "packet", "ARP", box=None, pad_edge=False)
    for point in points:
        sign = "●" if point.seen else "·"
        packet = point.frame if point.seen else "not seen"
        table.add_row(sign, point.kind, point.at, point.direction, packet, ", ".join(point.arp))
    out.print(table)
    out.print()
    if back:
        out.print(f"The answer came back{REFUSALS.get(_answer(points), '')}.")
    else:
        out.print(f"No answer. {trace.last(points)}")
        # Whether a learner may ask for the cause is the exercise's to say.
        if not in_seat():
            out.print("next: underlay explain")
