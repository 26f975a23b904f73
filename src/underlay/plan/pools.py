"""A network's pools: its subnets, each with its gateway and what every node hands out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from underlay.plan.addresses import Family, Slice, Subnet, address_blocks, blocks, family_of

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from underlay.lab import Network


@dataclass(frozen=True)
class Pool:
    """A subnet that containers get addresses of. ``gateway`` is empty where nobody owns one.

    ``slices`` says what each node hands out; nodes know each other's as little as host-local
    and Docker do. ``reserved`` addresses are handed out by nobody.
    """

    subnet: str
    gateway: str = ""
    slices: dict[str, Slice] = field(default_factory=dict)
    reserved: tuple[str, ...] = ()

    @property
    def family(self) -> Family:
        """The family of its addresses."""
        return family_of(self.subnet)

    def holds(self, address: str) -> bool:
        """Whether ``address`` lies in its subnet."""
        return bool(address and self.subnet) and ip_address(address) in _parsed(self.subnet)


@cache
def _parsed(subnet: str) -> Subnet:
    return ip_network(subnet)


NO_POOL = Pool("")


def plan_pools(
    network: Network,
    nodes: list[str],
    gateway: IPv4Address | str,
    gateway6: IPv6Address | str,
) -> tuple[Pool, ...]:
    """Return the pools of a lab's ``network``, those of IPv4 first.

    Raises ValueError or IndexError where a subnet is too small for ``nodes``.
    """
    reserved = tuple(map(str, network.reserved))
    pools = [Pool(str(network.subnet), str(gateway), address_blocks(network, nodes), reserved)]
    if network.subnet6:
        pieces = blocks(network.subnet6, nodes, sliced=network.sliced)
        pools.append(Pool(str(network.subnet6), str(gateway6), pieces))
    return tuple(pools)
