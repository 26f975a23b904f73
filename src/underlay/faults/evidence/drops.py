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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.expect.passages import Packet

PORT = 27007
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
        port, ephemeral = str(PORT), "ephemeral"
        sport, dport = (ephemeral, port) if packet.request else (port, ephemeral)
        if packet.outer:
            sport, dport = ephemeral, str(packet.port or "")
        kind = ECHO_REQUEST if packet.request else ECHO_REPLY
        icmp = packet.protocol == "icmp"
        return (
            _is(self.protocol, packet.protocol if packet.family == 4 or not icmp else "ipv6-icmp")
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
    """Follow a rule into the chain it jumps to, as far as that discards something."""
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
