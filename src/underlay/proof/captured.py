"""Cells that differ, asked again while all points that their packets pass are captured.

A run that is read elsewhere and later can't be asked any more; what was on the wire says more than
that nothing came. It is done once all cells are measured, by the same probes, one process on each
machine that asks and one on each that listens, and only where cells differ.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from ipaddress import ip_address
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from underlay.cluster.access import spawn_as_root
from underlay.cluster.providers import provider
from underlay.cluster.state.lock import turn
from underlay.errors import count
from underlay.expect import pairs
from underlay.faults import Scene
from underlay.observe import measure
from underlay.observe.capture import sniff, summary
from underlay.observe.on_node.cells import TOGETHER
from underlay.observe.on_node.packets import MAGIC, ported
from underlay.observe.tasks import Asked, AskedPair
from underlay.plan.naming import PROBE_PORT
from underlay.proof.trace import Packet, Trace, seen_points, trace_of_pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from underlay.expect import Pair
    from underlay.faults import Cell as Name
    from underlay.observe.capture import Caught, Frame
    from underlay.proof.explanation import Explanation
    from underlay.proof.lab import RunningLab
    from underlay.proof.trace import Point
    from underlay.verdict import Verdict

# Enough to show each cause of a broken lab, and little enough to be read.
MOST = 8
MOST_FRAMES = 64  # of one cell
SNAP = 160  # bytes: all heads of a tunnel's packet, and what the probe wrote into it
LONGEST = 90.0  # s that is listened at most
ARP = bytes.fromhex("000108000604")  # Ethernet and IPv4; RFC 826
TOKEN = re.compile(re.escape(MAGIC) + rb" \S+ (\d+) ([a-z]+)")


@dataclass(frozen=True)
class Captured:
    """A cell that was asked again, the points that its packets pass, and the frames seen there.

    ``last`` says where the packet was last seen; ``more`` is how many frames were left out.
    """

    cell: Name
    points: tuple[Point, ...]
    last: str
    frames: tuple[Frame, ...]
    more: int = 0


def ask_again(
    lab: RunningLab,
    verdict: Verdict,
    explanation: Explanation | None,
    tell: Callable[[str], None],
) -> tuple[Captured, ...]:
    """Ask some of the cells that differ again, of each cause first, and return what was seen.

    Nothing is done where none differs. Raises Infrastructure where a machine doesn't listen.
    """
    cells = chosen(verdict, explanation)
    if not cells:
        return ()
    state, plan = lab.state, lab.prediction.plan
    scene = Scene(lab.prediction)
    known = {(p.source.name, p.destination.name, p.family): p for p in pairs(plan)}
    asked = {cell: known[cell[0], cell[1], 6 if cell[3] == 6 else 4] for cell in cells}
    numbers = {pair: number for number, pair in enumerate(dict.fromkeys(asked.values()))}
    traces = {cell: trace_of_pair(scene, pair, _packet(cell)) for cell, pair in asked.items()}
    again = tuple(AskedPair(number, pair, TOGETHER) for pair, number in numbers.items())

    def ask() -> None:
        pace = provider(state.provider).pace(state.folder)
        measure(
            plan,
            spawn_as_root(state),
            expectations=lab.prediction.cells,
            asked=Asked(again, ()),
            pace=pace,
        )

    with turn(state.lab, tell):
        tell(f"asking {count(len(cells), 'cell')} of {state.lab} again")
        marks = tuple(chain((MAGIC + b" ", ARP), *(_marks(pair) for pair in numbers)))
        spaces = _together(traces.values())
        caught = sniff(state, spaces, seconds=LONGEST, marks=marks, snap=SNAP, meanwhile=ask)
    return tuple(
        _captured(cell, traces[cell], caught, numbers[pair]) for cell, pair in asked.items()
    )


def chosen(verdict: Verdict, explanation: Explanation | None) -> tuple[Name, ...]:
    """Return the cells that are asked again: of each cause in turn, then of those without one."""
    wrong = {
        (cell.source, cell.destination, str(cell.protocol), cell.family): None
        for cell in verdict.reach
        if cell.differs
    }
    causes = [cause.cells for cause in explanation.causes] if explanation else []
    groups = [[cell for cell in cells if cell in wrong] for cells in causes]
    explained = {cell for cells in groups for cell in cells}
    groups.append([cell for cell in wrong if cell not in explained])
    in_turn = chain.from_iterable(zip_longest(*map(_varied, groups)))
    return tuple(dict.fromkeys(cell for cell in in_turn if cell is not None))[:MOST]


def _varied(cells: Iterable[Name]) -> list[Name]:
    """Return ``cells`` with those first whose ends none before them has."""
    fresh: list[Name] = []
    others: list[Name] = []
    seen: set[str] = set()
    for cell in cells:
        (others if seen & {cell[0], cell[1]} else fresh).append(cell)
        seen |= {cell[0], cell[1]}
    return fresh + others


def _packet(cell: Name) -> Packet:
    word, port = ported(cell[2])
    return Packet() if word == "icmp" else Packet(word, port or PROBE_PORT)


def _together(traces: Iterable[Trace]) -> dict[str, list[tuple[str, str, list[str]]]]:
    """Return all points of ``traces`` by machine, each once."""
    found: dict[str, dict[tuple[str, str], dict[str, None]]] = {}
    for trace in traces:
        for machine, parts in trace.spaces().items():
            for space, kind, devices in parts:
                at = found.setdefault(machine, {}).setdefault((space, kind), {})
                at.update(dict.fromkeys(devices))
    return {
        machine: [(space, kind, list(devices)) for (space, kind), devices in parts.items()]
        for machine, parts in found.items()
    }


def _marks(pair: Pair) -> Iterator[bytes]:
    """Yield what frames of a pair hold: its two addresses one after the other, or who is sought."""
    source, there = _packed(pair)
    yield from (source + there, there + source)
    if pair.family == 6:
        # A solicitation or an advertisement: the end of its flags, then the target (RFC 4861, 4.3).
        yield from (bytes(3) + source, bytes(3) + there)


def _packed(one: Pair | Trace) -> tuple[bytes, bytes]:
    """Return the two addresses as they stand in packets."""
    return ip_address(one.source_address).packed, ip_address(one.destination_address).packed


def _captured(cell: Name, trace: Trace, caught: Caught, number: int) -> Captured:
    points = {trace.name(passage) for passage in trace.passages}
    own = [frame for frame in caught.frames if frame.at in points and _is_of(frame, trace, number)]
    with_ports = _with_source_port(trace, own)
    seen = seen_points(with_ports, replace(caught, frames=own))
    kept, more = own[:MOST_FRAMES], max(0, len(own) - MOST_FRAMES)
    return Captured(cell, tuple(seen), with_ports.last(seen), tuple(kept), more)


def _is_of(frame: Frame, trace: Trace, number: int) -> bool:
    """Whether a frame belongs to the cell that is traced: to its protocol, or finds the way."""
    token = TOKEN.search(frame.data)
    if token:
        return (int(token[1]), token[2].decode()) == (number, trace.packet.protocol)
    source, there = _packed(trace)
    words = summary(frame.data)
    if words.kind == "ARP":
        both = {trace.source_address, trace.destination_address}
        return {words.source, words.destination} == both
    if len(source) == 16 and words.what in ("who has", "is at"):
        return source in frame.data and there in frame.data
    if source + there not in frame.data and there + source not in frame.data:
        return False
    if words.kind in ("TCP", "UDP"):
        # TCP asks and closes without a word of the probe's.
        return words.kind == trace.packet.protocol.upper() and _of_port(frame, trace)
    # An ICMP error quotes what it is about.
    ports = struct.pack("!H", trace.packet.port)
    return trace.packet.protocol == "icmp" or ports in frame.data


def _of_port(frame: Frame, trace: Trace) -> bool:
    return str(trace.packet.port) in summary(frame.data).what.split(" to ")


def _with_source_port(trace: Trace, frames: Iterable[Frame]) -> Trace:
    """Return ``trace`` with the port that the probe asked from, as the first request has it."""
    for frame in frames:
        words = summary(frame.data)
        own, _, other = words.what.partition(" to ")
        if words.kind == trace.packet.protocol.upper() and other == str(trace.packet.port):
            return replace(trace, packet=replace(trace.packet, source_port=int(own)))
    return trace
