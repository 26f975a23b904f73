"""The containers: their names, and the addresses and MAC of each interface."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from ipaddress import IPv6Network
from typing import TYPE_CHECKING, NamedTuple

from underlay.plan.addresses import NO_ADDRESS, Cidr, free_addresses, own_made
from underlay.plan.naming import FIRST_NETWORK_LINK, alone_named, letters, mac, nodes_of
from underlay.plan.pools import fixed_addresses
from underlay.plan.values import Attachment, PlannedContainer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from underlay.lab import Containers, Lab
    from underlay.plan.addresses import Address, Family
    from underlay.plan.pools import Pool
    from underlay.plan.values import PlannedNetwork, PlannedNode

    # What is left to hand out, by network and node, of each of the network's pools.
    Free = dict[tuple[str, str], list[Iterator[Address]]]


LINK_LOCAL = "fe80::/64"


def plan_containers(
    lab: Lab, nodes: tuple[PlannedNode, ...], networks: tuple[PlannedNetwork, ...], macs: str
) -> tuple[PlannedContainer, ...]:
    """Return every container, node by node and group by group; ``macs`` is as in ``make_plan``."""
    free = _free(lab, nodes, networks)
    counters = {
        (network.name, node.name): _Counter(
            position, network, node, free[network.name, node.name], macs
        )
        for position, network in enumerate(networks)
        for node in nodes
    }
    containers = tuple(_container(lab, one, counters) for one in _named(lab, nodes))
    if not any(network.mode == "source" for network in networks):
        return containers
    return tuple(_with_allowed(lab, container, containers, nodes) for container in containers)


def by_group(lab: Lab, nodes: Iterable[PlannedNode]) -> list[tuple[Containers, str]]:
    """Return the name of every container with the group that it is of."""
    return [(one.group, one.name) for one in _named(lab, nodes)]


class _Named(NamedTuple):
    """A container that has its name: its ``group``, the one at ``place``, and its node."""

    group: Containers
    place: int
    node: PlannedNode
    name: str


def _named(lab: Lab, nodes: Iterable[PlannedNode]) -> Iterator[_Named]:
    """Yield every container, node by node and group by group."""
    names = [node.name for node in nodes]
    alone = alone_named(lab.containers, names)
    # What the lab file names outright is nobody else's.
    taken = {*alone, *names, *lab.hosts}
    groups: dict[str, list[tuple[int, Containers]]] = defaultdict(list)
    for place, group in enumerate(lab.containers):
        for name in nodes_of(group, names):
            groups[name].append((place, group))
    for node in nodes:
        # How many interfaces a network has on the node so far, and containers of each name.
        used: Counter[str] = Counter()
        called: Counter[str] = Counter()
        for place, group in groups[node.name]:
            for _ in range(group.count):
                used.update(group.networks)
                stem = group.name or group.networks[0]
                called[stem] += 1
                number = called[stem] if group.name else used[stem]
                name = stem if group.name in alone else f"{stem}-{node.index}{letters(number)}"
                while name in taken and group.name not in alone:
                    number += 1
                    name = f"{stem}-{node.index}{letters(number)}"
                taken.add(name)
                yield _Named(group, place, node, name)


def _container(
    lab: Lab, one: _Named, counters: dict[tuple[str, str], _Counter]
) -> PlannedContainer:
    """Return a container with the next addresses that ``counters`` of its node hand out."""
    group, node = one.group, one.node.name
    attachments = [
        counters[name, node].next(group, f"eth{position}")
        for position, name in enumerate(group.networks)
    ]
    return PlannedContainer(
        name=one.name,
        node=node,
        runtime=counters[group.networks[0], node].network.runtime,
        attachments=tuple(_with_one_link_local(attachments)),
        forwards=group.forwards,
        started_by=lab.own.starters.get((one.place, node), ""),
        command=tuple(group.command),
        own_ports=tuple(group.ports),
    )


class _Counter:
    """What a node has handed out of one network so far.

    ``free`` are the iterators over what is left of each of the network's pools, and ``macs`` is
    how a MAC address of the lab's own begins.
    """

    def __init__(
        self,
        position: int,
        network: PlannedNetwork,
        node: PlannedNode,
        free: list[Iterator[Address]],
        macs: str,
    ) -> None:
        self.used, self._macs = 0, macs
        self.network, self._node, self._link = network, node, FIRST_NETWORK_LINK + position
        self._free = free

    def next(self, group: Containers, interface: str) -> Attachment:
        self.used += 1
        name, network = self.network.name, self.network
        mac_address = group.macs.get(name) or self._mac()
        found = (*self._of(4, group.addresses.get(name)), *self._of(6, group.addresses6.get(name)))
        if network.slaac:
            # A parent numbers its ipvlan children as they are made, from 1 (ipvlan_main.c,
            # ipvlan_link_new); the node makes them in the plan's order.
            device_id = 0 if network.own_mac else self.used
            own = own_made(IPv6Network(network.subnet6), mac_address, device_id)
            prefix = Cidr(network.subnet6).prefix
            found = (*(one for one in found if one.family == 4), Cidr(f"{own}/{prefix}"))
        elif network.makes_link_local:
            found = (Cidr(f"{own_made(IPv6Network(LINK_LOCAL), mac_address)}/64"),)
        four = next((one for one in found if one.family == 4), NO_ADDRESS)
        six = next((one for one in found if one.family == 6), NO_ADDRESS)
        return Attachment(
            network=name,
            interface=interface,
            address=four,
            mac=mac_address,
            address6=six,
            more=tuple(one for one in found if one not in (four, six)),
        )

    def _of(self, family: Family, fixed: Address | None) -> Iterator[Cidr]:
        """Yield a container's addresses of ``family``, a fixed one in its own pool."""
        pools = [
            (pool, free)
            for pool, free in zip(self.network.pools, self._free, strict=True)
            if pool.family == family
        ]
        if fixed and self.network.one_of_each_family:
            pools = [(pool, free) for pool, free in pools if pool.holds(str(fixed))]
        for pool, free in pools:
            own = fixed if fixed and pool.holds(str(fixed)) else next(free, None)
            if own is None:
                continue
            yield Cidr(f"{own}/{Cidr(pool.subnet).prefix}")
            if self.network.one_of_each_family:
                return

    def _mac(self) -> str:
        """An ipvlan child, a passthru child and a VLAN link have the MAC of what is below."""
        network = self.network
        if not network.traits.takes_mac(network.mode):
            # The parent of an internal network is a device of the node's, with a MAC of its own.
            nics = (self._node.management, *self._node.nics) if network.uplink else ()
            found = [nic.mac for nic in nics if nic.interface == network.nic]
            return found[0] if found else mac(self._link, self._node.index)
        return mac(self._link, self._node.index, self.used, self._macs)


