"""The parts of a lab that hold up by themselves, so that one bad key hides no other problem."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_interface
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from underlay.drivers import DRIVERS
from underlay.errors import did_you_mean, nearest
from underlay.lab import Containers, Filter, Host, Network, Nodes, Pool, Segment
from underlay.lab.messages import one_of
from underlay.lab.text import LabText, Place, Problem, quoted
from underlay.plan.addresses import Address, Slices, ends_of, free_addresses
from underlay.plan.naming import block_bits, node_address, node_names, nodes_of
from underlay.plan.pools import pool_slices
from underlay.plan.uplinks import Uplinks, segment_interfaces

Model = TypeVar("Model", bound=BaseModel)

STAND_INS = {"driver": next(iter(DRIVERS)), "subnet": "192.0.2.0/24"}
# Node 1's own address is the subnet's eleventh; a subnet needs room for all of them.
NODE_OFFSET = 10


@dataclass(frozen=True)
class Parts:
    """What of a lab file is valid by itself. Names with invalid content count as names.

    ``nodes`` is None, and ``node_names`` empty, where the file's ``nodes`` is no use.
    ``loose_networks`` and ``loose_groups`` are valid but for keys that were left out:
    good for looking up names, not for addresses.
    """

    text: LabText
    nodes: Nodes | None
    segments: dict[str, Segment]
    networks: dict[str, Network]
    containers: dict[int, Containers]
    hosts: dict[str, Host]
    filters: dict[int, Filter]
    loose_networks: dict[str, Network]
    loose_groups: dict[int, Containers]
    segment_names: list[str]
    network_names: list[str]

    @property
    def node_names(self) -> list[str]:
        """The nodes' names in order."""
        return node_names(self.nodes) if self.nodes else []

    def interface(self, network: Network) -> str:
        """Return the NIC under ``network`` without VLAN tag, empty where that isn't clear."""
        return self.uplinks.nic(network)

    @property
    def interfaces(self) -> list[str]:
        """Every node's interfaces in the segments, in their order: NICs, or bonds."""
        return list(self.uplinks.nics.values())

    @cached_property
    def uplinks(self) -> Uplinks:
        """What networks leave a node by."""
        segments = [(name, self.segments.get(name)) for name in self.segment_names]
        return Uplinks(segment_interfaces(segments), self.loose_networks.values())

    def nic_and_tag(self, parent: str) -> tuple[str, str]:
        """Return which NIC ``parent`` names, and the VLAN tag behind its dot, if any."""
        return self.uplinks.split(parent)

    def uplink(self, network: Network) -> str:
        """Return the NIC or VLAN link that ``network`` leaves a node by; empty where unclear."""
        return self.uplinks.name(self.interface(network), self.vlan(network))

    def vlan(self, network: Network) -> int | None:
        """Return the tag of the 802.1q sub-interface that ``network`` sits on, None for none."""
        return self.uplinks.vlan(network)

    def segment_of(self, network: Network) -> str:
        """Return the segment that ``network``'s parent is in, empty where there is none."""
        owners = {interface: name for name, interface in self.uplinks.nics.items()}
        return owners.get(self.interface(network), "")

    def used(self, name: str) -> dict[str, int]:
        """Return how many containers each node attaches to the network called ``name``."""
        return self._counted.get(name) or dict.fromkeys(self.node_names, 0)

    @cached_property
    def _counted(self) -> dict[str, dict[str, int]]:
        """How many containers are attached to each network, by node: a hundred nodes ask often."""
        found: dict[str, dict[str, int]] = {}
        for group, nodes in self._placed:
            for name in dict.fromkeys(group.networks):
                counts = found.setdefault(name, dict.fromkeys(self.node_names, 0))
                for node in nodes:
                    counts[node] += group.count
        return found

    @cached_property
    def _placed(self) -> list[tuple[Containers, list[str]]]:
        """Each group of containers with the nodes that it is on, in their order."""
        names = self.node_names
        return [(group, nodes_of(group, names)) for group in self.containers.values()]

    def fixed(self, name: str) -> dict[str, IPv4Address]:
        """Return the addresses in the network called ``name`` that groups give by themselves.

        They are told by the node that their container is on.
        """
        return self._given.get(name, {})

    @cached_property
    def _given(self) -> dict[str, dict[str, IPv4Address]]:
        found: dict[str, dict[str, IPv4Address]] = {}
        for group, nodes in self._placed:
            for name, address in group.addresses.items():
                if name in group.networks:
                    found.setdefault(name, {}).update(dict.fromkeys(nodes, address))
        return found

    def own_address(
        self, index: int, interface: str, subnet: IPv4Network | IPv6Network
    ) -> Address | None:
        """Return the address of node ``index``, from 1, on ``interface``; None for none.

        That is the one that the lab file gives it, or else the plan's in ``subnet``.
        """
        node = self.node_names[index - 1]
        given = self.nodes.interfaces.get(node, {}).get(interface) if self.nodes else None
        if given is None:
            room = subnet.num_addresses > NODE_OFFSET + index
            return node_address(subnet, index) if room else None
        found = (ip_interface(text).ip for text in given.addresses)
        return next((one for one in found if one.version == subnet.version), None)

    def last_planned(self, interface: str) -> int:
        """Return the number of the last node whose address on ``interface`` the plan gives."""
        given = self.nodes.interfaces if self.nodes else {}
        numbers = enumerate(self.node_names, 1)
        return max((i for i, node in numbers if interface not in given.get(node, {})), default=0)

    def handed_out(self, name: str) -> Iterator[tuple[str, set[Address]]]:
        """Yield each node with the addresses that its containers get by themselves.

        Raises ValueError or IndexError where the subnet is too small to plan.
        """
        network = self.networks[name]
        fixed = self.fixed(name)
        taken = {*network.reserved, *map(str, fixed.values())}
        taken |= {str(network.gateway)} if network.gateway else set()
        free: Iterator[Address] = iter(())
        for node, piece in pool_slices(network, network.pools[0], self.node_names).items():
            if not (network.is_shared and node != self.node_names[0]):
                free = free_addresses(piece, taken)
            count = self.used(name)[node]
            yield node, set(itertools.islice(free, count - (node in fixed)))

    def slices(self, name: str, pool: Pool) -> Slices:
        """Return what each node hands out of a pool of a network; nothing where it is too small.

        Each fixed address asks for that of all nodes.
        """
        key = name, pool.subnet
        if key not in self._sliced:
            try:
                self._sliced[key] = pool_slices(self.networks[name], pool, self.node_names)
            except (ValueError, IndexError):
                self._sliced[key] = {}
        return self._sliced[key]

    @cached_property
    def _sliced(self) -> dict[tuple[str, str], Slices]:
        return {}

    def can_plan(self, name: str) -> bool:
        """Whether the nodes' ranges of the network's subnet can be told, and have room."""
        network = self.networks[name]
        if not self.nodes or network.subnet is None:
            return False
        if network.ranges:
            ends = (ends_of(text) for text in network.ranges.values())
            return all(end in network.subnet for pair in ends for end in pair)
        return self.fits(name, network.ip_range or network.subnet)

    def fits(self, name: str, subnet: IPv4Network) -> bool:
        """Whether ``subnet`` has room for the network's nodes and containers."""
        network = self.networks[name]
        nodes = len(self.node_names)
        room = subnet.num_addresses
        last = self.last_planned(self.uplink(network))
        own = NODE_OFFSET + last + nodes * bool(network.shim) if self.has_nodes(network) else 0
        own = own if last or network.shim else 0
        used = self.used(name).values()
        reserved = sum(_size(text) for text in network.reserved)
        most = (sum(used) if network.is_shared else max(used, default=0)) + reserved
        if not network.has_slices:
            # The network's own address, the gateway's and the broadcast address.
            return room >= max(most + 3, own + 2, 4)
        block = room >> block_bits(nodes)
        # A block's first address isn't handed out, nor is the subnet's last.
        return block >= max(most + 2, own + 1, 2)

    def unknown(
        self, place: Place, name: str, choices: list[str], shown: str = "", *, at_key: bool = False
    ) -> Iterator[Problem]:
        """Yield a problem where ``name`` isn't one of ``choices``, with the nearest one."""
        if choices and name not in choices:
            hint = did_you_mean(nearest(name, choices))
            found, expected = quoted(shown or name), one_of(choices)
            yield self.text.problem(place, found, expected, hint, at_key=at_key)

    def repeated(self, place: Place, names: list[str], what: str) -> Iterator[Problem]:
        """Yield a problem for each of ``names``, a list at ``place``, that is there again."""
        for position, name in enumerate(names):
            if name in names[:position]:
                found = f"{what} {name} a second time"
                yield self.text.problem((*place, position), found, "it once")

    def is_tagged(self, network: Network) -> bool:
        """Whether ``network`` sits on an 802.1q sub-interface."""
        return self.vlan(network) is not None

    def has_nodes(self, network: Network) -> bool:
        """Whether the nodes have addresses of their own in ``network``'s subnet."""
        one = network.traits
        if one.attach == "moved" or network.is_closed:
            return False
        shim = network.own_shim
        if shim and shim.addresses:
            # Those with a shim have the addresses that the file gives; of a VLAN's, the others
            # have one on the sub-interface.
            return self.is_tagged(network) and not all(map(shim.is_on, self.node_names))
        return self.is_tagged(network) or shim is not None or one.overlay is not None


