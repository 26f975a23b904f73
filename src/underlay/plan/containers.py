"""The containers: their names, and the addresses and MAC of each interface."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Network
from typing import TYPE_CHECKING

from underlay.plan.addresses import NO_ADDRESS, Cidr, free_addresses, own_made
from underlay.plan.naming import FIRST_NETWORK_LINK, alone_named, letters, mac, node_names, runs_on
from underlay.plan.values import Attachment, PlannedContainer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.lab import Containers, Lab
    from underlay.plan.addresses import Address
    from underlay.plan.values import PlannedNetwork, PlannedNode


def plan_containers(
    lab: Lab, nodes: tuple[PlannedNode, ...], networks: tuple[PlannedNetwork, ...]
) -> tuple[PlannedContainer, ...]:
    """Return every container, node by node and group by group."""
    containers = tuple(container for _, container in _grouped(lab, nodes, networks))
    if not any(network.mode == "source" for network in networks):
        return containers
    return tuple(_with_allowed(lab, container, containers, nodes) for container in containers)


def by_group(
    lab: Lab, nodes: tuple[PlannedNode, ...], networks: tuple[PlannedNetwork, ...]
) -> list[tuple[Containers, str]]:
    """Return the name of every container with the group that it is of."""
    return [(group, container.name) for group, container in _grouped(lab, nodes, networks)]


def _grouped(
    lab: Lab, nodes: tuple[PlannedNode, ...], networks: tuple[PlannedNetwork, ...]
) -> Iterator[tuple[Containers, PlannedContainer]]:
    names = [node.name for node in nodes]
    # What the lab file names outright is nobody else's.
    taken = {*alone_named(lab.containers, names), *names, *lab.hosts}
    for node in nodes:
        yield from _on_node(lab, node, networks, taken)


def fixed_addresses(lab: Lab, network: str) -> set[str]:
    """Return the addresses of ``network`` that the lab file gives to containers by itself."""
    return {
        str(addresses[network])
        for group in lab.containers
        for addresses in (group.addresses, group.addresses6)
        if network in addresses
    }


class _Counter:
    """What a node has handed out of one network so far."""

    def __init__(self, lab: Lab, position: int, network: PlannedNetwork, node: PlannedNode) -> None:
        taken = {*network.reserved, *fixed_addresses(lab, network.name)}
        self.used = 0
        self.network, self._node, self._link = network, node, FIRST_NETWORK_LINK + position
        self._fours = free_addresses(network.slices[node.name], taken)
        sixes = network.slices6
        self._sixes = free_addresses(sixes[node.name], taken) if sixes else iter(())

    def next(self, group: Containers, interface: str) -> Attachment:
        self.used += 1
        name, network = self.network.name, self.network
        four: Address = group.addresses[name] if name in group.addresses else next(self._fours)
        six: Address | None = (
            group.addresses6[name] if name in group.addresses6 else next(self._sixes, None)
        )
        mac_address = group.macs.get(name) or self._mac()
        if network.slaac:
            six = own_made(IPv6Network(network.subnet6), mac_address)
        return Attachment(
            network=name,
            interface=interface,
            address=Cidr(f"{four}/{Cidr(network.subnet).prefix}"),
            mac=mac_address,
            address6=Cidr(f"{six}/{Cidr(network.subnet6).prefix}") if six else NO_ADDRESS,
        )

    def _mac(self) -> str:
        """An ipvlan child, a passthru child and a VLAN link have the MAC of what is below."""
        network = self.network
        if not network.traits.takes_mac(network.mode):
            # The parent of an internal network is a device of the node's, with a MAC of its own.
            nics = (self._node.management, *self._node.nics) if network.uplink else ()
            found = [nic.mac for nic in nics if nic.interface == network.nic]
            return found[0] if found else mac(self._link, self._node.index)
        return mac(self._link, self._node.index, self.used)


def _on_node(
    lab: Lab, node: PlannedNode, networks: tuple[PlannedNetwork, ...], taken: set[str]
) -> Iterator[tuple[Containers, PlannedContainer]]:
    """Yield the containers of ``node``; their names are none of ``taken``, and go there."""
    counters = {
        network.name: _Counter(lab, position, network, node)
        for position, network in enumerate(networks)
    }
    named: dict[str, int] = {}
    alone = alone_named(lab.containers, node_names(lab.nodes))
    for group in lab.containers:
        if not runs_on(group, node.name):
            continue
        for _ in range(group.count):
            attachments = tuple(
                counters[name].next(group, f"eth{position}")
                for position, name in enumerate(group.networks)
            )
            first = counters[group.networks[0]]
            stem = group.name or first.network.name
            named[stem] = number = named.get(stem, 0) + 1
            if not group.name:
                number = first.used
            name = stem if group.name in alone else f"{stem}-{node.index}{letters(number)}"
            while name in taken and group.name not in alone:
                number += 1
                name = f"{stem}-{node.index}{letters(number)}"
            taken.add(name)
            container = PlannedContainer(
                name=name,
                node=node.name,
                runtime=first.network.runtime,
                attachments=attachments,
                forwards=group.forwards,
            )
            yield group, container


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
