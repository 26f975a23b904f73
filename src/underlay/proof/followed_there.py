"""One packet's way through a network that is in use: as far as one's rights there go.

Tables are left as they are, so that ARP shows only where somebody needed it. The packet carries the
mark of all probes, the word `underlay`; TCP's and UDP's come from the probe's port.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from underlay.errors import BadInput, Infrastructure, listed
from underlay.expect import pairs, protocols
from underlay.observe.capture import Caught
from underlay.observe.live import ABSENT, RATE
from underlay.observe.live import UNSEEN as UNSEEN_THERE
from underlay.observe.live_capture import NO_MACHINE, run_there, sniff_there
from underlay.observe.live_probe import probe_pair
from underlay.observe.on_node.packets import MAGIC
from underlay.plan.naming import PROBE_PORT
from underlay.proof.followed import asking
from underlay.proof.trace import Packet, Point, seen_points, trace_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.cluster.machines import Ways
    from underlay.expect import Pair, Protocol
    from underlay.observe.observation import Seen
    from underlay.plan import Plan
    from underlay.proof.trace import Trace

# s for ssh, Python and the answer on a busy machine; and that the others listen meanwhile.
SENDING, LISTENING = 60.0, 120.0
Tier = Literal["probe", "lab"]
UNCAPTURED = "the pinned program captures nothing: needs --sudo"
# What one tier can't see, in words.
UNSEEN = {
    "probe": (
        "what is between the two ends: the pinned program says what they sent and received, and"
        " captures nothing",
        UNSEEN_THERE["probe"][-1],
    ),
    "lab": (UNSEEN_THERE["probe"][-1],),
}
# Where a probe stopped before anything left the source.
UNSENT = ("no_route", "not_sent", "no_neighbour")
TOLD = {"icmp": "ICMP echo request", "udp": "UDP datagram", "tcp": "TCP SYN"}
REFUSED = "RST, or an ICMP error"
ANSWERED = {"icmp": "ICMP echo reply", "udp": "UDP datagram", "tcp": "TCP SYN ACK"}


@dataclass(frozen=True)
class Followed:
    """Where a packet was seen, and with which rights.

    ``stop`` is where it stopped as the source's probe says, and ``reason`` its own word for that.
    """

    tier: Tier
    points: tuple[Point, ...]
    stop: str = ""
    reason: str = ""


def packet_there(protocol: str = "icmp", port: int = 0) -> Packet:
    """Return a packet with the mark of all probes, and one of its own."""
    if protocol == "icmp":
        return Packet(mark=MAGIC + secrets.token_bytes(8))
    return Packet(protocol, port, PROBE_PORT)


def traced_there(
    plan: Plan, known: Sequence[str], source: str, there: str, packet: Packet
) -> Trace:
    """Return the way of ``packet`` between two ends on machines that are ``known``.

    Raises BadInput where they are no pair of the matrix, or one is on another machine: nothing is
    sent to one that the inventory lacks.
    """
    trace = trace_of(plan, source, there, packet)
    pair = _pair(trace)
    for end in (pair.source, pair.destination):
        if end.node not in known:
            where = f"{end.name} is on {end.node}, which" if end.name != end.node else end.node
            raise BadInput(f"{where} {ABSENT}", hint=f"it names {listed(known)}")
    return trace


def followed_there(ways: Ways, trace: Trace) -> Followed:
    """Send the packet of ``trace`` by sudo, and return where it and its answer were captured.

    Raises Infrastructure where it can't be sent. A machine that can't be captured at costs its own
    points.
    """
    plan, pair = trace.plan, _pair(trace)

    def send() -> None:
        words, machine = asking(trace), pair.source.node
        run_there(plan, ways, machine, pair.source.space, words, deadline=SENDING)

    marks = (*trace.packet.marks(), *trace.arp_marks())
    caught = sniff_there(plan, ways, trace.spaces(), seconds=LISTENING, marks=marks, meanwhile=send)
    return Followed("lab", tuple(seen_points(trace, caught)))


def asked_there(ways: Ways, trace: Trace, path: str) -> Followed:
    """Have the pinned program at ``path`` ask, and return what both ends know of the packet.

    Raises BadInput for a port that it doesn't ask, and Infrastructure where it can't measure.
    """
    plan, packet = trace.plan, trace.packet
    protocol: Protocol = (
        packet.protocol if packet.port in (0, PROBE_PORT) else _of_lab(plan, packet)
    )
    seen = probe_pair(plan, ways, _pair(trace), protocol, rate=RATE, path=path)
    if seen.observed == "not_measured":
        hint = "underlay hosts -i INVENTORY  says how it stands with the probe on each machine"
        raise Infrastructure(f"the packet could not be asked for: {seen.reason}", hint=hint)
    return Followed("probe", tuple(_points(trace, seen)), seen.stopped_at, seen.reason)


def _of_lab(plan: Plan, packet: Packet) -> Protocol:
    """Return the protocol of a port that the lab file names; raise BadInput for any other."""
    wanted = f"{packet.protocol}:{packet.port}"
    if wanted not in plan.protocols:
        named = [each for each in protocols(plan) if ":" in each]
        also = f", and of the lab file {listed(named)}" if named else ""
        raise BadInput(
            f"the pinned program doesn't ask port {packet.port}",
            hint=f"it asks port {PROBE_PORT}{also}; with --sudo any is asked",
        )
    return wanted


def _pair(trace: Trace) -> Pair:
    names = (trace.source, trace.destination)
    return next(
        each for each in pairs(trace.plan) if (each.source.name, each.destination.name) == names
    )


def _points(trace: Trace, seen: Seen) -> list[Point]:
    """Return the points of ``trace`` with what both ends' probes have said; others say why not."""
    reasons = {
        trace.name(passage): NO_MACHINE if passage.kind == "port" else UNCAPTURED
        for passage in trace.passages
    }
    word, came = trace.packet.protocol, seen.observed == "reachable"
    way = [number for number, passed in enumerate(trace.passages) if passed.packet.request]
    back = [number for number in range(len(trace.passages)) if number not in way]
    told = {
        way[0]: TOLD[word] if seen.stopped_at not in UNSENT else "",
        way[-1]: TOLD[word] if seen.arrived or came else "",
        back[-1]: ANSWERED[word] if came else REFUSED if seen.stopped_at == "refused" else "",
    }
    if came:
        told[back[0]] = ANSWERED[word]
    untold = seen_points(trace, Caught((), reasons, {}))
    return [
        replace(point, seen=bool(told[number]), frame=told[number]) if number in told else other
        for number, (point, other) in enumerate(
            zip(seen_points(trace, Caught((), {}, {})), untold, strict=True)
        )
    ]
