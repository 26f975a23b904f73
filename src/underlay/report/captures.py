"""Cells that differ and were asked again: where their packets were seen, as text, JSON and pcap."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from rich.text import Text

from underlay.errors import count
from underlay.expect import asked_as
from underlay.report.page import Page
from underlay.report.terminal import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from underlay.observe.capture import Frame
    from underlay.proof.captured import Captured
    from underlay.proof.trace import Point

# draft-ietf-opsawg-pcapng: blocks, Ethernet, and what the options' numbers mean.
SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
BYTE_ORDER, ETHERNET, LONGEST_FRAME = 0x1A2B3C4D, 1, 262144
END, NAME, RESOLUTION, FLAGS = 0, 2, 9, 2
NANOSECONDS, INBOUND, OUTBOUND = 9, 1, 2


def captures_text(captures: Sequence[Captured], *, width: int, ascii_only: bool) -> Text:
    """Return a line for each cell that was asked again; nothing where none was."""
    if not captures:
        return Text()
    page = Page(width, ascii_only)
    page.text.append("\nAsked again, and captured\n", "bold")
    for one in captures:
        source, there, protocol, family = one.cell
        label = asked_as(protocol, 6 if family == 6 else 4)
        page.line(f"{source} → {there} ({label}): {one.last}", indent=4, first="    ")
    frames = sum(len(one.frames) for one in captures)
    words = f"{count(frames, 'frame')} are kept with the run: report --format pcap"
    page.text.append(f"      {words}\n", "dim")
    return plain(page)


def captures_document(captures: Iterable[Captured]) -> dict[str, Any]:
    """Return the cells that were asked again as JSON values, without their frames."""
    return {
        "captures": [
            {
                **dict(zip(("source", "destination", "protocol", "family"), one.cell, strict=True)),
                "last_seen": one.last,
                "frames": len(one.frames) + one.more,
                "hops": hops_document(one.points),
            }
            for one in captures
        ]
    }


def hops_document(points: Iterable[Point]) -> list[dict[str, Any]]:
    """Return the points that a packet and its answer pass as JSON values."""
    return [
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
    ]


def pcapng(frames: Iterable[Frame]) -> bytes:
    """Return frames as a pcapng file that names the point at which each of them was seen.

    Wireshark shows it as the frame's interface, with the direction in which it passed there.
    """
    ordered = sorted(dict.fromkeys(frames), key=lambda frame: frame.time)
    names = {name: number for number, name in enumerate(dict.fromkeys(f.at for f in ordered))}
    head = struct.pack("<IHHq", BYTE_ORDER, 1, 0, -1)
    parts = [_block(SECTION, head)]
    for name in names:
        options = _option(NAME, name.encode()) + _option(RESOLUTION, bytes([NANOSECONDS]))
        interface = struct.pack("<HHI", ETHERNET, 0, LONGEST_FRAME)
        parts.append(_block(INTERFACE, interface + options + _option(END, b"")))
    for frame in ordered:
        # A float has not enough digits for seconds and nanoseconds at once.
        seconds = int(frame.time)
        stamp = seconds * 10**9 + round((frame.time - seconds) * 1e9)
        sizes = (len(frame.data), frame.length)
        packet = struct.pack("<5I", names[frame.at], stamp >> 32, stamp & 0xFFFFFFFF, *sizes)
        way = struct.pack("<I", OUTBOUND if frame.out else INBOUND)
        options = _option(FLAGS, way) + _option(END, b"")
        parts.append(_block(PACKET, packet + _padded(frame.data) + options))
    return b"".join(parts)


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def _option(kind: int, value: bytes) -> bytes:
    return struct.pack("<HH", kind, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
