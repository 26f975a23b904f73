"""What discards packets: rules of iptables, filters and queues of tc, rules of nft, as one kind.

A ``Drop`` is read from the text that these programs print. It knows which packets it takes, as
far as its words are understood: a word that isn't leaves it a possible cause, not a certain one.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from underlay.expect import split_protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.expect.passages import Packet

NUMBERS = {"1": "icmp", "6": "tcp", "17": "udp"}
ECHO_REQUEST, ECHO_REPLY = ("8", "128", "echo-request"), ("0", "129", "echo-reply")
# Neighbour discovery's messages, by number and by ip6tables' and nft's words.
ND_TYPES = {
    "133": "router-solicitation",
    "134": "router-advertisement",
    "135": "neighbour-solicitation",
    "136": "neighbour-advertisement",
    "137": "redirect",
}
ND_TYPES |= {name: name for name in list(ND_TYPES.values())}
ND_TYPES |= {
    "neighbor-solicitation": "neighbour-solicitation",
    "neighbor-advertisement": "neighbour-advertisement",
    "nd-neighbor-solicit": "neighbour-solicitation",
    "nd-neighbor-advert": "neighbour-advertisement",
}
# What a filter is about. Without ARP no IPv4 packet follows.
FAMILIES = {"ip": (4,), "arp": (4,), "ipv6": (6,)}
Wanted = tuple[bool, str]


@dataclass(frozen=True)
class Drop:
    """One thing that discards packets. Each match is (is it the value?, value), or None.

    ``direction`` is in, out or forward; ``device`` is empty for any, and ``hook`` is the
    built-in chain of iptables that it hangs on. ``hits`` counts the
    packets that it took, None where nothing counts. ``understood`` says that every word of
    it is known.
    """

    command: str
    lines: tuple[str, ...]
    direction: str
    device: str = ""
    hook: str = ""
    protocol: Wanted | None = None
    source: Wanted | None = None
    destination: Wanted | None = None
    source_port: Wanted | None = None
    destination_port: Wanted | None = None
    icmp_type: Wanted | None = None
    source_mac: Wanted | None = None
    destination_mac: Wanted | None = None
    vlan: Wanted | None = None
    frames: str = "all"
    refuses: bool = False
    hits: int | None = None
    understood: bool = True

    def takes(self, packet: Packet) -> bool:
        """Whether it would discard this packet, by what is understood of it."""
        if packet.family not in FAMILIES.get(self.frames, (4, 6)):
            return False
        word, number = split_protocol(packet.protocol)
        port, ephemeral = str(number), "ephemeral"
        sport, dport = (ephemeral, port) if packet.request else (port, ephemeral)
        if packet.outer:
            sport, dport = ephemeral, str(packet.port or "")
        kind = ECHO_REQUEST if packet.request else ECHO_REPLY
        icmp = word == "icmp"
        return (
            _is(self.protocol, word if packet.family == 4 or not icmp else "ipv6-icmp")
            and _inside(self.source, packet.source)
            and _inside(self.destination, packet.destination)
            and _port(self.source_port, "" if icmp else sport)
            and _port(self.destination_port, "" if icmp else dport)
            and (
                self.icmp_type is None
                or (icmp and (self.icmp_type[1] in kind) is self.icmp_type[0])
            )
            and _is(self.source_mac, packet.source_mac)
            and _is(self.destination_mac, packet.destination_mac)
            and _is(self.vlan, str(packet.vlan or ""))
        )

    @property
    def of_tc(self) -> bool:
        """Whether it is a filter or queue of tc."""
        return self.command.startswith("tc ")

    @property
    def selective(self) -> bool:
        """Whether it takes only some of the protocols' packets."""
        return any((self.protocol, self.source_port, self.destination_port, self.icmp_type))


def _is(wanted: Wanted | None, value: str) -> bool:
    return wanted is None or (wanted[1].lower() == value.lower()) is wanted[0]


def _inside(wanted: Wanted | None, address: str) -> bool:
    if wanted is None:
        return True
    try:
        network = ip_network(wanted[1], strict=False)
        return (ip_address(address) in network) is wanted[0]
    except ValueError:
        return True


