"""What ``tc`` shows to take packets: filters with their actions, and queues."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from underlay.faults.evidence.drops import Drop

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBERS = {"1": "icmp", "6": "tcp", "17": "udp"}
SENT = re.compile(r"Sent \d+ bytes (\d+) pkt")
LOST = re.compile(r"\(dropped (\d+)")
WAITING = re.compile(r"\bbacklog \S+ (\d+)p\b")
LOSS = re.compile(r"\bloss (?:random )?(\d+(?:\.\d+)?)%")
# mirred hands the frame to another device, where nobody waits for it.
ACTIONS = re.compile(r"\baction drop\b|\bmirred \(\w+ Redirect|\bpolice\b.*\bdrop\b|\bshot\b")
# What changes a frame, or leaves to a program what becomes of it.
ALTERING = re.compile(
    r"\baction order \d+:\s+(?:pedit|skbedit|skbmod|vlan|nat|tunnel_key|mpls|ife|ct|bpf|connmark)\b"
)
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


# A filter that is a program with a verdict of its own has no action, and counts nothing.
PROGRAM = re.compile(r"\bbpf\b.*\bdirect-action\b")


def of_filters(filters: dict[str, list[str]]) -> Iterator[Drop]:
    """Yield what the filters of ``tc -s filter show`` discard, by device and side."""
    for key, lines in filters.items():
        device, side = key.split()
        command = f"tc -s filter show dev {device} {side}"
        direction = "in" if side == "ingress" else "out"
        for block in _blocks(lines):
            text = "\n".join(block)
            alters = not ACTIONS.search(text)
            if alters and not ALTERING.search(text) and not PROGRAM.search(text):
                continue
            hits = SENT.search(text)
            found = Drop(
                command,
                tuple(line.strip() for line in block if line.strip()),
                direction,
                device,
                alters=alters,
                hits=int(hits.group(1)) if hits else None,
                understood=not alters,
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
    """Yield queues that lose packets on purpose, have no room for any, or don't send them."""
    for number, line in enumerate(lines):
        words = line.split()
        if words[:1] != ["qdisc"] or "dev" not in words or words[1] in QUIET:
            continue
        device = words[words.index("dev") + 1]
        said = []
        for other in lines[number + 1 :]:
            if other.startswith("qdisc"):
                break
            said.append(other.strip())
        counted, waiting = LOST.search(" ".join(said)), WAITING.search(" ".join(said))
        loss = LOSS.search(line)
        every = words[1] == "blackhole" or (loss is not None and float(loss.group(1)) >= 99)
        yield Drop(
            f"tc -s qdisc show dev {device}",
            (line.strip(), *said[:2]),
            "out",
            device,
            hits=sum(int(one.group(1)) for one in (counted, waiting) if one) if counted else None,
            understood=every,
        )
