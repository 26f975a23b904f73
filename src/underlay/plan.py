"""The plan: every name, MAC address, IP address, VLAN and file name that a lab leads to.

``make_plan`` is pure and deterministic: the same lab gives the same plan on any
machine. All values are frozen dataclasses of the standard library, so that the
plan's JSON can be read back without any third-party import.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any, TypeVar

from underlay.naming import (
    FIRST_NETWORK_LINK,
    block_bits,
    bridge_name,
    default_file,
    letters,
    mac,
    node_address,
    node_names,
    port_name,
    runs_on,
)
from underlay.plan_image import PlannedImage, image_from, plan_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.lab import Lab, Network

MANAGEMENT = "eth0"
MANAGEMENT_RANGE = "10.254.0.0/16"
MANAGEMENT_SEGMENT = "management"
NET_D = "/etc/rkt/net.d"


@dataclass(frozen=True)
class Nic:
    """A node's network card. ``address`` carries its prefix length; ``mtu`` is in bytes."""

    segment: str
    interface: str
    mac: str
    address: str
    mtu: int


@dataclass(frozen=True)
class VlanLink:
    """An 802.1q sub-interface of a node's NIC, with the node's address in that VLAN."""

    interface: str
    link: str
    vlan: int
    mac: str
    address: str
    mtu: int


@dataclass(frozen=True)
class Route:
    """An on-link route of a node: ``to`` is reached directly through ``interface``."""

    to: str
    interface: str


@dataclass(frozen=True)
class PlannedNode:
    """A node. ``index`` counts from 1; ``memory`` is in MiB."""

    name: str
    index: int
    memory: int
    management: Nic
    management_peer: str
    nics: tuple[Nic, ...]
    vlans: tuple[VlanLink, ...]
    routes: tuple[Route, ...]


@dataclass(frozen=True)
class PlannedSegment:
    """A layer-2 underlay: one bridge, one port per node. ``ports`` maps node to port."""

    name: str
    bridge: str
    subnet: str
    mtu: int
    ports: dict[str, str]


@dataclass(frozen=True)
class Slice:
    """The part of a network's subnet that one node hands out, both ends included."""

    first: str
    last: str
    cidr: str


@dataclass(frozen=True)
class PlannedNetwork:
    """A container network, alike on every node but for its slice.

    ``parent`` is the interface that children sit on (CNI: master). ``file`` is
    the name of the net.d file, empty where the runtime has none. ``gateway`` is
    empty where nobody owns one.
    """

    name: str
    driver: str
    mode: str
    runtime: str
    segment: str
    vlan: int | None
    parent: str
    subnet: str
    gateway: str
    default_route: str
    mtu: int
    file: str
    slices: dict[str, Slice]


@dataclass(frozen=True)
class Attachment:
    """One interface of a container. An ipvlan child has its parent's MAC address."""

    network: str
    interface: str
    address: str
    mac: str


@dataclass(frozen=True)
class PlannedContainer:
    """A container on one node, with one attachment per network."""

    name: str
    node: str
    runtime: str
    attachments: tuple[Attachment, ...]


@dataclass(frozen=True)
class Plan:
    """Everything that a lab leads to, before anything exists."""

    lab: str
    user: str
    nodes: tuple[PlannedNode, ...]
    segments: tuple[PlannedSegment, ...]
    networks: tuple[PlannedNetwork, ...]
    containers: tuple[PlannedContainer, ...]
    image: PlannedImage | None = None

    def node(self, name: str) -> PlannedNode:
        """Return the node called ``name``; raise KeyError where there is none."""
        return _by_name(self.nodes, name)

    def network(self, name: str) -> PlannedNetwork:
        """Return the network called ``name``; raise KeyError where there is none."""
        return _by_name(self.networks, name)

    def container(self, name: str) -> PlannedContainer:
        """Return the container called ``name``; raise KeyError where there is none."""
        return _by_name(self.containers, name)

    def to_json(self) -> str:
        """Return the plan as JSON text, byte for byte the same for the same lab."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


def plan_from_json(text: str) -> Plan:
    """Return the Plan that ``to_json`` wrote as ``text``; raise ValueError where it isn't one."""
    try:
        return _plan(json.loads(text))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a plan: {error}") from error


