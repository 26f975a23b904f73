"""Addresses that no file of any host says anything of: what a lab may give where it has to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import summarize_address_range

from underlay.fleet.host import Address, Host, Network, Subnet

# Ranges are looked for in so many places, from a subnet's end.
FURTHEST = 4096
# How many addresses such a range has at most.
LARGEST = 8


@dataclass
class Taken:
    """Addresses that are somebody's, as ranges of numbers by family."""

    ranges: dict[int, list[tuple[int, int]]] = field(default_factory=lambda: {4: [], 6: []})

    def add(self, first: Address, last: Address | None = None) -> None:
        """Note that the addresses from ``first`` to ``last`` are taken."""
        self.ranges[first.version].append((int(first), int(last if last is not None else first)))

    def meets(self, first: Address, last: Address) -> bool:
        """Whether one of the addresses from ``first`` to ``last`` is taken."""
        low, high = int(first), int(last)
        return any(one <= high and low <= two for one, two in self.ranges[first.version])

    def spare(self, subnet: Subnet, *, block: bool) -> str:
        """Return a range of ``subnet`` that is nobody's, as a ``block`` or FIRST-LAST, and take it.

        It is as near to the end as can be, and as large as there is room; nothing for none.
        """
        size = LARGEST
        while size:
            for first, last in _from_end(subnet, size):
                if not self.meets(first, last):
                    self.add(first, last)
                    blocks = summarize_address_range(first, last)
                    return str(next(blocks)) if block else f"{first}-{last}"
            size //= 2
        return ""


def _from_end(subnet: Subnet, size: int) -> Iterator[tuple[Address, Address]]:
    blocks = subnet.num_addresses // size
    for number in range(blocks - 1, max(blocks - 1 - FURTHEST, -1), -1):
        yield subnet[number * size], subnet[number * size + size - 1]


def taken(hosts: Sequence[Host], networks: Sequence[Network]) -> Taken:
    """Return what files of ``hosts`` give to somebody; ``networks`` are theirs as the lab has them.

    That are what networks hand out, fix or keep back, gateways, and hosts' own addresses and next
    hops.
    """
    found = Taken()
    for network in networks:
        for pool in network.pools:
            found.add(pool.first, pool.last)
            for address in (pool.gateway, *pool.reserved):
                if address is not None:
                    found.add(address)
        for route in network.routes:
            if route.via is not None:
                found.add(route.via)
    for host in hosts:
        for link in host.links:
            told = [interface.ip for interface, _ in link.addresses]
            told += [route.gateway for route in link.defaults] + [via for _, via in link.hops]
            for address in told:
                found.add(address)
        for fixed in host.fixed:
            if fixed.address is not None:
                found.add(fixed.address)
    return found