def _size(text: str) -> int:
    first, last = ends_of(text)
    return int(last) - int(first) + 1


def parts_of(text: LabText) -> Parts:
    """Return the valid parts of a lab file's text."""
    data: dict[str, Any] = text.data
    segments = _mapping(data.get("segments"))
    networks = _mapping(data.get("networks"))
    groups = _listed(data.get("containers"))
    return Parts(
        text=text,
        nodes=_valid(Nodes, data["nodes"]) if "nodes" in data else Nodes(),
        segments=_valid_ones(Segment, segments),
        networks=_valid_ones(Network, networks),
        containers=_valid_ones(Containers, groups),
        hosts=_valid_ones(Host, _mapping(data.get("hosts"))),
        filters=_valid_ones(Filter, _listed(data.get("filters"))),
        loose_networks=_valid_ones(Network, {k: _pruned(Network, v) for k, v in networks.items()}),
        loose_groups=_valid_ones(
            Containers, {k: _pruned(Containers, v) for k, v in groups.items()}
        ),
        segment_names=list(segments),
        network_names=list(networks),
    )


Key = TypeVar("Key", str, int)


def _valid_ones(model: type[Model], values: dict[Key, Any]) -> dict[Key, Model]:
    tried = {key: _valid(model, value) for key, value in values.items()}
    return {key: value for key, value in tried.items() if value is not None}


def _valid(model: type[Model], value: object) -> Model | None:
    try:
        return model.model_validate(value)
    except ValidationError:
        return None


def _pruned(model: type[BaseModel], value: object) -> object:
    """Return ``value`` without its invalid keys; a network's needed ones get a stand-in."""
    try:
        model.model_validate(value)
    except ValidationError as error:
        if not isinstance(value, dict):
            return value
        bad = {detail["loc"][0] for detail in error.errors() if detail["loc"]}
        if model is Network:
            bad |= {"mode"} if "driver" in bad else set()
        kept = {key: entry for key, entry in value.items() if key not in bad}
        return {**STAND_INS, **kept} if model is Network else kept
    return value


def _listed(value: object) -> dict[int, Any]:
    return dict(enumerate(value)) if isinstance(value, list) else {}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