def make_plan(lab: Lab) -> Plan:
    """Return the plan of a checked lab.

    A network's subnet is cut into equal blocks, a power of two in number: the
    first belongs to gateways and to the nodes themselves, the following ones to
    the nodes in order. So host-local and Docker, which both know only their own
    node, cannot hand out one address twice.
    """
    names = node_names(lab.nodes)
    segments = tuple(
        PlannedSegment(
            name=name,
            bridge=bridge_name(name),
            subnet=str(segment.subnet),
            mtu=segment.mtu,
            ports={node: port_name(name, i) for i, node in enumerate(names, 1)},
        )
        for name, segment in lab.segments.items()
    )
    networks = tuple(_network(lab, name, network, names) for name, network in lab.networks.items())
    nodes = tuple(_node(lab, name, i, segments, networks) for i, name in enumerate(names, 1))
    containers = tuple(_containers(lab, nodes, networks))
    return Plan(lab.name, lab.user, nodes, segments, networks, containers, plan_image(lab))


def parent_address(plan: Plan, node: PlannedNode, network: PlannedNetwork) -> str:
    """Return ``node``'s own address (no prefix length) on the parent of ``network``."""
    links: tuple[Nic | VlanLink, ...] = (*node.nics, *node.vlans, node.management)
    for link in links:
        if link.interface == network.parent:
            return link.address.partition("/")[0]
    raise KeyError(f"{node.name} has no {network.parent}")


def _network(lab: Lab, name: str, network: Network, nodes: list[str]) -> PlannedNetwork:
    from underlay.lab import DEFAULT_MODE

    interfaces = {segment: f"eth{i}" for i, segment in enumerate(lab.segments, 1)}
    base = network.parent or interfaces[network.segment or ""]
    base, _, tag = base.partition(".")
    vlan = network.vlan or (int(tag) if tag else None)
    owner = {interface: segment for segment, interface in interfaces.items()}
    segment = owner.get(base, MANAGEMENT_SEGMENT)
    segment_mtu = lab.segments[segment].mtu if segment in lab.segments else 1500
    file = network.file or default_file(list(lab.networks).index(name), name)
    return PlannedNetwork(
        name=name,
        driver=network.driver,
        mode=network.mode or DEFAULT_MODE[network.driver],
        runtime=network.runtime,
        segment=segment,
        vlan=vlan,
        parent=f"{base}.{vlan}" if vlan else base,
        subnet=str(network.subnet),
        gateway=str(network.gateway or ""),
        default_route=network.default_route,
        mtu=network.mtu or segment_mtu,
        file=file if network.runtime == "cni" else "",
        slices=address_blocks(network, nodes),
    )


def address_blocks(network: Network, nodes: list[str]) -> dict[str, Slice]:
    """Return what each node hands out of ``network``'s subnet.

    Raises ValueError or IndexError where the subnet is too small.
    """
    return _slices(network.subnet, nodes) if network.sliced else _whole(network.subnet, nodes)


def child_address(piece: Slice, number: int) -> IPv4Address:
    """Return the address of a node's ``number``-th child, counted from 1."""
    return IPv4Address(piece.first) + (number - 1)


def _slices(subnet: IPv4Network, nodes: list[str]) -> dict[str, Slice]:
    blocks = list(subnet.subnets(prefixlen_diff=block_bits(len(nodes))))
    return {node: _slice(blocks[i], subnet) for i, node in enumerate(nodes, 1)}


def _whole(subnet: IPv4Network, nodes: list[str]) -> dict[str, Slice]:
    """host-local's own habit: .1 is taken for the gateway, .2 is the first handed out."""
    whole = Slice(str(subnet[2]), str(subnet[-2]), str(subnet))
    return dict.fromkeys(nodes, whole)


def _slice(block: IPv4Network, subnet: IPv4Network) -> Slice:
    last = block[-2] if block[-1] == subnet[-1] else block[-1]
    return Slice(str(block[1]), str(last), str(block))


