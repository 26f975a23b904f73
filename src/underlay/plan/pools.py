"""A network's pools: its subnets, each with its gateway and what every node hands out of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from underlay.plan.addresses import (
    Family,
    Slice,
    Slices,
    Subnet,
    blocks,
    ends_of,
    family_of,
    parts_of,
    slice_of,
)
from underlay.plan.naming import block_bits, node_names, nodes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from underlay.lab import Lab, Network
    from underlay.lab import Pool as LabPool

# How far from a subnet's end an address is looked for that nobody has.
FURTHEST = 4096


@dataclass(frozen=True)
class Pool:
    """A subnet that containers get addresses of. ``gateway`` is empty where nobody owns one.

    ``slices`` says what each node hands out; nodes know each other's as little as host-local
    and Docker do. ``reserved`` addresses are handed out by nobody. ``parts`` are the runs of
    addresses that a node's slice consists of, where it isn't one: without reserved ones, and
    with fixed ones from elsewhere. ``spare`` is an address of nobody's that a runtime may
    take for a gateway: without being told, it would take one that a container is to have.
    """

    subnet: str
    gateway: str = ""
    slices: Slices = field(default_factory=dict)
    reserved: tuple[str, ...] = ()
    parts: dict[str, tuple[Slice, ...]] = field(default_factory=dict)
    spare: str = ""

    @property
    def family(self) -> Family:
        """The family of its addresses."""
        return family_of(self.subnet)

    def holds(self, address: str) -> bool:
        """Whether ``address`` lies in its subnet."""
        return bool(address and self.subnet) and ends_of(address)[0] in _parsed(self.subnet)


@cache
def _parsed(subnet: str) -> Subnet:
    return ip_network(subnet)


NO_POOL = Pool("")


def fixed_addresses(lab: Lab, network: str) -> dict[str, str]:
    """Return the addresses of ``network`` that the lab file gives to containers by itself.

    Each comes with the node of its container.
    """
    nodes = node_names(lab.nodes)
    return {
        str(addresses[network]): node
        for group in lab.containers
        for addresses in (group.addresses, group.addresses6)
        if network in addresses
        for node in nodes_of(group, nodes)
    }


def plan_pools(lab: Lab, name: str, network: Network, nodes: list[str]) -> tuple[Pool, ...]:
    """Return the pools of the network called ``name``, those of IPv4 first.

    Raises ValueError or IndexError where a subnet is too small for ``nodes``.
    """
    # A bridge without uplink has the gateway's address on every node, as CNI and Docker do it.
    by_bridge = network.traits.bridges_uplink and network.is_closed
    fixed = fixed_addresses(lab, name)
    return tuple(
        _pool(network, stated, nodes, fixed, by_bridge=by_bridge) for stated in network.pools
    )


def _pool(
    network: Network,
    stated: LabPool,
    nodes: list[str],
    fixed: Mapping[str, str],
    *,
    by_bridge: bool,
) -> Pool:
    subnet = ip_network(stated.subnet)
    gateway = stated.gateway or (str(subnet[1]) if by_bridge else "")
    slices = pool_slices(network, stated, nodes)
    inside = {address: node for address, node in fixed.items() if ip_address(address) in subnet}
    parts = {}
    own_of: dict[str, list[str]] = defaultdict(list)
    for address, node in inside.items():
        own_of[node].append(address)
    for node, piece in slices.items():
        own = own_of[node]
        found = tuple(parts_of(piece, subnet, stated.reserved, own))
        if [(one.first, one.last) for one in found] != [(piece.first, piece.last)]:
            parts[node] = found
    reserved = tuple(_reserved(network, stated))
    made = Pool(stated.subnet, gateway, slices, reserved, parts)
    # Docker and host-local give no container the gateway's address, so they aren't told it
    # where a container has it.
    told = gateway and gateway not in inside
    spare = "" if told else _spare(network, made, subnet, inside)
    return Pool(stated.subnet, gateway, slices, reserved, parts, spare)


def pool_slices(network: Network, stated: LabPool, nodes: list[str]) -> Slices:
    """Return what each node hands out of a pool: as it is ``stated``, or a slice of its own.

    Raises ValueError or IndexError where the subnet is too small for ``nodes``.
    """
    subnet = ip_network(stated.subnet)
    if stated.ranges:
        known = {node: slice_of(text, subnet) for node, text in stated.ranges.items()}
        return {node: known[node] for node in nodes if node in known}
    # Docker can't take a gateway's address from the last part of an IPv6 subnet: what it counts
    # by overflows (moby, libnetwork/ipam, "failed to allocate gateway"; measured with 26.1).
    last = len(nodes) == 2 ** block_bits(len(nodes)) - 1
    spared = int(network.runtime == "docker" and subnet.version == 6 and last)
    handed_out = ip_network(stated.handed_out)
    return blocks(handed_out, nodes, sliced=network.has_slices, spared=spared)


def _reserved(network: Network, stated: LabPool) -> Iterator[str]:
    """Docker takes single addresses (aux-address), and not the gateway's a second time."""
    for text in stated.reserved:
        if network.runtime != "docker":
            yield text
            continue
        first, last = ends_of(text)
        for number in range(int(last) - int(first) + 1):
            if str(first + number) != stated.gateway:
                yield str(first + number)


def _spare(network: Network, pool: Pool, subnet: Subnet, fixed: Mapping[str, str]) -> str:
    """Return an address that nobody has, where the runtime's own choice is a container's.

    host-local takes the subnet's first one (allocator, Range.Canonicalize), Docker the first
    one of the node's range (libnetwork, ipamAllocateVersion).
    """

    def used(address: str) -> bool:
        return address in fixed or any(piece.holds(address) for piece in pool.slices.values())

    taken = {str(subnet[1])}
    if network.runtime == "docker":
        taken = {piece.cidr.partition("/")[0] for piece in pool.slices.values()}
        taken = {str(subnet[1]) if a == str(subnet[0]) else a for a in taken if a}
    if not any(used(address) for address in taken):
        return ""
    size = min(subnet.num_addresses - 2, FURTHEST)
    from_the_end = (str(subnet[-2 - number]) for number in range(size))
    reserved = [ends_of(text) for text in pool.reserved]
    for address in from_the_end:
        own = ip_address(address)
        apart = not any(int(low) <= int(own) <= int(high) for low, high in reserved)
        if apart and address != pool.gateway and not used(address):
            return address
    return ""
