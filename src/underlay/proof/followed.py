"""One packet sent through a running lab, and seen at every point that it and its answer pass."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from underlay.cluster.access import run_in
from underlay.observe.capture import sniff
from underlay.proof.trace import Packet, seen_points

if TYPE_CHECKING:
    from underlay.cluster.state.lab import LabState
    from underlay.proof.trace import Point, Trace

PATIENCE = 3.0  # s that an answer may take; ARP alone asks three times, a second apart
LONGEST = 30.0
# Source ports that no service has, and that the kernel gives to nobody: below its own range.
SOURCE_PORTS = range(20000, 30000)

FORGET = """
ip neighbour delete "$1" dev "$2" 2>/dev/null || :
shift 2
exec "$@"
"""
# Sends a SYN or a datagram from its own port, and waits for a word of whoever is there.
ASK = """
import socket, sys
protocol, source, source_port, destination, port, patience = sys.argv[1:]
family = socket.AF_INET6 if ":" in destination else socket.AF_INET
kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
with socket.socket(family, kind) as asking:
    asking.settimeout(float(patience))
    asking.bind((source, int(source_port)))
    try:
        asking.connect((destination, int(port)))
        if protocol == "udp":
            asking.send(b"underlay trace")
            asking.recv(1)
    except OSError:
        pass
"""


def packet_of(protocol: str = "icmp", port: int = 0) -> Packet:
    """Return a packet that can be told from all others: an echo request, or one to ``port``."""
    if protocol == "icmp":
        return Packet(mark=secrets.token_bytes(8))
    return Packet(protocol, port, secrets.choice(SOURCE_PORTS))


def asking(trace: Trace) -> list[str]:
    """Return the argument list that sends the packet of ``trace``, and waits for its answer."""
    packet, source, there = trace.packet, trace.source_address, trace.destination_address
    if packet.protocol == "icmp":
        ask = ["ping", "-n", "-q", "-c", "1", "-W", f"{PATIENCE:g}", "-p", packet.mark.hex()]
        return [*ask, "-I", source, there]
    words = [source, str(packet.source_port), there, str(packet.port), f"{PATIENCE:g}"]
    return ["python3", "-I", "-S", "-c", ASK, packet.protocol, *words]


def followed(state: LabState, trace: Trace) -> list[Point]:
    """Send the packet of ``trace`` and return where it and its answer were seen.

    Both ends forget each other's MAC address before. Raises Infrastructure where capturing does
    not start.
    """
    source, there = trace.source_address, trace.destination_address
    ask = asking(trace)

    def send() -> None:
        # Otherwise the destination may just now be confirming the source it knew before.
        forget = ["ip", "neighbour", "flush", "to", source]
        run_in(state, trace.destination_space, forget, deadline=LONGEST)
        arguments = ["sh", "-c", FORGET, "sh", there, trace.device, *ask]
        run_in(state, trace.source_space, arguments, deadline=LONGEST)

    marks = (*trace.packet.marks(), *trace.arp_marks())
    caught = sniff(state, trace.spaces(), seconds=LONGEST, marks=marks, meanwhile=send)
    return seen_points(trace, caught)