def _free(lab: Lab, nodes: tuple[PlannedNode, ...], networks: tuple[PlannedNetwork, ...]) -> Free:
    """Return what every node has to hand out of each network, pool by pool.

    Where all of them hand out of one pool, they take turns at one iterator.
    """
    found: Free = {}
    for network in networks:
        shared: list[Iterator[Address]] = []
        fixed = fixed_addresses(lab, network.name)
        for node in nodes:
            if not (shared and lab.networks[network.name].is_shared):
                shared = [
                    free_addresses(pool.slices[node.name], _taken(pool, fixed))
                    if node.name in pool.slices
                    else iter(())
                    for pool in network.pools
                ]
            found[network.name, node.name] = shared
    return found


def _taken(pool: Pool, fixed: Iterable[str]) -> list[str]:
    """What a pool hands out to nobody by itself: its gateway's address is none of a container's."""
    return [*fixed, *pool.reserved, *filter(None, [pool.gateway, pool.spare])]


def _with_one_link_local(attachments: Iterable[Attachment]) -> Iterator[Attachment]:
    """A second link-local address is asked for by nobody: which link is meant no route says."""
    seen = False
    for attachment in attachments:
        own = attachment.address6.startswith("fe80")
        yield replace(attachment, address6=NO_ADDRESS) if own and seen else attachment
        seen |= own


def is_alone(lab: Lab, group: Containers) -> bool:
    """Whether ``group`` is one container on one node: then it may have an address."""
    everywhere = group.on == "all" and lab.nodes.count > 1
    several = isinstance(group.on, list) and len(group.on) > 1
    return group.count == 1 and not everywhere and not several


def _with_allowed(
    lab: Lab,
    container: PlannedContainer,
    containers: tuple[PlannedContainer, ...],
    nodes: tuple[PlannedNode, ...],
) -> PlannedContainer:
    """Give children in source mode the list of MAC addresses that they take frames from."""
    attachments = []
    for attachment in container.attachments:
        network = lab.networks[attachment.network]
        allowed: list[str] = []
        if network.mode == "source":
            kinds = ("containers", "nodes") if network.allow is None else network.allow
            peers = [
                other.mac
                for peer in containers
                for other in peer.attachments
                if peer is not container and other.network == attachment.network
            ]
            cards = [nic.mac for node in nodes for nic in node.nics]
            allowed = [
                *(peers if "containers" in kinds else ()),
                *(cards if "nodes" in kinds else ()),
            ]
        attachments.append(replace(attachment, allow=tuple(dict.fromkeys(allowed))))
    return replace(container, attachments=tuple(attachments))
