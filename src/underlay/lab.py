"""The lab: what the user wrote, checked key by key.

These models hold only what a lab file may say. Reading a file, with its line
numbers and suggestions, is ``lab_file.py``; what the words lead to is ``plan.py``.
Their JSON schema is what error messages quote, so nothing is said twice, and what
editors are given (``editor_schema.py``). In it ``description`` is the text below a
key, and ``expected`` says in words what a pattern takes.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)


def _written(value: object) -> object:
    """Refuse numbers: ``ipaddress`` would take 12 for 0.0.0.12."""
    if not isinstance(value, (str, IPv4Address, IPv4Network)):
        raise ValueError("not text")
    return value


def _with_prefix(value: object) -> object:
    """Refuse a bare address: ``ipaddress`` would take 20.1.1.0 for 20.1.1.0/32."""
    if isinstance(value, str) and "/" not in value:
        raise ValueError("no prefix length")
    return _written(value)


def _list_or_word(value: object) -> str:
    return "list" if isinstance(value, list) else "word"


Word = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=20),
    Field(
        json_schema_extra={
            "expected": "a word of at most 20 small letters, digits and single hyphens,"
            " beginning with a letter"
        }
    ),
]
Interface = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9]*(\.[0-9]{1,4})?$", max_length=15),
    Field(json_schema_extra={"expected": "an interface such as eth1 or eth1.70"}),
]
FileName = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{2}-[a-z0-9-]+\.(conf|conflist)$", max_length=64),
    Field(json_schema_extra={"expected": "a file name such as 20-lannet.conf"}),
]
Subnet = Annotated[IPv4Network, BeforeValidator(_with_prefix)]
Address = Annotated[IPv4Address, BeforeValidator(_written)]
Vlan = Annotated[int, Field(strict=True, ge=1, le=4094)]
Mtu = Annotated[int, Field(strict=True, ge=576, le=1500)]
Switch = Annotated[bool, Field(strict=True)]
Place = Annotated[
    Annotated[Word, Tag("word")] | Annotated[list[Word], Field(min_length=1), Tag("list")],
    Discriminator(_list_or_word),
]

Driver = Literal["macvlan", "ipvlan"]
Runtime = Literal["cni", "docker"]
Mode = Literal["bridge", "private", "vepa", "passthru", "l2", "l3", "l3s"]

MODES: dict[str, tuple[str, ...]] = {
    "macvlan": ("bridge", "private", "vepa", "passthru"),
    "ipvlan": ("l2", "l3", "l3s"),
}
DEFAULT_MODE: dict[str, Mode] = {"macvlan": "bridge", "ipvlan": "l2"}


class Strict(BaseModel):
    """Base of every lab model: unknown keys and silent conversions are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Nodes(Strict):
    """How many nodes there are, what they are called, and their memory in MiB."""

    count: Annotated[int, Field(strict=True, ge=1, le=20)] = 3
    """How many nodes there are."""
    prefix: Word = "core"
    """What the nodes' names begin with: core-01, core-02 and so on."""
    memory: Annotated[int, Field(strict=True, ge=256, le=16384)] = 512
    """Each node's memory in MiB."""

    @model_validator(mode="before")
    @classmethod
    def _count_alone(cls, value: object) -> object:
        """``nodes: 3`` is short for ``nodes: {count: 3}``."""
        return {"count": value} if isinstance(value, int) and not isinstance(value, bool) else value


class Segment(Strict):
    """One layer-2 underlay. Every node has one NIC in it, with an address from ``subnet``."""

    subnet: Subnet
    """Where the nodes' own addresses in this segment come from."""
    mtu: Mtu = 1500
    """The largest packet in bytes, on the switch and on the nodes' NICs."""


class Network(Strict):
    """Containers' network: a driver and mode on a parent, with addresses from ``subnet``.

    ``segment`` names the underlay whose NIC is the parent; ``parent`` (CNI calls
    it ``master``) names an interface outright instead. ``vlan`` puts the network on
    an 802.1q sub-interface of that parent. ``sliced: false`` leaves the whole
    subnet to every node, as host-local does by itself: labs about duplicate
    addresses want that, others never do.
    """

    driver: Driver
    """How containers share the parent: macvlan gives each its own MAC, ipvlan the parent's."""
    mode: Mode | None = None
    """The driver's mode; without it, bridge for macvlan and l2 for ipvlan."""
    runtime: Runtime = "cni"
    """What starts the containers: the CNI plugins with crun, or Docker."""
    segment: Word | None = None
    """The segment whose NIC is the parent."""
    parent: Annotated[Interface | None, Field(alias="master")] = None
    """The parent interface itself, instead of a segment."""
    vlan: Vlan | None = None
    """The 802.1q tag of the sub-interface that the network sits on."""
    subnet: Subnet
    """Where the containers' addresses come from."""
    gateway: Address | None = None
    """The gateway in the subnet, which is handed to no container."""
    default_route: Literal["on-link", "gateway", "none"] = "on-link"
    """How containers send to other subnets: straight onto the link, by the gateway, or not."""
    sliced: Switch = True
    """Whether each node hands out a slice of the subnet of its own, so that none occurs twice."""
    mtu: Mtu | None = None
    """The largest packet in bytes; without it, the parent's."""
    file: FileName | None = None
    """The name of the CNI file on the nodes; without it, one made from the network's name."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, use_attribute_docstrings=True
    )


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


class Image(Strict):
    """A box of your own that nodes boot instead of Underlay's, as paths beside the lab file.

    ``path`` is the root file system: ext4 without a partition table, raw or, where the
    name ends in .qcow2, as qcow2. VirtualBox takes a Vagrant box (.box) instead.
    ``kernel`` and ``initrd`` are for libvirt. ``doctor --image`` checks what it holds.
    """

    path: Annotated[str, Field(min_length=1)]
    """The root file system; paths count from the lab file."""
    kernel: Annotated[str, Field(min_length=1)] | None = None
    """The kernel that libvirt boots."""
    initrd: Annotated[str, Field(min_length=1)] | None = None
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
