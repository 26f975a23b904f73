"""Capturing: leads sniff.py on several machines of a lab at once, for ``capture`` and ``trace``.

Frames are read from its lines, written as a pcap file, and summed up in words.
"""

from __future__ import annotations

import base64
import json
import struct
import subprocess
import threading
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from itertools import chain
from typing import TYPE_CHECKING, Any

from underlay.cluster.access import spawn_as_root, start_at_switch
from underlay.cluster.process import close, tail
from underlay.errors import Infrastructure
from underlay.observe.commands import sniff_command
from underlay.plan import SWITCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from underlay.cluster.state.lab import LabState

    Spaces = dict[str, list[tuple[str, str, list[str]]]]

READY = 30.0  # s until every machine listens
MARGIN = 30.0  # s that a machine gets beyond its time to say its last word
END = 2.0  # s that one gets that doesn't listen
# Little-endian pcap with nanoseconds and Ethernet frames; draft-ietf-opsawg-pcap.
MAGIC, ETHERNET, LONGEST_FRAME = 0xA1B23C4D, 1, 262144
VLAN_TYPES = (0x8100, 0x88A8)
ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}
ECHO = {(1, 8): "echo request", (1, 0): "echo reply", (58, 128): "echo request"}
ECHO |= {(58, 129): "echo reply", (58, 135): "who has", (58, 136): "is at"}


@dataclass(frozen=True)
class Caught:
    """What was captured: frames in the order of time.

    ``missing`` are the points that nobody listened at, or not to the end, each with the reason;
    ``lost`` is how many frames came to a point faster than they could be read, where any did.
    """

    frames: Sequence[Frame]
    missing: Mapping[str, str]
    lost: Mapping[str, int]


class _Listener:
    """One machine's sniff.py: it is ready once its first line is there."""

    def __init__(self, machine: str, process: subprocess.Popen[bytes]) -> None:
        self.machine, self.process = machine, process
        self.frames: list[Frame] = []
        self.missing: dict[str, str] = {}
        self.points: list[str] = []
        self.lost: dict[str, int] | None = None
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            row = json.loads(line)
            if "ready" in row:
                self.points, self.missing = row["ready"], row["missing"]
                self.ready.set()
            elif "lost" in row:
                self.lost = row["lost"]
            else:
                self.frames.append(frame_from(row))
        self.ready.set()

    def complaint(self) -> str:
        """End it, and return the last line of its standard error."""
        close(self.process, END)
        assert self.process.stderr is not None
        said = self.process.stderr.read().decode(errors="replace")
        return tail(said, 1).strip()

    def end(self) -> None:
        """Close its stdin, which ends it, and read what is left."""
        close(self.process, MARGIN)
        self.thread.join(MARGIN)
        if self.lost is None:
            why = f"{self.machine} was gone before capturing ended"
            self.missing |= dict.fromkeys(self.points, why)


def sniff(
    state: LabState,
    spaces: Spaces,
    *,
    seconds: float,
    count: int = 0,
    marks: tuple[bytes, ...] = (),
    program: list[list[int]] | None = None,
    snap: int = 256,
    meanwhile: Callable[[], object] | None = None,
) -> Caught:
    """Capture at all points of ``spaces``, by machine, and return what was seen there.

    Only frames that hold one of ``marks`` and pass ``program`` are reported, any without them.
    ``meanwhile`` is called once all machines listen; when it returns, capturing ends a moment
    later. An interrupt ends it, too, and keeps what there is. Raises Infrastructure where a
    machine doesn't listen.
    """
    spawn = spawn_as_root(state)

    def start(machine: str) -> subprocess.Popen[bytes]:
        arguments = sniff_command(
            spaces[machine], seconds=seconds, count=count, marks=marks, program=program, snap=snap
        )
        if machine == SWITCH:
            return start_at_switch(state, arguments)
        return spawn(machine, arguments)

    def refuse(machine: str, _code: int, _complaint: str) -> None:
        raise Infrastructure(f"capturing did not start on {machine}")

    return listened(start, spaces, seconds=seconds, meanwhile=meanwhile, silent=refuse)


