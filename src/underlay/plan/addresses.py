"""Addresses: as text that knows its parts, and which ones each node hands out to which child."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
)
from typing import TYPE_CHECKING, Literal

from underlay.plan.naming import block_bits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from underlay.lab import Network

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network
Family = Literal[4, 6]


def family_of(address: str) -> Family:
    """Return the family of an address or subnet, with or without a prefix length."""
    return 6 if ":" in address else 4


class Cidr(str):
    """An address with its prefix length, such as ``20.1.1.65/24``; empty where there is none.

    It is text, so that a plan's JSON holds it as it is.
    """

    __slots__ = ()

    @property
    def ip(self) -> str:
        """The address alone; empty for none."""
        return self.partition("/")[0]

    @property
    def prefix(self) -> str:
        """The prefix length's digits; empty for none."""
        return self.partition("/")[2]

    @property
    def family(self) -> Family:
        """4 for IPv4, 6 for IPv6."""
        return family_of(self)

    @property
    def subnet(self) -> str:
        """The subnet that the address is in, such as ``20.1.1.0/24``; ValueError for none."""
        return str(_parsed(self).network)


@cache
def _parsed(text: str) -> IPv4Interface | IPv6Interface:
    return ip_interface(text)


NO_ADDRESS = Cidr("")


@dataclass(frozen=True)
class Slice:
    """The part of a network's subnet that one node hands out, both ends included."""

    first: str
    last: str
    cidr: str


def address_blocks(network: Network, nodes: list[str]) -> dict[str, Slice]:
    """Return what each node hands out of ``network``'s subnet.

    Raises ValueError or IndexError where the subnet is too small.
    """
    return blocks(network.handed_out, nodes, sliced=network.sliced)


def blocks(subnet: Subnet, nodes: list[str], *, sliced: bool = True) -> dict[str, Slice]:
    """Return what each node hands out of ``subnet``: a slice of its own, or all of it.

    Raises ValueError or IndexError where the subnet is too small.
    """
    if sliced:
        pieces: list[Subnet] = list(subnet.subnets(prefixlen_diff=block_bits(len(nodes))))
        return {node: _slice(pieces[i], subnet) for i, node in enumerate(nodes, 1)}
    # host-local's own habit: .1 is taken for the gateway, .2 is the first handed out.
    return dict.fromkeys(nodes, Slice(str(subnet[2]), str(subnet[-2]), str(subnet)))


def own_made(subnet: IPv6Network, mac: str, device_id: int = 0) -> IPv6Address:
    """Return the address that an interface makes of ``subnet`` and its MAC (RFC 4862, EUI-64).

    Interfaces that share a MAC address have a ``device_id`` that tells them apart. It stands in
    the middle instead of ff:fe, and the universal bit stays as it is
    (Linux include/net/addrconf.h, addrconf_ifid_eui48).
    """
    octets = [int(octet, 16) for octet in mac.split(":")]
    if device_id:
        octets = [*octets[:3], device_id >> 8, device_id & 0xFF, *octets[3:]]
    else:
        octets = [octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]]
    return subnet[int.from_bytes(bytes(octets), "big")]


def child_address(piece: Slice, number: int) -> Address:
    """Return the address of a node's ``number``-th child, counted from 1."""
    return ip_address(piece.first) + (number - 1)


def free_addresses(piece: Slice, taken: Iterable[str] = ()) -> Iterator[Address]:
    """Yield what ``piece`` has to hand out, in order, without the addresses in ``taken``."""
    left_out = {ip_address(address) for address in taken}
    first = ip_address(piece.first)
    for number in range(int(ip_address(piece.last)) - int(first) + 1):
        if first + number not in left_out:
            yield first + number


def _slice(block: Subnet, subnet: Subnet) -> Slice:
    last = block[-2] if block[-1] == subnet[-1] else block[-1]
    return Slice(str(block[1]), str(last), str(block))
