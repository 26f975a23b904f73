"""Which addresses each node hands out of a network's subnet, and to which child."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

from underlay.plan.naming import block_bits
from underlay.plan.values import Slice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from underlay.lab import Network

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network


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


def own_made(subnet: IPv6Network, mac: str) -> IPv6Address:
    """Return the address that an interface makes of ``subnet`` and its MAC (RFC 4862, EUI-64)."""
    octets = [int(octet, 16) for octet in mac.split(":")]
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
