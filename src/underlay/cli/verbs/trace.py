"""The verb ``trace``: one packet's way through a running lab, point by point."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from underlay.cli.console import out, print_json, progress
from underlay.cli.options import AsJson, RunningLab
from underlay.cli.which_lab import running_state
from underlay.errors import EXIT_DIFFERS, EXIT_OK

if TYPE_CHECKING:
    from underlay.cluster.state.lab import LabState
    from underlay.proof.trace import Hop, Way

GROUP = "Running labs"
ORDER = 50

PATIENCE = 3.0  # s that an answer may take; ARP alone asks three times, a second apart
LONGEST = 30.0


def command(
    source: Annotated[str, typer.Argument(help="Who asks: a container or a node.")],
    destination: Annotated[str, typer.Argument(help="Who is asked: a container or a node.")],
    lab: RunningLab = None,
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
    from underlay.proof.trace import way_of

    state = running_state(lab)
    way = way_of(state.plan(), source, destination)
    with progress(f"sending a packet from {source} to {destination}"):
        hops = _seen(state, way)
    back = bool(hops) and hops[-1].seen
    if as_json:
        print_json(_document(way, hops, back))
    else:
        _show(way, hops, back)
    raise typer.Exit(EXIT_OK if back else EXIT_DIFFERS)


def _seen(state: LabState, way: Way) -> list[Hop]:
    from underlay.cluster.access import run_in
    from underlay.observe.capture import sniff
    from underlay.proof.trace import seen_at

    mark = secrets.token_bytes(8)
    ping = ["ping", "-n", "-q", "-c", "1", "-W", f"{PATIENCE:g}", "-p", mark.hex()]
    ask = """
ip neighbour delete "$1" dev "$2" 2>/dev/null || :
shift 2
exec "$@"
"""
    words = [way.destination_address, way.device, *ping, "-I", way.source_address]

    def send() -> None:
        # Otherwise the destination may just now be confirming the source it knew before.
        forget = ["ip", "neighbour", "flush", "to", way.source_address]
        run_in(state, way.destination_space, forget, deadline=LONGEST)
        arguments = ["sh", "-c", ask, "sh", *words, way.destination_address]
        run_in(state, way.source_space, arguments, deadline=LONGEST)

    frames, missing = sniff(
        state, way.spaces(), seconds=LONGEST, marks=(mark, *way.arp_marks()), meanwhile=send
    )
    return seen_at(way, frames, missing)


def _document(way: Way, hops: list[Hop], back: bool) -> dict[str, Any]:
    return {
        "source": way.source,
        "destination": way.destination,
        "reached": back,
        "last_seen": way.last(hops),
        "hops": [asdict(hop) for hop in hops],
    }


def _show(way: Way, hops: list[Hop], back: bool) -> None:
    addresses = f"{way.source_address} to {way.destination_address}"
    out.print(f"{way.source} to {way.destination}: {addresses}, one echo request\n")
    table = Table("", "point", "where", "way", "packet", "ARP", box=None, pad_edge=False)
    for hop in hops:
        sign = "●" if hop.seen else "·"
        packet = hop.frame or "not seen"
        table.add_row(sign, hop.point, hop.at, hop.direction, packet, ", ".join(hop.arp))
    out.print(table)
    out.print()
    if back:
        out.print("The answer came back.")
    else:
        out.print(f"No answer. {way.last(hops)}")
        out.print("next: underlay explain")
