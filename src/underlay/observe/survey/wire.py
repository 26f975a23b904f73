"""The frames that a survey sends: their bytes, and which MAC addresses and groups are its own.

Each is marked: by an EtherType for experiments, or within a datagram to the discard port, and
with a number that no other frame of the survey has.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from dataclasses import dataclass

from underlay.observe.on_node.packets import ETH_IPV6, checksum, packed
from underlay.observe.survey.on_host.frames import DISCARD, ETH_MARKED, MAGIC

ETH_IPV4, ETH_VLAN = 0x0800, 0x8100
UDP = 17
# Local addresses (IEEE 802, 8.2) of this program's making; two octets of the nonce follow.
OWN_PREFIX = b"\x02\x75"
# What documentation may use (RFC 7042, 2.1.2), with the bit of a maker's own address.
FOREIGN_PREFIX = bytes.fromhex("00005e0053")
# Groups of this program's: the local scope of IPv4 (RFC 2365), site-local transient ones of IPv6.
GROUP4, GROUP6 = "239.255.117.{}", "ff15::7565:{:x}"
HEADER = 14
# Whose address an ARP probe has, and a sender without one.
NOBODY = str(ipaddress.IPv4Address(0))


@dataclass(frozen=True)
class Nic:
    """A NIC that may send: its place, MAC address, largest packet and addresses."""

    machine: str
    nic: str
    mac: bytes
    mtu: int
    addresses: tuple[str, ...] = ()
    number: int = 0

    @property
    def name(self) -> str:
        """MACHINE:NIC."""
        return f"{self.machine}:{self.nic}"

    def address(self, family: int, *, local: bool = False) -> str:
        """Return its first address of a family, with ``local`` one of IPv6 for the link alone."""
        for text in self.addresses:
            one = ipaddress.ip_interface(text).ip
            if one.version == family and one.is_link_local == local:
                return str(one)
        return ""


def mac_bytes(text: str) -> bytes:
    """Return the octets of a MAC address."""
    return bytes.fromhex(text.replace(":", ""))


def own_mac(nonce: bytes, nic: Nic, number: int) -> bytes:
    """Return a MAC address of this survey's own, one of many for a NIC."""
    return OWN_PREFIX + nonce[:2] + struct.pack("!BB", nic.number & 0xFF, number & 0xFF)


def foreign_mac(nic: Nic) -> bytes:
    """Return a MAC address as another maker's machine would have it."""
    return FOREIGN_PREFIX + struct.pack("!B", nic.number & 0xFF)


def marked(
    nonce: bytes, number: int, source: bytes, destination: bytes, tag: int | None = None
) -> bytes:
    """Return a marked frame, with a VLAN's tag where there is one."""
    head = destination + source
    if tag is not None:
        head += struct.pack("!HH", ETH_VLAN, tag)
    return head + struct.pack("!H", ETH_MARKED) + _mark(nonce, number)


def length_of(size: int, tag: int | None) -> int:
    """Return how long the frame of a packet of ``size`` bytes is."""
    return HEADER + size + (4 if tag is not None else 0)


def to_group(nonce: bytes, number: int, nic: Nic, group: str, tag: int | None = None) -> bytes:
    """Return a marked datagram to a multicast group, as one frame (RFC 1112, 6.4; RFC 2464, 7)."""
    address = packed(group)
    payload = _mark(nonce, number)
    udp = struct.pack("!HHHH", DISCARD, DISCARD, 8 + len(payload), 0) + payload
    if len(address) == 16:
        source = packed(nic.address(6, local=True) or "::")
        pseudo = source + address + struct.pack("!II", len(udp), UDP)
        udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp)) + udp[8:]
        packet = struct.pack("!IHBB", 6 << 28, len(udp), UDP, 1) + source + address + udp
        head, kind = b"\x33\x33" + address[12:], ETH_IPV6
    else:
        source = socket.inet_aton(nic.address(4) or NOBODY)
        size = 20 + len(udp)
        ip = struct.pack("!BBHHHBBH", 0x45, 0, size, number & 0xFFFF, 0, 1, UDP, 0)
        ip += source + address
        packet = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + udp
        head = b"\x01\x00\x5e" + bytes([address[1] & 0x7F]) + address[2:]
        kind = ETH_IPV4
    tagged = b"" if tag is None else struct.pack("!HH", ETH_VLAN, tag)
    return head + nic.mac + tagged + struct.pack("!H", kind) + packet


def _mark(nonce: bytes, number: int) -> bytes:
    return MAGIC + nonce + struct.pack("!I", number)
