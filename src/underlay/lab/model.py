"""The lab: what the user wrote, checked key by key.

These models hold only what a lab file may say. The YAML text with its line numbers is read
by ``text.py``, and suggestions are made in ``messages.py``. What the words lead to is decided
in the package ``plan``.
Their JSON schema is what error messages quote, so nothing is said twice, and what
editors are given (``editor_schema.py``). In it ``description`` is the text below a
key, and ``expected`` says in words what a pattern takes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from underlay.lab.network import ExtraRoute, Network
from underlay.lab.words import (
    Address,
    Address6,
    AnyInterface,
    HostPath,
    Mac,
    Place,
    SegmentMtu,
    Strict,
    Subnet,
    Subnet6,
    Switch,
    Vlan,
    Word,
)

Check = Literal["source", "pmtu", "arp", "nd", "broadcast", "multicast", "macs"]
Protocol = Literal["icmp", "tcp", "udp"]
Service = Literal["dhcp", "ra"]


class Nodes(Strict):
    """How many nodes there are, what they are called, and their memory in MiB."""

    count: Annotated[int, Field(strict=True, ge=1, le=20)] = 3
    """How many nodes there are."""
    prefix: Word = "core"
    """What the nodes' names begin with: core-01, core-02 and so on."""
    memory: Annotated[int, Field(strict=True, ge=256, le=16384)] = 512
    """Each node's memory in MiB."""
    profile: Literal["full", "lean"] = "full"
    """What nodes boot: all of the image's services, or only what containers need."""

    @model_validator(mode="before")
    @classmethod
    def _count_alone(cls, value: object) -> object:
        """``nodes: 3`` is short for ``nodes: {count: 3}``."""
        return {"count": value} if isinstance(value, int) and not isinstance(value, bool) else value


class SwitchPort(Strict):
    """A switch port's VLANs: those of a trunk with its native one, or the one of an access port.

    A trunk without ``native`` drops frames without a tag.
    """

    access: Vlan | None = None
    """The one VLAN of an access port, whose frames have no tag on the cable."""
    trunk: Annotated[list[Vlan], Field(min_length=1, max_length=64)] | None = None
    """The VLANs whose frames pass the port with their tags."""
    native: Vlan | None = None
    """A trunk's VLAN for frames without a tag; without it, the port drops them."""


class Segment(Strict):
    """One layer-2 underlay. Every node has one NIC in it, with an address from ``subnet``."""

    subnet: Subnet
    """Where the nodes' own addresses in this segment come from."""
    subnet6: Subnet6 | None = None
    """Where the nodes' own IPv6 addresses come from; without it they have none."""
    mtu: SegmentMtu = 1500
    """The largest packet in bytes, on the switch and on the nodes' NICs."""
    hairpin: Switch = False
    """Whether the switch sends a frame back out of the port that it came in by."""
    isolated: Switch = False
    """Whether the switch keeps the nodes' ports apart, as a private VLAN does."""
    locked: Switch = False
    """Whether the switch takes frames from the nodes' own MAC addresses only."""
    bond: Literal["active-backup"] | None = None
    """The mode of a bond by which nodes are in the segment, with two NICs; without it, one NIC."""
    snooping: Switch = False
    """Whether the switch sends multicast only to ports that asked for the group (IGMP, MLD)."""
    querier: Switch = False
    """Whether a snooping switch asks who wants which groups; if nobody asks, it knows of none."""
    unknown_multicast: Literal["flood", "drop"] = "flood"
    """What a snooping switch does with groups that nobody is known to have asked for."""
    ports: dict[Word, SwitchPort] = Field(default={}, max_length=32)
    """VLANs by node or host; with any, all other ports are access ports of VLAN 1."""


class Containers(Strict):
    """``count`` containers on each node named by ``on``, attached to ``networks`` in order.

    ``on`` is ``all``, one node's name, or a list of names.
    """

    on: Place = "all"
    """The nodes that get them: all, one node's name, or a list of names."""
    count: Annotated[int, Field(strict=True, ge=1, le=200)] = 1
    """How many containers each of these nodes gets."""
    networks: Annotated[list[Word], Field(min_length=1, max_length=8)]
    """The networks that each container is attached to, its first interface in the first one."""
    name: Word | None = None
    """What the containers are called instead of by their first network."""
    addresses: dict[Word, Address] = Field(default={}, max_length=8)
    """Fixed addresses by network, for a group of one container on one node."""
    addresses6: dict[Word, Address6] = Field(default={}, max_length=8)
    """Fixed IPv6 addresses by network, likewise."""
    macs: dict[Word, Mac] = Field(default={}, max_length=8)
    """Fixed MAC addresses by network, likewise."""
    forwards: Switch = False
    """Whether the containers forward packets between their networks, as routers do."""


class HostPort(Strict):
    """How an external host sits in a segment."""

    addresses: list[AnyInterface] = Field(default=[], max_length=8)
    """Its addresses there; without any, one from the end of the segment's subnet."""
    vlan: Vlan | None = None
    """The 802.1q tag that it speaks; without it, none."""


class Host(Strict):
    """A machine that is no cluster member: a server, or a router that forwards."""

    on: Annotated[dict[Word, HostPort], Field(min_length=1, max_length=8)]
    """The segments that it is in."""
    forwards: Switch = False
    """Whether it forwards packets between its segments."""
    serves: list[Service] = Field(default=[], max_length=2)
    """What it serves in its segments: DHCP leases, or router advertisements (ra)."""
    routes: list[ExtraRoute] = Field(default=[], max_length=16)
    """More routes of the host."""


class Image(Strict):
    """A box of your own that nodes boot instead of Underlay's, as paths beside the lab file.

    ``path`` is the root file system: ext4 without a partition table, raw or, where the
    name ends in .qcow2, as qcow2. VirtualBox takes a Vagrant box (.box) instead.
    ``kernel`` and ``initrd`` are for libvirt. ``doctor --image`` checks what it holds.
    """

    path: HostPath
    """The root file system; paths count from the lab file."""
    kernel: HostPath | None = None
    """The kernel that libvirt boots."""
    initrd: HostPath | None = None
    """Its initrd."""


class Lab(Strict):
    """A whole lab file."""

    name: Word
    """The lab's name; two labs of the same name can't be up together."""
    description: str = ""
    """What the lab is for, in a sentence."""
    user: Word = "core"
    """Who logs in to the nodes."""
    nodes: Nodes = Nodes()
    """The nodes, or just how many."""
    image: Image | None = None
    """A box of your own that nodes boot instead of Underlay's."""
    segments: Annotated[dict[Word, Segment], Field(min_length=1, max_length=8)]
    """The underlay: each node's NICs eth1, eth2 and so on, in this order; eth0 is management."""
    networks: Annotated[dict[Word, Network], Field(min_length=1, max_length=16)]
    """The containers' networks by name."""
    containers: Annotated[list[Containers], Field(min_length=1, max_length=64)]
    """The containers, group by group."""
    hosts: dict[Word, Host] = Field(default={}, max_length=8)
    """External hosts and routers by name."""
    checks: list[Check] = Field(default=[], max_length=8)
    """What is measured besides reachability."""
    protocols: list[Protocol] = Field(default=["icmp", "tcp", "udp"], min_length=1, max_length=3)
    """The protocols that reachability is measured with."""
