"""A slow or lossy wire between two interfaces: frames pass through here, one by one.

    python probe_wire.py LEFT RIGHT EFFECT…

The left end leads to one node, the right one to everybody else. Each EFFECT is

    WAY drop first WHAT      the first frame of each flow is lost
    WAY drop odd WHAT        so are the third, the fifth, and so on
    WAY drop even WHAT       the others are
    WAY drop both WHAT       the first two are
    WAY drop every WHAT      all of them are
    WAY delay SECONDS WHAT   each comes that much later
    WAY repeat SECONDS WHAT  each comes, and once more that much later

WAY is ``out``, to the right, or ``in``. WHAT is ``arp``, ``nd`` for IPv6's neighbour
solicitations and advertisements, ``request`` or ``answer`` for
the probe's own packets, or ``frame`` for all there is. A flow is two addresses and a
protocol. Everything else passes as it came.
"""

from __future__ import annotations

import heapq
import select
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Hashable, Iterator

PORT = 27007  # of underlay.observe.tasks, whose import takes long
ALL = 3  # ETH_P_ALL
ICMP6, ND = 58, (135, 136)  # a solicitation, an advertisement
SOL_PACKET, IGNORE_OUTGOING, VNET_HDR = 263, 23, 15
VNET = 10  # bytes of a virtio_net_hdr: sums left to the hardware stay so
WHICH = {
    "first": lambda n: n == 0,
    "odd": lambda n: n % 2 == 0,
    "even": lambda n: n % 2 == 1,
    "both": lambda n: n < 2,
    "every": lambda n: True,
}


def end(name: str) -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    made.setsockopt(SOL_PACKET, VNET_HDR, 1)
    made.setsockopt(SOL_PACKET, IGNORE_OUTGOING, 1)
    made.bind((name, ALL))
    return made


def kinds(frame: bytes) -> Iterator[tuple[str, Hashable]]:
    """Yield what the frame is, and of which flow."""
    ether, inner = frame[12:14], frame[14:]
    yield "frame", ""
    if ether == b"\x08\x06":
        yield "arp", (inner[6:8], inner[14:18], inner[24:28])
    if ether == b"\x86\xdd" and inner[6] == ICMP6 and inner[40] in ND:
        yield "nd", (inner[40], inner[8:40], inner[48:64])
    if ether != b"\x08\x00":
        return
    head, number = (inner[0] & 15) * 4, inner[9]
    flow = (number, inner[12:16], inner[16:20])
    first, second = struct.unpack_from("!HH", inner, head)
    if (number == 1 and first >> 8 == 8) or (number in (6, 17) and second == PORT):
        yield "request", flow
    if (number == 1 and first >> 8 == 0) or (number in (6, 17) and first == PORT):
        yield "answer", flow


class Wire:
    """Both directions, each with its effects, and the frames that are on their way."""

    def __init__(self, effects: list[str]) -> None:
        self.effects = [words.split() for words in effects]
        self.counted: Counter[Hashable] = Counter()
        self.late: list[tuple[float, int, bool, bytes]] = []
        self.taken = 0

    def take(self, way: str, frame: bytes) -> None:
        lost, delay, again = False, 0.0, []
        for kind, flow in kinds(frame[VNET:]):
            for _, effect, how, _ in (e for e in self.effects if (e[0], e[3]) == (way, kind)):
                if effect == "delay":
                    delay += float(how)
                elif effect == "repeat":
                    again.append(float(how))
                else:
                    lost = lost or WHICH[how](self.counted[way, kind, flow])
            self.counted[way, kind, flow] += 1
        for later in () if lost else (0.0, *again):
            self.taken += 1
            due = time.monotonic() + delay + later
            heapq.heappush(self.late, (due, self.taken, way == "out", frame))


def main(left: str, right: str, effects: list[str]) -> None:
    wire = Wire(effects)
    ends = end(left), end(right)
    while True:
        wait = max(0.0, wire.late[0][0] - time.monotonic()) if wire.late else None
        for made in select.select(ends, [], [], wait)[0]:
            wire.take("out" if made is ends[0] else "in", made.recv(1 << 17))
        while wire.late and wire.late[0][0] <= time.monotonic():
            _, _, out, frame = heapq.heappop(wire.late)
            ends[out].send(frame)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
