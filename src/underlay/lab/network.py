"""A containers' network as the lab file describes it: driver, parent, addresses, runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import ConfigDict, Field

from underlay.drivers import DRIVERS
from underlay.lab.words import (
    Address,
    Address6,
    AnyAddress,
    AnySubnet,
    FileName,
    Interface,
    Key,
    Mtu,
    Port,
    Strict,
    Subnet,
    Subnet6,
    Switch,
    Vlan,
    Vni,
    Word,
)

if TYPE_CHECKING:
    DriverName = str
    Mode = str
    Flag = str
else:
    # Of whatever drivers there are; a type checker takes no words that are made at run time.
    DriverName = Literal[tuple(DRIVERS)]
    Mode = Literal[tuple(dict.fromkeys(mode for one in DRIVERS.values() for mode in one.modes))]
    Flag = Literal[tuple(dict.fromkeys(flag for one in DRIVERS.values() for flag in one.flags))]
Runtime = Literal["cni", "docker", "podman", "iproute2"]
Ipam = Literal["host-local", "static", "dhcp"]


class ExtraRoute(Strict):
    """A route of every container in the network: ``to`` by way of ``via``, or on the link."""

    to: AnySubnet
    """The subnet that it leads to."""
    via: AnyAddress | None = None
    """The next hop; without it, the subnet is asked for on the link itself."""


class Network(Strict):
    """Containers' network: a driver and mode on a parent, with addresses from ``subnet``.

    ``segment`` names the underlay whose NIC is the parent; ``parent`` (CNI calls
    it ``master``) names an interface outright instead. ``vlan`` puts the network on
    an 802.1q sub-interface of that parent. ``sliced: false`` leaves the whole
    subnet to every node, as host-local does by itself: labs about duplicate
    addresses want that, others never do.
    """

    driver: DriverName
    """How containers share the parent: macvlan gives each its own MAC, ipvlan the parent's."""
    mode: Mode | None = None
    """The driver's mode; without it, the first of its modes."""
    flag: Flag | None = None
    """Whether ipvlan siblings talk directly (bridge), not at all, or by the switch (vepa)."""
    runtime: Runtime = "cni"
    """What starts the containers: CNI plugins with crun, Docker, podman, or plain iproute2."""
    segment: Word | None = None
    """The segment whose NIC is the parent."""
    parent: Annotated[Interface | None, Field(alias="master")] = None
    """The parent interface itself, instead of a segment."""
    vlan: Vlan | None = None
    """The 802.1q tag of the sub-interface that the network sits on."""
    subnet: Subnet
    """Where the containers' addresses come from."""
    subnet6: Subnet6 | None = None
    """Where their IPv6 addresses come from; without it they have none."""
    gateway: Address | None = None
    """The gateway in the subnet, which is handed to no container."""
    gateway6: Address6 | None = None
    """The gateway in the IPv6 subnet."""
    default_route: Literal["on-link", "gateway", "none"] | None = None
    """How containers send to other subnets: on the link (usual), by the gateway (nat), or not."""
    routes: list[ExtraRoute] = Field(default=[], max_length=16)
    """More routes of the containers."""
    reserved: list[Address] = Field(default=[], max_length=64)
    """Addresses of the subnet that are handed to no container."""
    ip_range: Subnet | None = None
    """The part of the subnet that containers get addresses from; without it, all of it."""
    ipam: Ipam | None = None
    """The CNI plugin that gives containers their addresses; without it, host-local."""
    slaac: Switch = False
    """Whether containers make their IPv6 address from a router's advertisements (SLAAC)."""
    sliced: Switch = True
    """Whether each node hands out a slice of the subnet of its own, so that none occurs twice."""
    routed: Switch = False
    """Whether nodes route each other's slices by way of their owners' addresses (ipvlan l3)."""
    internal: Switch = False
    """Whether the network has no uplink: containers reach those on their own node and no others."""
    shim: Switch = False
    """Whether each node gets a child of its own, by which it reaches its own containers."""
    nat: Switch = False
    """Whether a bridge stays without uplink, and its node masquerades what leaves it."""
    allow: Annotated[list[Literal["containers", "nodes"]], Field(max_length=2)] | None = None
    """Whose frames a child in source mode takes; without it, all planned peers'."""
    vni: Vni | None = None
    """The VXLAN's identifier."""
    port: Port = 4789
    """The VXLAN's UDP port."""
    group: Address | None = None
    """The multicast group for a VXLAN's broadcasts; without it, a static list of all nodes."""
    key: Key | None = None
    """The GRE tunnels' key."""
    mtu: Mtu | None = None
    """The largest packet in bytes; without it, the parent's."""
    file: FileName | None = None
    """The name of the CNI file on the nodes; without it, one made from the network's name."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, use_attribute_docstrings=True
    )
