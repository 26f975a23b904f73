"""What tc discards: filters with a dropping action, and queues that lose what they get."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from underlay.faults.evidence.drops import NUMBERS, Drop

if TYPE_CHECKING:
    from collections.abc import Iterator

SENT = re.compile(r"Sent \d+ bytes (\d+) pkt")
LOST = re.compile(r"\(dropped (\d+)")
LOSS = re.compile(r"\bloss (?:random )?(\d+(?:\.\d+)?)%")
# mirred hands the frame to another device, where nobody waits for it.
ACTIONS = re.compile(r"\baction drop\b|\bmirred \(\w+ Redirect|\bpolice\b.*\bdrop\b|\bshot\b")
KEYS = {
    "src_ip": "source",
    "dst_ip": "destination",
    "src_port": "source_port",
    "dst_port": "destination_port",
    "ip_proto": "protocol",
    "src_mac": "source_mac",
    "dst_mac": "destination_mac",
    "vlan_id": "vlan",
    "icmp_type": "icmp_type",
}
NAMES = {**NUMBERS, "icmpv6": "ipv6-icmp", "58": "ipv6-icmp"}
QUIET = ("noqueue", "pfifo_fast", "pfifo", "fq", "fq_codel", "mq", "clsact", "ingress", "sfq")


def of_filters(filters: dict[str, list[str]]) -> Iterator[Drop]:
    """Yield what the filters of ``tc -s filter show`` discard, by device and side."""
    for key, lines in filters.items():
        device, side = key.split()
        command = f"tc -s filter show dev {device} {side}"
        direction = "in" if side == "ingress" else "out"
        for block in _blocks(lines):
            text = "\n".join(block)
            if not ACTIONS.search(text):
                continue
            hits = SENT.search(text)
            found = Drop(
                command,
                tuple(line.strip() for line in block if line.strip()),
                direction,
                device,
                hits=int(hits.group(1)) if hits else None,
            )
            yield _matched(found, block)


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """A filter is a header and, where it has a handle, a second header with its action."""
    block: list[str] = []
    for line in lines:
        if line.startswith("filter") and any(
            mark in "\n".join(block) for mark in ("action order", "Sent ")
        ):
            yield block
            block = []
        block.append(line)
    if block:
        yield block


def _matched(found: Drop, block: list[str]) -> Drop:
    words = " ".join(block).split()
    if "protocol" in words:
        found = replace(found, frames=words[words.index("protocol") + 1])
    kind = next((w for w in ("matchall", "flower", "u32", "bpf", "basic", "fw") if w in words), "")
    if kind == "flower":
        for key, name in KEYS.items():
            if key in words:
                value = words[words.index(key) + 1]
                value = NAMES.get(value, value) if key == "ip_proto" else value
                found = replace(found, **{name: (True, value)})  # type: ignore[arg-type]
    elif kind != "matchall":
        found = replace(found, understood=False)
    return found


def of_qdiscs(lines: list[str]) -> Iterator[Drop]:
    """Yield root queues that lose packets on purpose or have no room for any."""
    for number, line in enumerate(lines):
        words = line.split()
        if words[:1] != ["qdisc"] or "dev" not in words or words[1] in QUIET:
            continue
        device = words[words.index("dev") + 1]
        counted = LOST.search(lines[number + 1]) if number + 1 < len(lines) else None
        loss = LOSS.search(line)
        every = words[1] == "blackhole" or (loss is not None and float(loss.group(1)) >= 99)
        shown = [line.strip()] + [other.strip() for other in lines[number + 1 : number + 2]]
        yield Drop(
            f"tc -s qdisc show dev {device}",
            tuple(shown),
            "out",
            device,
            hits=int(counted.group(1)) if counted else None,
            understood=every,
        )
