"""Routers and DHCP servers on a wire: asking for them, and reading what they say."""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import TYPE_CHECKING

from underlay.observe.on_node.packets import BROADCAST, ETH_IPV6, checksum, packed, readable
from underlay.observe.survey.model import Sender
from underlay.observe.survey.wire import ETH_IPV4, UDP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from underlay.observe.survey.machines import Heard
    from underlay.observe.survey.wire import Nic

SOLICITATION, ADVERTISEMENT, PREFIX = 133, 134, 3  # RFC 4861, 4.1, 4.2, 4.6.2
ALL_ROUTERS = "ff02::2"
COOKIE = b"\x63\x82\x53\x63"  # RFC 2131, 3
MESSAGE, SERVER, END = 53, 54, 255  # RFC 2132, 9.6, 9.7, 3.2
DISCOVER = 1
TYPES = {2: "an offer of", 5: "a lease of"}


def solicitation(nic: Nic) -> bytes:
    """Return the frame by which a NIC asks routers to advertise themselves (RFC 4861, 4.1)."""
    source, group = packed(nic.address(6, local=True) or "::"), packed(ALL_ROUTERS)
    body = struct.pack("!BBHI", SOLICITATION, 0, 0, 0)
    if any(source):
        body += b"\x01\x01" + nic.mac
    pseudo = source + group + struct.pack("!II", len(body), socket.IPPROTO_ICMPV6)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    head = struct.pack("!IHBB", 6 << 28, len(body), socket.IPPROTO_ICMPV6, 255)
    ethernet = b"\x33\x33" + group[12:] + nic.mac + struct.pack("!H", ETH_IPV6)
    return ethernet + head + source + group + body


def discovery(nic: Nic, transaction: int) -> bytes:
    """Return a DHCPDISCOVER that asks for offers by broadcast (RFC 2131, 4.1, 4.4.1).

    A server holds what it offers for a moment; nobody asks for the lease.
    """
    bootp = struct.pack("!BBBBIHH16x", 1, 1, 6, 0, transaction, 0, 0x8000)
    bootp += nic.mac.ljust(16, b"\0") + bytes(192) + COOKIE
    bootp += bytes([MESSAGE, 1, DISCOVER, END])
    bootp = bootp.ljust(300, b"\0")
    udp = struct.pack("!HHHH", 68, 67, 8 + len(bootp), 0) + bootp
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, UDP, 0) + bytes(4) + b"\xff" * 4
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return BROADCAST + nic.mac + struct.pack("!H", ETH_IPV4) + ip + udp


def senders(heard: Iterable[Heard]) -> list[Sender]:
    """Return who was heard to advertise a router or to offer leases, each once for each port."""
    found: dict[tuple[str, ...], Sender] = {}
    for one in heard:
        for sender in _read(one):
            found.setdefault((sender.kind, sender.at, sender.mac, sender.address), sender)
    return sorted(found.values(), key=lambda s: (s.at, s.kind, s.address, s.mac))


def _read(heard: Heard) -> Iterator[Sender]:
    data = heard.data
    offset = 18 if heard.vlan is not None else 14
    body = data[offset:]
    kind = data[offset - 2 : offset]
    mac = readable(data[6:12])
    if kind == b"\x86\xdd" and len(body) >= 56 and body[6] == socket.IPPROTO_ICMPV6:
        if body[40] == ADVERTISEMENT:
            yield Sender(
                kind="router advertisement",
                at=heard.at,
                mac=mac,
                address=socket.inet_ntop(socket.AF_INET6, body[8:24]),
                vlan=heard.vlan,
                said=", ".join(_prefixes(body[56:])),
            )
    elif kind == b"\x08\x00" and len(body) >= 28 and body[9] == UDP:
        bootp = body[(body[0] & 15) * 4 + 8 :]
        options = dict(_options(bootp[240:])) if bootp[236:240] == COOKIE else {}
        said = TYPES.get(options.get(MESSAGE, b"\0")[0])
        if said and len(bootp) >= 240 and bootp[0] == 2:
            server = options.get(SERVER, body[12:16])
            yield Sender(
                kind="DHCP offer",
                at=heard.at,
                mac=mac,
                address=socket.inet_ntoa(server[:4].ljust(4, b"\0")),
                vlan=heard.vlan,
                said=f"{said} {socket.inet_ntoa(bootp[16:20])}",
            )


def _prefixes(options: bytes) -> Iterator[str]:
    while len(options) >= 8 and options[1]:
        if options[0] == PREFIX and len(options) >= 32:
            address = socket.inet_ntop(socket.AF_INET6, options[16:32])
            yield str(ipaddress.ip_network(f"{address}/{min(options[2], 128)}", strict=False))
        options = options[options[1] * 8 :]


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data and data[0] != END:
        if data[0] == 0:
            data = data[1:]
            continue
        if len(data) < 2:
            return
        size = data[1]
        if size:
            yield data[0], data[2 : 2 + size]
        data = data[2 + size :]
