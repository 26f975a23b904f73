"""Addresses: as text that knows its parts, and which ones each node hands out to which child."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
    summarize_address_range,
)
from typing import TYPE_CHECKING, Literal

from underlay.plan.naming import block_bits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    """The part of a network's subnet that one node hands out, both ends included.

    ``cidr`` is the block that it is of; empty where it is FIRST-LAST and no block.
    """

    first: str
    last: str
    cidr: str

    @property
    def routed(self) -> tuple[str, ...]:
        """The blocks that lead to its addresses."""
        if self.cidr:
            return (self.cidr,)
        return tuple(map(str, summarize_address_range(*self.ends)))

    def holds(self, address: str) -> bool:
        """Whether it hands out ``address``."""
        own, (first, last) = ends_of(address)[0], self.ends
        return own.version == first.version and int(first) <= int(own) <= int(last)

    @property
    def ends(self) -> tuple[Address, Address]:
        """Its first and its last address."""
        return ends_of(self.first)[0], ends_of(self.last)[0]


Slices = dict[str, Slice]


@cache
def ends_of(text: str) -> tuple[Address, Address]:
    """Return the first and the last address of an address, a subnet or FIRST-LAST."""
    first, dash, last = text.partition("-")
    if dash:
        return ip_address(first), ip_address(last)
    block = ip_network(first)
    return block[0], block[-1]


def slice_of(text: str, subnet: Subnet) -> Slice:
    """Return what is handed out of a subnet or FIRST-LAST in ``subnet``, as a user plans it.

    All of it, but for the subnet's own first address and its last one.
    """
    first, last = ends_of(text)
    return _pieces(int(first), int(last), subnet)


def _pieces(first: int, last: int, subnet: Subnet) -> Slice:
    low, high = int(subnet[0]) + 1, int(subnet[-1]) - 1
    made = subnet[first - int(subnet[0])], subnet[last - int(subnet[0])]
    found = list(summarize_address_range(*made))
    whole = str(found[0]) if len(found) == 1 else ""
    ends = (subnet[max(first, low) - low + 1], subnet[min(last, high) - low + 1])
    return Slice(str(ends[0]), str(ends[1]), whole)


def parts_of(piece: Slice, subnet: Subnet, taken: Iterable[str], own: Iterable[str]) -> list[Slice]:
    """Return the runs of addresses that are left of ``piece`` without those ``taken``.

    Its node's ``own`` fixed addresses are among them, also those that lie elsewhere.
    """
    first, last = map(int, piece.ends)
    inside = []
    for low, high in _spans(tuple(taken), subnet.version):
        if first <= min(high, last) and low <= last:
            inside += [(first, low - 1)] if low > first else []
            first = max(first, high + 1)
    inside += [(first, last)] if first <= last else []
    for low, high in _spans(tuple(own), subnet.version):
        if not any(one <= low and high <= other for one, other in inside):
            inside.append((low, high))
    return [_pieces(low, high, subnet) for low, high in inside]


@lru_cache(maxsize=256)
def _spans(texts: tuple[str, ...], version: int) -> tuple[tuple[int, int], ...]:
    """Return the ends of each text as numbers, in order; every node asks for the same ones."""
    ends = (ends_of(text) for text in texts)
    return tuple(sorted((int(one), int(two)) for one, two in ends if one.version == version))


def blocks(subnet: Subnet, nodes: list[str], *, sliced: bool = True, spared: int = 0) -> Slices:
    """Return what each node hands out of ``subnet``: a slice of its own, or all of it.

    So many slices at the end as are ``spared`` are nobody's. Raises ValueError or IndexError
    where the subnet is too small.
    """
    if sliced:
        bits = block_bits(len(nodes) + spared)
        pieces: list[Subnet] = list(subnet.subnets(prefixlen_diff=bits))
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
    """Yield what ``piece`` has to hand out, in order, without what is ``taken``.

    That are addresses, subnets, or FIRST-LAST, of any family.
    """
    first = ends_of(piece.first)[0]
    number, last = int(first), int(ends_of(piece.last)[0])
    # Of what is taken in a subnet of a hundred nodes, most is another node's.
    inside = _spans(tuple(taken), first.version)
    spans = [one for one in inside if one[0] <= last and one[1] >= number]
    while number <= last:
        end = max((high for low, high in spans if low <= number <= high), default=None)
        if end is None:
            yield type(first)(number)
        number = number + 1 if end is None else end + 1


def _slice(block: Subnet, subnet: Subnet) -> Slice:
    last = block[-2] if block[-1] == subnet[-1] else block[-1]
    return Slice(str(block[1]), str(last), str(block))
