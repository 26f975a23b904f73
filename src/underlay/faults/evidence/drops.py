"""What takes packets: rules of iptables and nft, filters and queues of tc, as one kind.

A ``Drop`` is read from the text that these programs print, by the modules beside this one. It
knows which packets it takes, as far as its words are understood: a word that isn't leaves it a
possible cause, not a certain one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from underlay.expect import split_protocol

if TYPE_CHECKING:
    from underlay.expect.passages import Packet

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
    "nd-router-solicit": "router-solicitation",
    "nd-router-advert": "router-advertisement",
    "nd-redirect": "redirect",
    "nd-neighbor-solicit": "neighbour-solicitation",
    "nd-neighbor-advert": "neighbour-advertisement",
}
# What a filter is about. Without ARP no IPv4 packet follows.
FAMILIES = {"ip": (4,), "arp": (4,), "ipv6": (6,)}
Wanted = tuple[bool, str]


@dataclass(frozen=True)
class Drop:
    """One thing that takes packets. Each match is (is it the value?, value), or None.

    ``direction`` is in, out or forward; ``device`` is empty for any, and ``hook`` is the
    built-in chain of iptables that it hangs on. ``hits`` counts the packets that it took, None
    where nothing counts. ``understood`` says that every word of it is known, ``alters`` that it
    doesn't discard a packet but changes it or leads it elsewhere. ``operation`` is ARP's.
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
    operation: Wanted | None = None
    frames: str = "all"
    refuses: bool = False
    alters: bool = False
    hits: int | None = None
    understood: bool = True

    def takes(self, packet: Packet) -> bool:
        """Whether it would take this packet, by what is understood of it.

        What takes only the finding of neighbours takes the packets that are lost by it: whoever
        is asked learns from that who asks (RFC 826; RFC 4861, 7.2.3), so that a lost question
        costs requests, and a lost answer costs those of the one who didn't get it.
        """
        if packet.family not in FAMILIES.get(self.frames, (4, 6)):
            return False
        addressed = (
            _inside(self.source, packet.source)
            and _inside(self.destination, packet.destination)
            and _is(self.source_mac, packet.source_mac)
            and _is(self.destination_mac, packet.destination_mac)
            and _is(self.vlan, str(packet.vlan or ""))
        )
        if packet.protocol in ("arp", "nd"):
            return addressed and self._hides(packet)
        if self.finding:
            return addressed and self._finds(packet)
        return addressed and self._carries(packet)

    @property
    def finding(self) -> bool:
        """Whether it takes only what finds neighbours: ARP, or messages of neighbour discovery."""
        return self.frames == "arp" or self.discovery

    @property
    def discovery(self) -> bool:
        """Whether it takes only messages of neighbour discovery."""
        kind = self.icmp_type
        return kind is not None and kind[0] and kind[1].lower() in ND_TYPES

    def _finds(self, packet: Packet) -> bool:
        if self.frames == "arp":
            asks = {"request": True, "reply": False}
            wanted = self.operation
        else:
            asks = {"neighbour-solicitation": True, "neighbour-advertisement": False}
            kind = self.icmp_type or (True, "")
            wanted = (kind[0], ND_TYPES[kind[1].lower()])
            if packet.family == 4 or wanted[1] not in asks:
                return False
        if wanted is None or wanted[1] not in asks:
            return True
        return (asks[wanted[1]] is packet.request) is wanted[0]

    def _hides(self, packet: Packet) -> bool:
        """Whether it takes a question for a neighbour itself, or the answer."""
        if packet.protocol == "arp":
            return self.frames in ("all", "arp") and not self.selective
        plain = not self.selective or self._is_icmp6
        return self.frames in ("all", "ipv6") and (self._finds(packet) if self.discovery else plain)

    @property
    def _is_icmp6(self) -> bool:
        return self.protocol in ((True, "ipv6-icmp"), (True, "icmpv6")) and not self.icmp_type

    def _carries(self, packet: Packet) -> bool:
        word, number = split_protocol(packet.protocol)
        port, ephemeral = str(number), "ephemeral"
        sport, dport = (ephemeral, port) if packet.request else (port, ephemeral)
        if packet.outer:
            sport, dport = ephemeral, str(packet.port or "")
        kind = ECHO_REQUEST if packet.request else ECHO_REPLY
        icmp = word == "icmp"
        return (
            _is(self.protocol, word if packet.family == 4 or not icmp else "ipv6-icmp")
            and _port(self.source_port, "" if icmp else sport)
            and _port(self.destination_port, "" if icmp else dport)
            and (
                self.icmp_type is None
                or (icmp and (self.icmp_type[1] in kind) is self.icmp_type[0])
            )
        )

    @property
    def of_tc(self) -> bool:
        """Whether it is a filter or queue of tc."""
        return self.command.startswith("tc ")

    @property
    def takes_all(self) -> bool:
        """Whether it takes every frame, those that find neighbours with the others."""
        matches = (self.source, self.destination, self.source_mac, self.destination_mac, self.vlan)
        return self.frames == "all" and not self.selective and not any(matches)

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
    return any(_in_range(part, value) for part in wanted[1].split(",")) is wanted[0]


def _in_range(wanted: str, value: str) -> bool:
    low, _, high = wanted.replace("-", ":").partition(":")
    try:
        if value == "ephemeral":
            return bool(high) and int(high or 0) >= 60000
        return int(low or 0) <= int(value) <= int(high or low or 0)
    except ValueError:
        return True  # a name of a service


COUNTS = re.compile(
    r"^\[\d+:\d+\] | \[\d+:\d+\]$|packets \d+ bytes \d+|Sent .*|backlog .*"
    r"|installed \d.*|\(rule hit.*"
)


def uncounted(found: Drop) -> tuple[str, ...]:
    """Return what tells a drop from others, without its counters: it stays the same for ever."""
    return (found.command, *(COUNTS.sub("", line) for line in found.lines))
