"""The verb ``trace``: one packet's way through a lab or machines that exist, point by point."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from underlay.cli.console import out, print_document, progress
from underlay.cli.on_machines import refuse_without_inventory, ways_of
from underlay.cli.options import (
    PROBE_PATH,
    AsJson,
    InventoryOption,
    LabOrFile,
    ProbePathOption,
)
from underlay.cli.tables import table
from underlay.cli.which_lab import running_state
from underlay.errors import EXIT_DIFFERS, EXIT_OK, BadInput
from underlay.storage.seated import in_seat

if TYPE_CHECKING:
    from pathlib import Path

    from underlay.proof.followed_there import Followed
    from underlay.proof.trace import Point, Trace

GROUP = "Running labs"
ORDER = 50

Protocol = Literal["icmp", "tcp", "udp"]

REFUSALS = {
    "refused": ": nobody listens at this port, or somebody says so",
    "accepted": ": somebody listens at this port",
}


WARM = (
    "Nobody flushed neighbour tables in this network, which is in use: ARP shows only where"
    " somebody needed it, and what is known there from before may have let the packet through."
)


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
    lab: LabOrFile = None,
    inventory: InventoryOption = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe", help="With --inventory: ask both ends alone, by the pinned program."
        ),
    ] = False,
    probe_path: ProbePathOption = PROBE_PATH,
    by_sudo: Annotated[
        bool,
        typer.Option(
            "--sudo", help="With --inventory: capture there by a sudo that allows everything."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send one packet and show where it was seen, hop by hop, there and back.

    The source sends one echo request with a mark of its own, after both ends have
    forgotten each other's MAC address. All points that it and its answer have to pass are
    captured at once: the container's interface, the parent, the switch's ports and the
    same on the other side. Exit code 0 means that the answer came back, 1 that
    it didn't; then the last point is named at which anything was seen. With --port a
    TCP SYN or a UDP datagram goes to that port; a refusal is an answer, too.

    With --inventory the ends are on machines that exist, which --lab FILE says, and nothing is
    flushed there. With --sudo it is captured on them: nothing is installed, and the switch is out
    of sight. With --probe the pinned program says what both ends sent and received, and captures
    nothing in between. The packet has the mark of all probes. Nothing is sent to a host that the
    inventory lacks, and a machine that can't be captured at costs its own points.

    Example:
      underlay trace lannet-1a lannet-2a
      underlay trace lannet-1a lannet-2a --port 5432
      underlay trace lannet-1a core-02 --protocol udp --port 53
      underlay trace core-01 ipnet-3b --json
      underlay trace guestnet-1a guestnet-2a --lab guests.yml -i inventory.yml --sudo
    """
    asked = _asked_for(protocol, port)
    if inventory is not None:
        code = _on_machines(
            inventory, lab, (source, destination), asked,
            path=probe_path if probe else "", by_sudo=by_sudo, as_json=as_json,
        )  # fmt: skip
        raise typer.Exit(code)
    refuse_without_inventory(
        {"--probe": probe, "--sudo": by_sudo, "--probe-path": probe_path != PROBE_PATH}
    )
    from underlay.proof.followed import followed, packet_of
    from underlay.proof.trace import trace_of

    packet = packet_of(*asked)
    state = running_state(lab)
    trace = trace_of(state.plan(), source, destination, packet)
    with progress(f"sending {packet.words} from {source} to {destination}"):
        points = followed(state, trace)
    raise typer.Exit(_tell(trace, points, as_json=as_json))


def _asked_for(protocol: Protocol | None, port: int | None) -> tuple[str, int]:
    """Return the protocol and port that options ask for; raise BadInput where they don't fit."""
    if port is None and protocol in ("tcp", "udp"):
        hint = "--port 5432, say"
        raise BadInput(f"--protocol {protocol} without a port", hint=hint)
    if port is None:
        return "icmp", 0
    if protocol == "icmp":
        raise BadInput("an ICMP echo has no port", hint="leave out --port, or --protocol icmp")
    return protocol or "tcp", port


