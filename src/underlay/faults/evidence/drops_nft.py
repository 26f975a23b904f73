"""What nft's rules discard, read from ``nft list ruleset``: the bridge family's and others'."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from underlay.faults.evidence.drops import Drop

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAIN = re.compile(r"type \w+ hook (\w+)(?: device \"?(\S+?)\"?)? priority [^;]*;(.*)$")
COUNTER = re.compile(r"counter packets (\d+)")
DIRECTIONS = {"input": "in", "prerouting": "in", "ingress": "in", "output": "out"}
DIRECTIONS |= {"postrouting": "out", "egress": "out", "forward": "forward"}
MATCHES = (
    (re.compile(r"\bether saddr (!= )?([0-9a-f:]{17})"), "source_mac"),
    (re.compile(r"\bether daddr (!= )?([0-9a-f:]{17})"), "destination_mac"),
    (re.compile(r"\bvlan id (!= )?(\d+)"), "vlan"),
    (re.compile(r"\bip saddr (!= )?([0-9./]+)"), "source"),
    (re.compile(r"\bip daddr (!= )?([0-9./]+)"), "destination"),
    (re.compile(r"\b(?:ip protocol|meta l4proto) (!= )?(\w+)"), "protocol"),
    (re.compile(r"\b(?:tcp|udp|th) dport (!= )?(\d+)"), "destination_port"),
    (re.compile(r"\b(?:tcp|udp|th) sport (!= )?(\d+)"), "source_port"),
    (re.compile(r"\bicmp(?:v6)? type (!= )?([\w-]+)"), "icmp_type"),
)
DEVICE = re.compile(r"\b(iif|oif)(?:name)? \"?([\w.-]+)\"?")
KNOWN = re.compile(
    r"(?:\b(?:counter packets \d+ bytes \d+|drop|reject.*|ether type \S+|meta protocol \S+)\b)"
)


def of_nft(lines: list[str]) -> Iterator[Drop]:
    """Yield the rules and policies of base chains that discard packets."""
    direction = device = table = ""
    for line in map(str.strip, lines):
        if line.startswith("table "):
            table = line.rstrip(" {")
        elif line.startswith("chain "):
            direction = device = ""
        elif hook := CHAIN.match(line):
            direction, device = DIRECTIONS.get(hook.group(1), ""), hook.group(2) or ""
            if direction and "policy drop" in hook.group(3):
                yield Drop("nft list ruleset", (table, line), direction, device)
        elif direction and re.search(r"\b(?:drop|reject)\b", line):
            yield _rule(Drop("nft list ruleset", (table, line), direction, device), line)


def _rule(found: Drop, line: str) -> Drop:
    rest = KNOWN.sub("", line)
    for pattern, name in MATCHES:
        if match := pattern.search(line):
            found = replace(found, **{name: (not match.group(1), match.group(2))})  # type: ignore[arg-type]
            rest = pattern.sub("", rest)
    if match := DEVICE.search(line):
        direction = "in" if match.group(1) == "iif" else "out"
        found = replace(found, direction=direction, device=match.group(2))
        rest = DEVICE.sub("", rest)
    for word in ("tcp", "udp"):
        if re.search(rf"\b{word} [sd]port\b", line):
            found = replace(found, protocol=(True, word))
    if re.search(r"\bicmp type\b", line):
        found = replace(found, protocol=(True, "icmp"))
    if re.search(r"\bicmpv6 type\b", line):
        found = replace(found, protocol=(True, "ipv6-icmp"), frames="ipv6")
    if match := re.search(r"\bether type (\S+)", line):
        found = replace(found, frames={"ip": "ip", "arp": "arp"}.get(match.group(1), "all"))
    counted = COUNTER.search(line)
    return replace(
        found,
        hits=int(counted.group(1)) if counted else None,
        refuses="reject" in line,
        understood=not rest.strip(),
    )