def listened(
    start: Callable[[str], subprocess.Popen[bytes]],
    machines: Iterable[str],
    *,
    seconds: float,
    silent: Callable[[str, int, str], None],
    meanwhile: Callable[[], object] | None = None,
) -> Caught:
    """Have the sniff.py that ``start`` starts listen on each of ``machines``; return as ``sniff``.

    ``silent`` is told of a machine where none listens, with its exit code and the last line of its
    complaint; where it raises, all end.
    """
    listeners: dict[str, _Listener] = {}
    try:
        for machine in machines:
            listeners[machine] = _Listener(machine, start(machine))
        for machine, listener in listeners.items():
            if not listener.ready.wait(READY) or listener.process.poll() not in (None, 0):
                complaint = listener.complaint()
                silent(machine, listener.process.returncode, complaint)
        if meanwhile is None:
            for listener in listeners.values():
                listener.process.wait(seconds + MARGIN)
        else:
            meanwhile()
    except KeyboardInterrupt:
        if meanwhile is not None:
            raise
    except OSError as error:
        raise Infrastructure(f"capturing did not start: {error}") from error
    finally:
        for listener in listeners.values():
            listener.end()
    frames = chain.from_iterable(one.frames for one in listeners.values())
    return Caught(
        sorted(frames, key=lambda frame: frame.time),
        {name: why for one in listeners.values() for name, why in one.missing.items()},
        {name: number for one in listeners.values() for name, number in (one.lost or {}).items()},
    )


@dataclass(frozen=True)
class Frame:
    """One frame where it was seen. ``at`` is the point's name, ``time`` the machine's own."""

    at: str
    time: float
    out: bool
    length: int
    data: bytes


@dataclass(frozen=True)
class Summary:
    """A frame's headers in words: ``kind`` is ARP or a protocol's name, ``what`` its message."""

    kind: str
    what: str
    source: str
    destination: str
    vlan: int | None


def frame_from(row: dict[str, Any]) -> Frame:
    """Return the frame of one line of sniff.py's."""
    data = base64.b64decode(row["data"])
    return Frame(row["at"], row["time"], row["out"], row["length"], data)


def pcap(frames: Iterable[Frame]) -> bytes:
    """Return the frames as a pcap file, with nanoseconds."""
    parts = [struct.pack("<IHHiIII", MAGIC, 2, 4, 0, 0, LONGEST_FRAME, ETHERNET)]
    for frame in frames:
        seconds = int(frame.time)
        nanoseconds = int((frame.time - seconds) * 1e9)
        head = struct.pack("<IIII", seconds, nanoseconds, len(frame.data), frame.length)
        parts += [head, frame.data]
    return b"".join(parts)


def summary(data: bytes) -> Summary:
    """Return a frame's headers in words. An unknown EtherType is given as its number."""
    if len(data) < 14:
        return Summary("short", "", "", "", None)
    kind, offset, vlan = struct.unpack_from("!H", data, 12)[0], 14, None
    if kind in VLAN_TYPES and len(data) >= 18:
        tag, kind = struct.unpack_from("!HH", data, 14)
        offset, vlan = 18, tag & 0xFFF
    body = data[offset:]
    if kind == ARP and len(body) >= 28:
        what = "who has" if struct.unpack_from("!H", body, 6)[0] == 1 else "is at"
        asker, asked = (str(IPv4Address(body[at : at + 4])) for at in (14, 24))
        return Summary("ARP", what, asker, asked, vlan)
    if kind == IPV4 and len(body) >= 20:
        inner = body[(body[0] & 15) * 4 :]
        source, there = (str(IPv4Address(body[at : at + 4])) for at in (12, 16))
        return Summary(*_inner(body[9], inner), source, there, vlan)
    if kind == IPV6 and len(body) >= 40:
        source, there = str(IPv6Address(body[8:24])), str(IPv6Address(body[24:40]))
        return Summary(*_inner(body[6], body[40:]), source, there, vlan)
    return Summary(f"0x{kind:04x}", "", "", "", vlan)


def _inner(protocol: int, inner: bytes) -> tuple[str, str]:
    name = PROTOCOLS.get(protocol, f"protocol {protocol}")
    if protocol in (6, 17) and len(inner) >= 4:
        source, there = struct.unpack_from("!HH", inner)
        return name, f"{source} to {there}"
    kind = inner[0] if inner else -1
    return name, ECHO.get((protocol, kind), f"type {kind}")