def _node(
    lab: Lab,
    name: str,
    index: int,
    segments: tuple[PlannedSegment, ...],
    networks: tuple[PlannedNetwork, ...],
) -> PlannedNode:
    block = IPv4Network((IPv4Network(MANAGEMENT_RANGE)[4 * index], 30))
    management = Nic(MANAGEMENT_SEGMENT, MANAGEMENT, mac(0, index), f"{block[2]}/30", 1500)
    nics = tuple(
        Nic(s.name, f"eth{i}", mac(i, index), _node_address(s.subnet, index), s.mtu)
        for i, s in enumerate(segments, 1)
    )
    macs = {nic.interface: nic.mac for nic in (management, *nics)}
    vlans: dict[str, VlanLink] = {}
    routes: dict[tuple[str, str], Route] = {}
    for network in networks:
        link = network.parent.partition(".")[0]
        if network.vlan is not None:
            vlans.setdefault(
                network.parent,
                VlanLink(
                    interface=network.parent,
                    link=link,
                    vlan=network.vlan,
                    mac=macs[link],
                    address=_node_address(network.subnet, index),
                    mtu=network.mtu,
                ),
            )
        elif link != MANAGEMENT:
            routes[(network.subnet, link)] = Route(network.subnet, link)
    return PlannedNode(
        name=name,
        index=index,
        memory=lab.nodes.memory,
        management=management,
        management_peer=str(block[1]),
        nics=nics,
        vlans=tuple(vlans.values()),
        routes=tuple(routes.values()),
    )


def _node_address(subnet: str, index: int) -> str:
    network = IPv4Network(subnet)
    return f"{node_address(network, index)}/{network.prefixlen}"


def _containers(
    lab: Lab, nodes: tuple[PlannedNode, ...], networks: tuple[PlannedNetwork, ...]
) -> Iterator[PlannedContainer]:
    by_name = {network.name: network for network in networks}
    for node in nodes:
        used = dict.fromkeys(by_name, 0)
        for group in lab.containers:
            if not runs_on(group, node.name):
                continue
            for _ in range(group.count):
                attachments = []
                for position, name in enumerate(group.networks):
                    used[name] += 1
                    mac = _child_mac(list(by_name).index(name), by_name[name], node, used[name])
                    piece, subnet = by_name[name].slices[node.name], by_name[name].subnet
                    address = f"{child_address(piece, used[name])}/{subnet.partition('/')[2]}"
                    attachments.append(Attachment(name, f"eth{position}", address, mac))
                first = group.networks[0]
                yield PlannedContainer(
                    name=f"{first}-{node.index}{letters(used[first])}",
                    node=node.name,
                    runtime=by_name[first].runtime,
                    attachments=tuple(attachments),
                )


def _child_mac(position: int, network: PlannedNetwork, node: PlannedNode, number: int) -> str:
    if network.driver == "ipvlan":
        link = network.parent.partition(".")[0]
        return next(n.mac for n in (node.management, *node.nics) if n.interface == link)
    return mac(FIRST_NETWORK_LINK + position, node.index, number)


Named = TypeVar("Named", PlannedNode, PlannedNetwork, PlannedContainer)


def _by_name(items: tuple[Named, ...], name: str) -> Named:
    for item in items:
        if item.name == name:
            return item
    raise KeyError(name)


def _plan(data: dict[str, Any]) -> Plan:
    return Plan(
        lab=data["lab"],
        user=data["user"],
        nodes=tuple(
            PlannedNode(
                **{
                    **node,
                    "management": Nic(**node["management"]),
                    "nics": tuple(Nic(**nic) for nic in node["nics"]),
                    "vlans": tuple(VlanLink(**link) for link in node["vlans"]),
                    "routes": tuple(Route(**route) for route in node["routes"]),
                }
            )
            for node in data["nodes"]
        ),
        segments=tuple(PlannedSegment(**segment) for segment in data["segments"]),
        networks=tuple(
            PlannedNetwork(
                **{**network, "slices": {k: Slice(**v) for k, v in network["slices"].items()}}
            )
            for network in data["networks"]
        ),
        containers=tuple(
            PlannedContainer(
                **{**c, "attachments": tuple(Attachment(**a) for a in c["attachments"])}
            )
            for c in data["containers"]
        ),
        image=image_from(data["image"]),
    )