def _on_machines(
    inventory: Path,
    lab: str | None,
    ends: tuple[str, str],
    asked: tuple[str, int],
    *,
    path: str,
    by_sudo: bool,
    as_json: bool,
) -> int:
    from underlay.proof.followed_there import (
        asked_there,
        followed_there,
        packet_there,
        traced_there,
    )

    if bool(path) == by_sudo:
        raise BadInput(
            "--probe and --sudo are two ways to the same: one of them is enough"
            if by_sudo
            else "trace -i needs --sudo or --probe: nobody but root sees a packet there",
            hint="underlay hosts -i INVENTORY  says what one may do on each machine",
        )
    with ways_of(inventory, lab, f"trace {shlex.join(ends)}") as (loaded, ways):
        packet = packet_there(*asked)
        trace = traced_there(loaded.plan, list(ways.machines), *ends, packet)
        with progress(f"sending {packet.words} from {ends[0]} to {ends[1]}"):
            found = asked_there(ways, trace, path) if path else followed_there(ways, trace)
    return _tell(trace, list(found.points), found, as_json=as_json)


def _tell(
    trace: Trace, points: list[Point], there: Followed | None = None, *, as_json: bool
) -> int:
    """Print where the packet of ``trace`` was seen, and return the exit code."""
    back = bool(points) and points[-1].seen
    if as_json:
        print_document("trace", {**_document(trace, points, back), **_live(there)})
    else:
        _show(trace, points, back, there)
    return EXIT_OK if back else EXIT_DIFFERS


def _live(there: Followed | None) -> dict[str, Any]:
    """Return how machines that exist were asked, as JSON values; nothing of a lab's own nodes."""
    from underlay.proof.followed_there import UNSEEN

    if there is None:
        return {}
    return {
        "live": {
            "tier": there.tier,
            "warm": True,
            "cannot": list(UNSEEN[there.tier]),
            "stopped_at": there.stop or None,
            "reason": there.reason or None,
        }
    }


def _document(trace: Trace, points: list[Point], back: bool) -> dict[str, Any]:
    from underlay.report.captures import hops_document

    return {
        "source": trace.source,
        "destination": trace.destination,
        "protocol": trace.packet.protocol,
        "port": trace.packet.port or None,
        "answer": _answer(points) or None,
        "reached": back,
        "expected": trace.expected.reachable if trace.expected else None,
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


def _show(trace: Trace, points: list[Point], back: bool, there: Followed | None) -> None:
    addresses = f"{trace.source_address} to {trace.destination_address}"
    out.print(f"{trace.source} to {trace.destination}: {addresses}, {trace.packet.words}\n")
    shown = table("", "point", "where", "way", "packet", "ARP")
    for point in points:
        sign = "●" if point.seen else "·"
        packet = point.frame if point.seen else "not seen"
        shown.add_row(sign, point.kind, point.at, point.direction, packet, ", ".join(point.arp))
    out.print(shown)
    out.print()
    if back:
        out.print(f"The answer came back{REFUSALS.get(_answer(points), '')}.")
    else:
        out.print(f"No answer. {trace.last(points)}")
        # Whether a learner may ask for the cause is the exercise's to say.
        if not in_seat() and there is None:
            _show_next(trace)
    if there is not None:
        _show_rights(there)


def _show_next(trace: Trace) -> None:
    """Print why no answer was to be expected, or where the cause is found."""
    if trace.expected is None or trace.expected.reachable:
        out.print("next: underlay explain")
        return
    out.print(f"\nThat is as expected. {trace.expected.because}")
    out.print(trace.expected.reference, style="dim")


def _show_rights(there: Followed) -> None:
    """Print what is to be known of a packet that went through a network that is in use."""
    from underlay.proof.followed_there import UNSEEN
    from underlay.report.terminal import STOPS

    if there.stop:
        said = f" ({there.reason})" if there.reason else ""
        out.print(f"As its source's probe says: {STOPS[there.stop]}{said}.", markup=False)
    out.print(f"\n{WARM}", style="yellow")
    for words in UNSEEN[there.tier]:
        out.print(f"Not seen as {there.tier}: {words}.", markup=False)
