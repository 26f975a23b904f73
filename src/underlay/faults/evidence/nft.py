"""What ``nft list ruleset`` shows to take packets: rules and policies of base chains."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from underlay.faults.evidence.drops import Drop

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAIN = re.compile(r"type \w+ hook (\w+)(?: device \"?(\S+?)\"?)? priority [^;]*;(.*)$")
COUNTER = re.compile(r"counter packets (\d+)")
JUMP = re.compile(r"\b(?:jump|goto) (\S+)")
VERDICT = re.compile(r"\b(?:drop|reject)\b")
# What leads packets elsewhere or changes them.
ALTERING = re.compile(
    r"\b(?:dnat|redirect|tproxy|queue|fwd|dup|snat)\b"
    r"|\b(?:ether|ip6?|tcp|udp|vlan|meta mark) \w* ?set\b"
)
FRAMES = {"ip": "ip", "ip6": "ipv6", "arp": "arp"}
DEPTH = 5
DIRECTIONS = {"input": "in", "prerouting": "in", "ingress": "in", "output": "out"}
DIRECTIONS |= {"postrouting": "out", "egress": "out", "forward": "forward"}
MATCHES = (
    (re.compile(r"\bether saddr (!= )?([0-9a-f:]{17})"), "source_mac"),
    (re.compile(r"\bether daddr (!= )?([0-9a-f:]{17})"), "destination_mac"),
    (re.compile(r"\bvlan id (!= )?(\d+)"), "vlan"),
    (re.compile(r"\b(?:ip6?|arp) saddr (?:ip )?(!= )?([0-9a-f:./]+)(?= |$)"), "source"),
    (re.compile(r"\b(?:ip6?|arp) daddr (?:ip )?(!= )?([0-9a-f:./]+)(?= |$)"), "destination"),
    (re.compile(r"\barp operation (!= )?(\w+)"), "operation"),
    (re.compile(r"\b(?:ip protocol|meta l4proto) (!= )?(\w+)"), "protocol"),
    (re.compile(r"\b(?:tcp|udp|th) dport (!= )?(\d+)"), "destination_port"),
    (re.compile(r"\b(?:tcp|udp|th) sport (!= )?(\d+)"), "source_port"),
    (re.compile(r"\bicmp(?:v6)? type (!= )?([\w-]+)"), "icmp_type"),
)
DEVICE = re.compile(r"\b(iif|oif)(?:name)? \"?([\w.-]+)\"?")
KNOWN = re.compile(
    r"\b(?:counter packets \d+ bytes \d+|drop|reject.*|ether type \S+|meta protocol \S+"
    r"|(?:jump|goto) \S+|log(?: prefix \"[^\"]*\")?(?: level \S+)?|comment \"[^\"]*\")(?= |$)"
)


class _Chain(NamedTuple):
    """A chain: what all its rules have in common where it is a base chain, and its rules."""

    base: Drop | None
    rules: list[str]


def of_nft(lines: list[str]) -> Iterator[Drop]:
    """Yield the rules and policies of base chains that take packets, and of those they jump to."""
    chains: dict[tuple[str, str], _Chain] = {}
    table = name = ""
    for line in map(str.strip, lines):
        words = line.split()
        if line.startswith("table "):
            table, name = line.rstrip(" {"), ""
        elif line.startswith("chain "):
            name = words[1]
            chains[table, name] = _Chain(None, [])
        elif words[:1] and words[0] in OTHER_BLOCKS and line.endswith("{"):
            name = ""
        elif name and (hook := CHAIN.match(line)):
            direction = DIRECTIONS.get(hook.group(1), "")
            frames = FRAMES.get(words_of(table)[1], "all")
            base = Drop("nft list ruleset", (table, line), direction, hook.group(2) or "",
                        frames=frames)  # fmt: skip
            chains[table, name] = _Chain(base, [])
            if direction and "policy drop" in hook.group(3):
                yield base
        elif name and line != "}":
            chains[table, name].rules.append(line)
    for (owner, _), chain in chains.items():
        if chain.base and chain.base.direction:
            yield from _followed(chain.base, owner, chain.rules, chains, DEPTH)


OTHER_BLOCKS = {"set", "map", "meter", "flowtable", "counter", "quota", "limit", "ct", "secmark"}


def words_of(table: str) -> list[str]:
    """Return a table's line as words, at least two."""
    return [*table.split(), "", ""]


def _followed(
    base: Drop,
    table: str,
    rules: list[str],
    chains: dict[tuple[str, str], _Chain],
    depth: int,
) -> Iterator[Drop]:
    for line in rules:
        found = _rule(replace(base, lines=(table, line)), line)
        jump = JUMP.search(line)
        if VERDICT.search(line):
            yield replace(found, understood=found.understood and base.understood)
        elif ALTERING.search(line):
            yield replace(found, alters=True, understood=False)
        elif jump and depth and (table, jump.group(1)) in chains:
            inner = chains[table, jump.group(1)].rules
            both = replace(found, understood=found.understood and base.understood)
            yield from _followed(both, table, inner, chains, depth - 1)


# What a rule that refuses says of its answer isn't about the packets that it takes.
ANSWERED = re.compile(r"\breject\b.*")


def _rule(found: Drop, line: str) -> Drop:
    refuses = ANSWERED.search(line) is not None
    rest, line = KNOWN.sub("", line), ANSWERED.sub("", line)
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
    if match := re.search(r"\b(?:ether type|meta protocol) (\S+)", line):
        found = replace(found, frames={**FRAMES, "8021q": "all"}.get(match.group(1), "all"))
    if re.search(r"\barp (?:operation|[sd]addr)\b", line):
        found = replace(found, frames="arp")
    counted = COUNTER.search(line)
    return replace(
        found,
        hits=int(counted.group(1)) if counted else None,
        refuses=refuses,
        understood=not rest.strip(),
    )