def _port(wanted: Wanted | None, value: str) -> bool:
    """Client ports are unknown: a range that holds many of them is taken to hold ours."""
    if wanted is None:
        return True
    if not value:
        return False
    low, _, high = wanted[1].partition(":")
    if value == "ephemeral":
        return (bool(high) and int(high or 0) >= 60000) is wanted[0]
    return (int(low or 0) <= int(value) <= int(high or low or 0)) is wanted[0]


HOOKS = {
    "INPUT": "in",
    "PREROUTING": "in",
    "OUTPUT": "out",
    "POSTROUTING": "out",
    "FORWARD": "forward",
}
COUNTED = re.compile(r"^\[(\d+):\d+\] (.*)$")
POLICY = re.compile(r"^:(\S+) DROP \[(\d+):\d+\]$")
OWN = "filters["
WITHOUT_MEANING = {"-m", "--comment", "--reject-with", "--wait"}


def of_iptables(lines: list[str], program: str = "iptables") -> Iterator[Drop]:
    """Yield what ``iptables-save -c`` shows to discard packets, by the built-in chains."""
    rules: dict[tuple[str, str], list[tuple[int, str, list[str]]]] = {}
    table = ""
    command = f"{program}-save -c"
    frames = "ipv6" if program == "ip6tables" else "ip"
    for line in lines:
        if line.startswith("*"):
            table = line[1:]
        elif found := POLICY.match(line):
            chain, hits = found.groups()
            if chain in HOOKS:
                yield Drop(
                    command, (f"*{table}", line), HOOKS[chain], hook=chain, frames=frames,
                    hits=int(hits),
                )  # fmt: skip
        elif found := COUNTED.match(line):
            words = shlex.split(found.group(2))
            if words[:1] == ["-A"]:
                rules.setdefault((table, words[1]), []).append(
                    (int(found.group(1)), line, words[2:])
                )
    for (table, chain), entries in rules.items():
        for hits, line, words in entries if chain in HOOKS else ():
            base = Drop(command, (f"*{table}",), HOOKS[chain], hook=chain, frames=frames)
            yield from _followed(base, hits, line, words, table, rules, depth=0)


def _followed(
    base: Drop,
    hits: int,
    line: str,
    words: list[str],
    table: str,
    rules: dict[tuple[str, str], list[tuple[int, str, list[str]]]],
    depth: int,
) -> Iterator[Drop]:
    """Follow a rule into the chain it jumps to, as far as that discards something.

    The lab's own filters are no fault: they are known by their comments.
    """
    if any(word.startswith(OWN) for word in words):
        return
    found, target = _matches(base, words)
    found = replace(found, hits=hits, lines=(*base.lines, line))
    if target in ("DROP", "REJECT", "TARPIT"):
        yield replace(found, refuses=target == "REJECT")
    elif depth < 5:
        for inner_hits, inner, inner_words in rules.get((table, target), ()):
            yield from _followed(found, inner_hits, inner, inner_words, table, rules, depth + 1)


OPTIONS = {
    "-s": "source",
    "-d": "destination",
    "-p": "protocol",
    "--sport": "source_port",
    "--dport": "destination_port",
    "--dports": "destination_port",
    "--icmp-type": "icmp_type",
    "--icmpv6-type": "icmp_type",
    "--mac-source": "source_mac",
}


def _matches(base: Drop, words: list[str]) -> tuple[Drop, str]:
    """Return ``base`` with a rule's matches added, and the rule's target."""
    found, target, position, yes = base, "", 0, True
    while position < len(words):
        word = words[position]
        value = words[position + 1] if position + 1 < len(words) else ""
        position += 2
        if word == "!":
            yes, position = False, position - 1
            continue
        if word in ("-j", "-g"):
            target = value
        elif word in ("-i", "-o"):
            found = replace(found, device=value)
        elif word in OPTIONS:
            found = replace(found, **{OPTIONS[word]: (yes, value)})  # type: ignore[arg-type]
        elif word not in WITHOUT_MEANING:
            found = replace(found, understood=False)
        yes = True
    return found, target


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
