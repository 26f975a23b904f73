"""The lab: what the user wrote, checked key by key.

These models hold only what a lab file may say, and first the kinds of values in it: words,
interfaces, addresses, numbers. The YAML text with its line numbers is read by ``text.py``,
and suggestions are made in ``messages.py``. What the words lead to is decided in the package
``plan``. Their JSON schema is what error messages quote, so nothing is said twice, and what
editors are given (``editor_schema.py``). In it ``description`` is the text below a key, and
``expected`` says in words what a pattern takes.
"""

from __future__ import annotations

import ipaddress
import re
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    StrictBool,
    StringConstraints,
    Tag,
    model_validator,
)

from underlay.drivers import DRIVERS, Driver
from underlay.lab.own import NOTHING_OWN, Own
from underlay.lab.statement import (
    LEAST,
    MOST,
    PATTERN,
    PORT,
    PROTOCOL,
    SEEN,
    Ends,
    Said,
    ends_in,
    said_in,
)

# How many nodes a lab has at most: their numbers stand in addresses of theirs.
MOST_NODES = 100
MOST_GROUPS = 512
# What values of pydantic's formats look like, in words.
FORMATS = {
    "ipv4network": "an IPv4 network such as 192.168.70.0/24",
    "ipv4": "an IPv4 address such as 192.168.70.1",
    "ipv6network": "an IPv6 network such as fd00:70::/64",
    "ipv6": "an IPv6 address such as fd00:70::1",
}


def _written(value: object) -> object:
    """Refuse numbers: ``ipaddress`` would take 12 for 0.0.0.12."""
    if not isinstance(value, (str, IPv4Address, IPv4Network, IPv6Address, IPv6Network)):
        raise ValueError("not text")
    # In an IPv6 address ``ipaddress`` takes anything after a percent sign: lines and commands, too.
    if isinstance(value, str) and "%" in value:
        raise ValueError("a zone")
    return value


def _with_prefix(value: object) -> object:
    """Refuse a bare address: ``ipaddress`` would take 20.1.1.0 for 20.1.1.0/32."""
    if isinstance(value, str) and "/" not in value:
        raise ValueError("no prefix length")
    return _written(value)


def _network_text(value: str) -> str:
    return str(ipaddress.ip_network(str(_with_prefix(value))))


def _address_text(value: str) -> str:
    return str(ipaddress.ip_address(str(_written(value))))


def _interface_text(value: str) -> str:
    return str(ipaddress.ip_interface(str(_with_prefix(value))))


def _range_text(value: str) -> str:
    """Take a subnet, or FIRST-LAST: two addresses of one family in their order."""
    first, dash, last = str(_written(value)).partition("-")
    if not dash:
        return _network_text(value)
    low, high = ipaddress.ip_address(first.strip()), ipaddress.ip_address(last.strip())
    if low.version != high.version or int(low) > int(high):
        raise ValueError("no range")
    return f"{low}-{high}"


def _range_or_address_text(value: str) -> str:
    text = str(_written(value))
    return _range_text(text) if "/" in text or "-" in text else _address_text(text)


def _whom_text(value: str) -> str:
    """Return addresses as ``ipaddress`` writes them, and a name as it is."""
    if re.search(r"[:/]|^[0-9.]+$", value):
        return _network_text(value) if "/" in value else _address_text(value)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
        raise ValueError("no name")
    return value


def _ends_text(value: str) -> str:
    return str(ends_in(value))


def _statement_text(value: str) -> str:
    return str(said_in(value))


def _list_or_word(value: object) -> str:
    return "list" if isinstance(value, list) else "word"


def _list_or_mapping(value: object) -> str:
    return "list" if isinstance(value, list) else "mapping"


def _word_or_mapping(value: object) -> str:
    return "mapping" if isinstance(value, (dict, BaseModel)) else "word"


def _expected(words: str) -> object:
    return Field(json_schema_extra={"expected": words})


def _such(form: str) -> object:
    """Show in messages, and on the page about lab files, what a list or mapping looks like."""
    return Field(json_schema_extra={"such": form})


Word = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=20),
    _expected(
        "a word of at most 20 small letters, digits and single hyphens, beginning with a letter"
    ),
]
# A label of RFC 1123, 2.1, in small letters: Vagrant, libvirt and ssh each fold case their own way.
NodeName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63),
    _expected(
        "a host name of at most 63 small letters, digits and hyphens, with no hyphen at either end"
    ),
]
# What Docker and podman take (moby, daemon/names/names.go), as long as a host name may be.
ContainerName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$", max_length=63),
    _expected(
        "a name of at most 63 letters, digits, dots, hyphens and underscores, beginning with a"
        " letter or digit"
    ),
]
# Less than the kernel takes (net/core/dev.c, dev_valid_name): what every file and command takes.
DEVICE = r"^[a-zA-Z][a-zA-Z0-9_.-]*$"
Interface = Annotated[
    str,
    StringConstraints(pattern=DEVICE, max_length=15),
    _expected("an interface such as eth1 or eth1.70"),
]
# A device that is made on the nodes, as users call their own: mac0, macvlan-shim.
DeviceName = Annotated[
    str,
    StringConstraints(pattern=DEVICE, max_length=15),
    _expected("a device name of at most 15 characters, such as mac0 or macvlan-shim"),
]
FileName = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{2}-[a-z0-9-]+\.(conf|conflist)$", max_length=64),
    _expected("a file name such as 20-lannet.conf"),
]
# It stands in messages and in other programs' files of a line each.
HostPath = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f]+$"),
    _expected("a path without control characters"),
]
# A word of a command line: what execve(2) takes.
Argument = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00]*$", max_length=8192),
    _expected("a word of a command line, in quotes where it is a number"),
]
# The first octet is even: not a group's address (IEEE 802, 8.2).
Mac = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$"),
    _expected("a MAC address such as 02:00:00:00:00:01"),
]
Subnet = Annotated[IPv4Network, BeforeValidator(_with_prefix)]
Subnet6 = Annotated[IPv6Network, BeforeValidator(_with_prefix)]
Address = Annotated[IPv4Address, BeforeValidator(_written)]
Address6 = Annotated[IPv6Address, BeforeValidator(_written)]
AnySubnet = Annotated[
    str, AfterValidator(_network_text), _expected("a subnet such as 10.1.0.0/16 or fd00:1::/64")
]
AnyAddress = Annotated[
    str, AfterValidator(_address_text), _expected("an address such as 192.168.70.1 or fd00::1")
]
AnyRange = Annotated[
    str,
    AfterValidator(_range_text),
    _expected("a subnet or FIRST-LAST, such as 10.1.1.32/27 or 10.1.1.32-10.1.1.63"),
]
Addresses = Annotated[
    str,
    AfterValidator(_range_or_address_text),
    _expected("an address, a subnet or FIRST-LAST, such as 10.1.1.5 or 10.1.1.32-10.1.1.63"),
]
AnyInterface = Annotated[
    str,
    AfterValidator(_interface_text),
    _expected("an address with its prefix length, such as 192.168.70.254/24"),
]
Vlan = Annotated[int, Field(strict=True, ge=1, le=4094)]
Mtu = Annotated[int, Field(strict=True, ge=LEAST, le=MOST)]
SegmentMtu = Annotated[int, Field(strict=True, ge=576, le=1500)]
Vni = Annotated[int, Field(strict=True, ge=1, le=16777215)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Key = Annotated[int, Field(strict=True, ge=0, le=4294967295)]
# A container, node, host or network by name, or addresses.
Whom = Annotated[
    str,
    AfterValidator(_whom_text),
    _expected("a name, an address or a subnet, such as web, 10.1.0.7 or 10.1.0.0/24"),
]
Name = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64),
    _expected("the name of a container, network, node or host"),
]
NameChoice = Annotated[
    Annotated[Name, Tag("word")] | Annotated[list[Name], Field(min_length=1), Tag("list")],
    Discriminator(_list_or_word),
]
# Whom a statement of `expect` is about.
EndPattern = Annotated[
    str,
    StringConstraints(pattern=rf"^{PATTERN}$", max_length=128),
    _expected("a name or a pattern of names, such as web or guest*"),
]
EndsText = Annotated[
    str,
    StringConstraints(max_length=1024),
    AfterValidator(_ends_text),
    _expected("names or patterns of names, such as web, guest* or '* except web'"),
]
EndChoice = Annotated[
    Annotated[EndsText, Tag("word")]
    | Annotated[list[EndPattern], Field(min_length=1, max_length=64), Tag("list")],
    Discriminator(_list_or_word),
]
StatementText = Annotated[
    str,
    StringConstraints(max_length=4096),
    AfterValidator(_statement_text),
    _expected("a statement such as 'web -> db tcp:5432' or 'guest* -x lan'"),
]
NodeChoice = Annotated[
    Annotated[NodeName, Tag("word")] | Annotated[list[NodeName], Field(min_length=1), Tag("list")],
    Discriminator(_list_or_word),
]

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
Ipam = Literal["host-local", "static", "dhcp", "cluster", "none"]
Check = Literal["source", "pmtu", "arp", "nd", "broadcast", "multicast", "macs"]
Protocol = Annotated[
    str,
    StringConstraints(pattern=rf"^{PROTOCOL}$"),
    _expected("icmp, tcp, udp, or one of the last two with a port, such as tcp:5432"),
]
Listened = Annotated[
    str,
    StringConstraints(pattern=rf"^(tcp|udp):{PORT}$"),
    _expected("tcp or udp with a port, such as tcp:5432"),
]
Service = Literal["dhcp", "ra"]


class Strict(BaseModel):
    """Base of every lab model: unknown keys and silent conversions are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ExtraRoute(Strict):
    """A route: ``to`` by way of ``via``, or on the link."""

    to: AnySubnet
    """The subnet that it leads to."""
    via: AnyAddress | None = None
    """The next hop; without it, the subnet is asked for on the link itself."""


class NodeInterface(Strict):
    """What a node's own interface has instead of what the plan gives it."""

    addresses: Annotated[list[AnyInterface], _such("[192.168.70.5/24]")] = Field(
        default=[], max_length=2
    )
    """Its addresses with their prefix lengths, at most one of each family; without any, none."""
    routes: Annotated[list[ExtraRoute], _such("[{to: 0.0.0.0/0, via: 192.168.70.1}]")] = Field(
        default=[], max_length=64
    )
    """All of its routes but those that its addresses bring."""
    segment: Word | None = None
    """Beside ``vlan``: the segment whose NIC a VLAN sub-interface of the node's own is on."""
    vlan: Vlan | None = None
    """The tag of that sub-interface: the node has it whether a network sits on it or not."""
    absent: StrictBool = False
    """Whether the node lacks this VLAN sub-interface, which others have for their networks."""


class Nodes(Strict):
    """How many nodes there are, what they are called, and their memory in MiB.

    ``nodes: 3`` is short for a count, and ``nodes: [alpha, beta]`` for names.
    """

    count: Annotated[int, Field(strict=True, ge=1, le=MOST_NODES)] = 3
    """How many nodes there are."""
    prefix: Word = "core"
    """What the nodes' names begin with: core-01, core-02 and so on."""
    names: Annotated[list[NodeName], Field(min_length=1, max_length=MOST_NODES)] | None = None
    """What each node is called, in order, instead of a count and a prefix."""
    memory: Annotated[int, Field(strict=True, ge=256, le=16384)] = 512
    """Each node's memory in MiB."""
    profile: Literal["full", "lean"] = "full"
    """What nodes boot: all of the image's services, or only what containers need."""
    config: Literal["cloud-config", "ignition"] = "cloud-config"
    """What makes a node at its first boot: cloud-init, or Debian's Ignition (specs up to 3.3.0)."""
    ignition_as: Literal["3.3.0"] | None = None
    """Hosts' own Ignition files of later specifications are read as of this one; `up` says so."""
    ignition_in: Literal["host", "initrd"] = "host"
    """Where Ignition runs: on your machine before a node boots, or in the initrd of each node."""
    interfaces: Annotated[
        dict[NodeName, Annotated[dict[Interface, NodeInterface], Field(max_length=64)]],
        _such("{core-01: {eth1: {addresses: [192.168.70.5/24]}}}"),
    ] = Field(default={}, max_length=MOST_NODES)
    """Addresses and routes of nodes' NICs, VLAN sub-interfaces and bridges, by node and name.

    What isn't named has those that the plan gives it. `{vlan90: {segment: lan, vlan: 90}}` is a
    VLAN sub-interface of the node's own, and `{eth1.80: {absent: true}}` one that it lacks.
    """

    @model_validator(mode="before")
    @classmethod
    def _in_short(cls, value: object) -> object:
        """Take a count or names by themselves; names tell the count, too."""
        if isinstance(value, int) and not isinstance(value, bool):
            return {"count": value}
        if isinstance(value, list):
            value = {"names": value}
        if isinstance(value, dict) and isinstance(value.get("names"), list):
            known = len(value["names"])
            counted = "count" in value or not 1 <= known <= MOST_NODES
            return value if counted else {**value, "count": known}
        return value


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
    hairpin: StrictBool = False
    """Whether the switch sends a frame back out of the port that it came in by."""
    isolated: StrictBool = False
    """Whether the switch keeps the nodes' ports apart, as a private VLAN does."""
    locked: StrictBool = False
    """Whether the switch takes frames from the nodes' own MAC addresses only."""
    bond: Literal["active-backup"] | None = None
    """The mode of a bond by which nodes are in the segment, with two NICs; without it, one NIC."""
    interface: DeviceName | None = None
    """What the NIC, or the bond, is called on the nodes; without it, eth1, or bond1."""
    members: Annotated[
        Annotated[list[DeviceName] | None, Field(min_length=2, max_length=2)], _such("[eth1, eth2]")
    ] = None
    """What a bond's two NICs are called on the nodes."""
    snooping: StrictBool = False
    """Whether the switch sends multicast only to ports that asked for the group (IGMP, MLD)."""
    querier: StrictBool = False
    """Whether a snooping switch asks who wants which groups; if nobody asks, it knows of none."""
    unknown_multicast: Literal["flood", "drop"] = "flood"
    """What a snooping switch does with groups that nobody is known to have asked for."""
    ports: Annotated[
        dict[NodeName, SwitchPort],
        _such("{core-01: {trunk: [70, 80], native: 1}, core-02: {access: 70}}"),
    ] = Field(default={}, max_length=MOST_NODES + 8)
    """VLANs by node or host; with any, all other ports are access ports of VLAN 1, or trunks."""
    trunk: Annotated[list[Vlan], Field(min_length=1, max_length=64)] | None = None
    """The VLANs of every port that isn't named in ``ports``: a segment whose frames have tags."""
    native: Vlan | None = None
    """The VLAN of these trunks for frames without a tag; without it, they drop them."""
    nics: Annotated[dict[NodeName, Interface], _such("{core-01: ens3, core-02: ens4}")] = Field(
        default={}, max_length=MOST_NODES
    )
    """Which NIC of which host of the `fleet` is plugged into it, where their files don't say so."""


class Pool(Strict):
    """One of a network's subnets, in the long form of ``subnet`` and its gateway."""

    subnet: AnySubnet
    """Where addresses come from."""
    gateway: AnyAddress | None = None
    """The gateway in the subnet, which is handed to no container by itself."""
    ip_range: AnySubnet | None = None
    """The part of the subnet that nodes' slices are cut from; without it, all of it."""
    ranges: Annotated[
        dict[NodeName, AnyRange], _such("{core-01: 10.1.1.64/26, core-02: 10.1.1.130-10.1.1.139}")
    ] = Field(default={}, max_length=MOST_NODES)
    """What each node hands out, by node; without it, a slice of its own."""
    reserved: Annotated[list[Addresses], _such("[10.1.1.10, 10.1.1.200-10.1.1.220]")] = Field(
        default=[], max_length=64
    )
    """What is handed to no container: addresses, subnets or ranges."""

    @property
    def family(self) -> int:
        """4 or 6."""
        return ipaddress.ip_network(self.subnet).version

    @property
    def handed_out(self) -> str:
        """What slices are cut from: ``ip_range``, else all of the subnet."""
        return self.ip_range or self.subnet


NodeAddresses = Annotated[
    Annotated[AnyInterface, Tag("word")]
    | Annotated[list[AnyInterface], Field(min_length=1, max_length=2), Tag("list")],
    Discriminator(_list_or_word),
]

ShimRoutes = Annotated[
    Annotated[list[AnySubnet], Field(max_length=16), Tag("list")]
    | Annotated[
        dict[NodeName, Annotated[list[AnySubnet], Field(max_length=16)]],
        Field(max_length=MOST_NODES),
        Tag("mapping"),
    ],
    Discriminator(_list_or_mapping),
]


class Shim(Strict):
    """A node's own child on a network's parent, by which it reaches its own containers."""

    addresses: Annotated[dict[NodeName, NodeAddresses], _such("{core-01: 10.1.1.250/32}")] = Field(
        default={}, max_length=MOST_NODES
    )
    """Addresses by node, with prefix lengths; without any, one of the network's for every node.

    A node that isn't named beside others has no shim.
    """
    dhcp: StrictBool = False
    """Whether the nodes ask the segment's DHCP server for it (macvlan, IPv4)."""
    routes: Annotated[ShimRoutes | None, _such("{core-01: [10.1.1.64/26]}")] = None
    """What nodes reach by the shim, all the same or each its own, of which one that isn't named
    has none; without it, all that their containers get addresses from."""
    name: DeviceName | None = None
    """What the shim is called on the nodes; without it, sh- and the network's name."""

    def of(self, node: str) -> list[str]:
        """Return the addresses that are given for ``node``; none where its own are taken."""
        found = self.addresses.get(node, [])
        return [found] if isinstance(found, str) else found

    def leads_to(self, node: str) -> list[str] | None:
        """Return what ``node`` reaches by it; None where that is what its containers are in."""
        return self.routes.get(node, []) if isinstance(self.routes, dict) else self.routes

    def is_on(self, node: str) -> bool:
        """Whether ``node`` has such a child."""
        return not self.addresses or node in self.addresses


class Network(Strict):
    """Containers' network: a driver and mode on a parent, with addresses from ``subnet``.

    ``subnet`` and ``subnet6`` are short for one subnet of each family; ``subnets`` lists any
    number of them. A container has an address of each subnet, but in Docker one of each
    family: of the subnet that its fixed address is in, else of the first one with room.

    Without ``ranges`` each node hands out a slice of its own. The ranges are the user's own
    plan; a fixed address may be anywhere in the subnet. With ``ipam: cluster`` all nodes hand
    out of one pool, one after the other in the plan's order. It stands for allocators that
    know the whole cluster, such as whereabouts and Swarm's: CNI is given the addresses by the
    plugin static, Docker and podman by ``--ip``. With ``ipam: dhcp`` a host that serves leases
    gives each container its planned address, by its MAC address: CNI asks by its plugin's daemon,
    podman by netavark's proxy. With ``ipam: none`` containers get a link
    without addresses: nothing of IPv4 is asked of it, and of IPv6 what the kernel makes of the
    child's MAC address for the link alone, where the runtime leaves it that.

    ``segment`` names the underlay whose NIC is the parent; ``parent`` (CNI calls
    it ``master``) names an interface outright instead. ``vlan`` puts the network on
    an 802.1q sub-interface of that parent. ``sliced: false`` leaves the whole
    subnet to every node, as host-local does by itself: labs about duplicate
    addresses want that, others never do.

    Containers have no default route by ``gateway`` unless ``default_route: gateway`` says so.
    Without it they ask for any address on the link itself, whatever the runtime, so that two
    subnets on one wire reach each other without a router, and ``gateway`` is but an address that
    is handed to nobody. Docker itself does otherwise: it gives containers of macvlan and ipvlan l2
    a default route by the gateway, by the subnet's first address where the network names none.
    ``nat`` has ``default_route: gateway`` by itself. With ``none`` there is no default route.
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
    interface: DeviceName | None = None
    """What that sub-interface is called on the nodes; without it, NIC.VLAN, such as eth1.70."""
    bridge: DeviceName | None = None
    """What the network's bridge is called on the nodes; without it, br- and what it is for."""
    subnet: Subnet | None = None
    """Where the containers' addresses come from."""
    subnets: Annotated[
        list[Pool], _such("[{subnet: 10.1.1.0/24, gateway: 10.1.1.1}, {subnet: 10.1.2.0/24}]")
    ] = Field(default=[], max_length=16)
    """The subnets in the long form, each with its gateway and ranges, instead of `subnet`."""
    subnet6: Subnet6 | None = None
    """Where their IPv6 addresses come from; without it they have none."""
    gateway: Address | None = None
    """The gateway in the subnet, which is handed to no container."""
    gateway6: Address6 | None = None
    """The gateway in the IPv6 subnet."""
    default_route: Literal["on-link", "gateway", "none"] | None = None
    """Where containers send what is for other subnets: to the link, to the gateway, or nowhere."""
    routes: Annotated[list[ExtraRoute], _such("[{to: 10.2.0.0/16, via: 10.1.1.1}]")] = Field(
        default=[], max_length=16
    )
    """More routes of the containers."""
    reserved: Annotated[list[Addresses], _such("[10.1.1.10, 10.1.1.200-10.1.1.220]")] = Field(
        default=[], max_length=64
    )
    """What is handed to no container: addresses of the subnet, subnets of it, or ranges."""
    ip_range: Subnet | None = None
    """The part of the subnet that containers get addresses from; without it, all of it."""
    ranges: Annotated[
        dict[NodeName, AnyRange], _such("{core-01: 10.1.1.64/26, core-02: 10.1.1.130-10.1.1.139}")
    ] = Field(default={}, max_length=MOST_NODES)
    """What each node hands out of the subnet, by node; without it, a slice of its own."""
    ipam: Ipam | None = None
    """What gives containers addresses: a CNI plugin, a server (dhcp), the plan (cluster), none."""
    slaac: StrictBool = False
    """Whether containers make their IPv6 address from a router's advertisements (SLAAC)."""
    sliced: StrictBool = True
    """Whether each node hands out a slice of the subnet of its own, so that none occurs twice."""
    routed: StrictBool = False
    """Whether nodes route each other's slices by way of their owners' addresses (ipvlan l3)."""
    internal: StrictBool = False
    """Whether the network has no uplink: containers reach those on their own node and no others."""
    shim: Annotated[
        Annotated[StrictBool, Tag("word")] | Annotated[Shim, Tag("mapping")],
        Discriminator(_word_or_mapping),
    ] = False
    """Whether nodes get a child of their own, by which they reach their own containers; or how."""
    nat: StrictBool = False
    """Whether a bridge stays without uplink, and its node masquerades what leaves it."""
    allow: Annotated[
        Annotated[list[Literal["containers", "nodes"]], Field(max_length=2)] | None,
        _such("[containers]"),
    ] = None
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

    model_config = ConfigDict(populate_by_name=True)

    @property
    def traits(self) -> Driver:
        """What its driver is like."""
        return DRIVERS[self.driver]

    @property
    def used_mode(self) -> str:
        """The driver's usual mode where the file names none."""
        return self.mode or self.traits.default_mode

    @property
    def own_shim(self) -> Shim | None:
        """The nodes' own child; None for none."""
        return (Shim() if self.shim else None) if isinstance(self.shim, bool) else self.shim

    @property
    def is_closed(self) -> bool:
        """Whether no frame of the network leaves its node."""
        return self.internal or self.nat

    @property
    def handed_out(self) -> IPv4Network | None:
        """Where the containers' addresses come from: ``ip_range``, else all of the subnet."""
        return self.ip_range or self.subnet

    @cached_property
    def pools(self) -> tuple[Pool, ...]:
        """Its subnets in the long form, whichever form the file has; those of IPv4 first."""
        return tuple(sorted([*self._short, *self.subnets], key=lambda pool: pool.family))

    @property
    def _short(self) -> list[Pool]:
        """What the keys ``subnet`` and ``subnet6`` stand for."""
        made = []
        ranges, reserved = self.ranges, list(self.reserved)
        if self.subnet:
            four = str(self.ip_range) if self.ip_range else None
            gateway = str(self.gateway) if self.gateway else None
            mine = [one for one in reserved if ":" not in one]
            made.append(
                Pool(
                    subnet=str(self.subnet),
                    gateway=gateway,
                    ip_range=four,
                    ranges=ranges,
                    reserved=mine,
                )
            )
            ranges, reserved = {}, [one for one in reserved if ":" in one]
        if self.subnet6:
            gateway = str(self.gateway6) if self.gateway6 else None
            made.append(
                Pool(subnet=str(self.subnet6), gateway=gateway, ranges=ranges, reserved=reserved)
            )
        return made

    @property
    def is_shared(self) -> bool:
        """Whether all nodes hand out of one pool and know what the others have handed out.

        That is so where the plan gives the addresses, or a server that all nodes ask.
        """
        return self.ipam == "cluster" or (not self.sliced and self.ipam in ("static", "dhcp"))

    @property
    def has_slices(self) -> bool:
        """Whether each node hands out a part of the subnet that is its own alone."""
        return self.sliced and not self.is_shared


class Containers(Strict):
    """``count`` containers on each node named by ``on``, attached to ``networks`` in order.

    ``on`` is ``all``, one node's name, or a list of names.
    """

    on: NodeChoice = "all"
    """The nodes that get them: all, one node's name, or a list of names."""
    count: Annotated[int, Field(strict=True, ge=1, le=200)] = 1
    """How many containers each of these nodes gets."""
    networks: Annotated[Annotated[list[Word], Field(min_length=1, max_length=8)], _such("[lannet]")]
    """The networks that each container is attached to, its first interface in the first one."""
    name: ContainerName | None = None
    """What the containers are called instead of by their first network.

    The only container of its name is called just that; where there are several, the number of
    the node and a letter follow: web-1a.
    """
    addresses: Annotated[dict[Word, Address], _such("{lannet: 10.1.1.10}")] = Field(
        default={}, max_length=8
    )
    """Fixed addresses by network, for a group of one container on one node."""
    addresses6: Annotated[dict[Word, Address6], _such('{lannet: "fd00:1::10"}')] = Field(
        default={}, max_length=8
    )
    """Fixed IPv6 addresses by network, likewise."""
    macs: Annotated[dict[Word, Mac], _such('{lannet: "02:00:00:00:01:10"}')] = Field(
        default={}, max_length=8
    )
    """Fixed MAC addresses by network, likewise."""
    forwards: StrictBool = False
    """Whether the containers forward packets between their networks, as routers do."""
    listens: Annotated[list[Listened], _such('["tcp:5432"]')] = Field(default=[], max_length=16)
    """Ports of ``protocols`` that the containers listen on; others refuse them."""
    image: HostPath | None = None
    """An archive of the image that they run, of `docker save` or OCI, counted from the lab file.

    Without one they run busybox, which sleeps.
    """
    command: Annotated[list[Argument], _such('[httpd, -f, -p, "80"]')] = Field(
        default=[], max_length=64
    )
    """The program that they run, word by word: the image's own one gives way, its entry point not.

    Without an `image` it is one of busybox's.
    """
    ports: Annotated[list[Port], _such("[80]")] = Field(default=[], max_length=16)
    """TCP ports that this program listens on; it answers there itself, and no probe of Underlay's.

    Cells ask for those that `protocols` names: whether it takes a connection.
    """
    labels: Annotated[list[Word], _such("[guests, untrusted]")] = Field(default=[], max_length=8)
    """Names for statements of ``expect`` that several groups may share; they make nothing."""


class HostPort(Strict):
    """How an external host sits in a segment: by its NIC, or by a VLAN's sub-interface of it."""

    addresses: Annotated[list[AnyInterface], _such("[192.168.70.250/24]")] = Field(
        default=[], max_length=8
    )
    """Its addresses there; without any, one from the end of the segment's subnet."""
    vlan: Vlan | None = None
    """The 802.1q tag that it speaks there; without it, none."""


HostPorts = Annotated[
    Annotated[HostPort, Tag("mapping")]
    | Annotated[list[HostPort], Field(min_length=1, max_length=8), Tag("list")],
    Discriminator(_list_or_mapping),
]


class Host(Strict):
    """A machine that is no cluster member: a server, or a router that forwards."""

    on: Annotated[
        Annotated[dict[Word, HostPorts], Field(min_length=1, max_length=8)],
        _such("{lan: {addresses: [192.168.70.250/24]}}"),
    ]
    """The segments that it is in; a list for one that it is in by several VLANs of its cable."""
    forwards: StrictBool = False
    """Whether it forwards packets between its segments."""
    serves: list[Service] = Field(default=[], max_length=2)
    """What it serves in its segments: DHCP leases, or router advertisements (ra)."""
    routes: Annotated[list[ExtraRoute], _such("[{to: 10.2.0.0/16, via: 192.168.70.1}]")] = Field(
        default=[], max_length=16
    )
    """More routes of the host."""
    listens: Annotated[list[Listened], _such('["tcp:5432"]')] = Field(default=[], max_length=16)
    """Ports of ``protocols`` that it listens on; others it refuses."""

    def ports(self, segment: str) -> list[HostPort]:
        """Return how it sits in ``segment``: once for each VLAN, not at all in one of others."""
        found = self.on.get(segment, [])
        return found if isinstance(found, list) else [found]


class Filter(Strict):
    """A rule of a packet filter, on containers, nodes or external hosts.

    Of those on one machine and direction the first that matches decides, and what none matches
    is accepted. A rule looks at each packet by itself, answers too, unless it names a ``state``.
    It never takes neighbour discovery, nor what passes a node's loopback or management interface.
    """

    on: NameChoice
    """Whose filter it is: containers by their name or their network's, nodes, external hosts."""
    direction: Literal["in", "out", "forward"] = "in"
    """Whether it is asked about what comes in, goes out, or is passed on."""
    protocol: Literal["icmp", "tcp", "udp"] | None = None
    """The protocol (icmp: pings and their answers); without it, all that there are."""
    port: Port | None = None
    """The destination port; an answer goes to the asker's own port, not to this one."""
    from_: Annotated[Whom | None, Field(alias="from")] = None
    """Whose packets: a subnet, an address, or the name of a network, container, node or host."""
    to: Whom | None = None
    """Whom they are for, likewise."""
    state: Literal["new", "established"] | None = None
    """Only packets that begin a connection, or only those of one; without it, the filter
    remembers nothing and asks for nothing."""
    bridged: StrictBool = False
    """Whether a node's forward chain is asked about what its bridges pass on (br_netfilter)."""
    action: Literal["accept", "drop", "reject"]
    """What becomes of the packet; reject tells its sender, by an ICMP error, and is for ``in``."""


class Statement(Strict):
    """What the lab's user wants: who must reach whom, or never, whatever the prediction says.

    Short for it is one line: ``web -> db tcp:5432``, and ``guest* -x lan`` for never. After the
    names stand the protocols, if any, and ``ipv4`` or ``ipv6`` where one of the two is meant. A
    name is a container's, its group's or a label of it, a network's, a node's or an external
    host's, an end's as the matrix has it (``web-1a@lannet``, or ``web@lannet`` for the group's),
    or a pattern of such with ``*``, ``?`` and ``[a-c]``; ``nodes``, ``hosts`` and ``containers``
    are all of them. Names have commas between, and those behind ``except`` are taken out: ``"*
    except web -x db"`` is that nobody but web reaches db. YAML wants quotes around what begins with
    an asterisk.

    It is about every cell between these ends, and is kept if each of them is as it says: who must
    reach is answered; of whom must never, not even the request gets there. With ``source`` or
    ``pmtu`` it is about what is seen there instead: ``inner -> server source:192.168.70.11``.
    ``unplanned: never`` alone is about the whole lab: that ``check`` finds nothing reachable that
    nobody planned. A statement changes nothing of what is planned or predicted.
    """

    from_: Annotated[EndChoice, Field(alias="from")]
    """Who asks, by name or pattern."""
    to: EndChoice
    """Who is asked, likewise."""
    tcp: Port | None = None
    """A port that is asked for over TCP; `protocols` of the lab has to name it."""
    udp: Port | None = None
    """A port that is asked for over UDP, likewise."""
    protocols: Annotated[list[Protocol], _such('[icmp, "tcp:5432"]')] = Field(
        default=[], max_length=8
    )
    """What it is asked by; without any, all that the lab measures, but ports for `never` alone."""
    source: AnyAddress | None = None
    """The source address by which they must be seen there, as behind NAT; asked by that check."""
    pmtu: Mtu | None = None
    """The least size in bytes, with the IP header, that must get there whole; by that check."""
    family: Literal[4, 6] | None = None
    """Over IPv4 or IPv6 alone; without it, both where there are both."""
    never: StrictBool = False
    """Whether they must never reach them."""
    unplanned: Literal["never"] | None = None
    """Alone: nothing must be reachable in the lab that nobody planned; told after measuring."""

    @model_validator(mode="before")
    @classmethod
    def _of_the_whole_lab(cls, value: object) -> object:
        """Take it without ends where it is about the whole lab."""
        if isinstance(value, dict) and "unplanned" in value:
            return {"from": "*", "to": "*", **value}
        return value

    @property
    def said(self) -> Said:
        """What it says, in the form that both spellings have in common."""
        ports = [f"{word}:{port}" for word in ("tcp", "udp") if (port := getattr(self, word))]
        asked = tuple(dict.fromkeys([*self.protocols, *ports]))
        values = tuple((check, str(value)) for check in SEEN if (value := getattr(self, check)))
        who = (_ends(self.from_), _ends(self.to))
        unplanned = self.unplanned is not None
        return Said(*who, self.never, asked, self.family or 0, values, unplanned)


def _ends(choice: str | list[str]) -> Ends:
    return ends_in(choice) if isinstance(choice, str) else Ends(tuple(dict.fromkeys(choice)))


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
    fleet: Annotated[
        dict[NodeName, HostPath], _such("{core-01: hosts/core-01, core-02: hosts/core-02}")
    ] = Field(default={}, max_length=MOST_NODES)
    """Real hosts' configuration: a folder or file for each node, counted from the lab file.

    Each time the lab is read, nodes, segments, networks and containers are taken from these
    files, as `underlay import` does. What the lab file says itself is laid over that, key by key
    and by name, so that nothing has to be said twice. The nodes boot with these files.
    """
    description: str = ""
    """What the lab is for, in a sentence."""
    user: Word = "core"
    """Who logs in to the nodes."""
    nodes: Nodes = Nodes()
    """The nodes, or just how many, or just their names."""
    image: Image | None = None
    """A box of your own that nodes boot instead of Underlay's."""
    images: Annotated[list[HostPath], _such("[web.tar]")] = Field(default=[], max_length=16)
    """Archives of containers' images, of `docker save` or OCI, counted from the lab file.

    A container that a file of the `fleet` gives one of these images runs it, with its own command.
    All others run a stand-in that has the image's name and does nothing. Containers of the lab
    file name theirs themselves, by `image`.
    """
    segments: Annotated[
        Annotated[dict[Word, Segment], Field(min_length=1, max_length=8)],
        _such("{lan: {subnet: 192.168.70.0/24}}"),
    ]
    """The underlay: each node's NICs eth1, eth2 and so on, in this order, or as `interface` says.

    eth0 is management.
    """
    networks: Annotated[
        Annotated[dict[Word, Network], Field(min_length=1, max_length=16)],
        _such("{lannet: {driver: macvlan, segment: lan, subnet: 10.1.1.0/24}}"),
    ]
    """The containers' networks by name."""
    containers: Annotated[
        Annotated[list[Containers], Field(min_length=1, max_length=MOST_GROUPS)],
        _such("[{on: all, networks: [lannet]}]"),
    ]
    """The containers, group by group."""
    hosts: Annotated[dict[Word, Host], _such("{router: {on: {lan: {}}}}")] = Field(
        default={}, max_length=8
    )
    """External hosts and routers by name."""
    checks: list[Check] = Field(default=[], max_length=8)
    """What is measured besides reachability."""
    protocols: Annotated[list[Protocol], _such('[icmp, "tcp:5432"]')] = Field(
        default=["icmp", "tcp", "udp"], min_length=1, max_length=8
    )
    """What reachability is measured with; ``tcp:5432`` is answered by who ``listens`` there."""
    filters: Annotated[
        list[Filter], _such("[{on: core-01, protocol: tcp, port: 22, action: drop}]")
    ] = Field(default=[], max_length=64)
    """Packet filters, rule by rule: on containers, nodes and external hosts."""
    expect: Annotated[
        list[
            Annotated[
                Annotated[StatementText, Tag("word")] | Annotated[Statement, Tag("mapping")],
                Discriminator(_word_or_mapping),
            ]
        ],
        _such('[{from: web, to: db, tcp: 5432}, "guest* -x lan"]'),
    ] = Field(default=[], max_length=64)
    """What is wanted of the lab: who must reach whom and who never, statement by statement."""

    _own: Own = PrivateAttr(default=NOTHING_OWN)

    @property
    def archives(self) -> tuple[str, ...]:
        """The archives of containers' images, each once: of `images`, then of containers."""
        own = (group.image for group in self.containers if group.image)
        return tuple(dict.fromkeys((*self.images, *own)))

    @property
    def own(self) -> Own:
        """What hosts' own files say beside the lab's keys; nothing without a `fleet`."""
        return self._own

    def with_own(self, own: Own) -> Lab:
        """Return the lab with what hosts' own files say beside its keys."""
        lab = self.model_copy()
        lab._own = own
        return lab

    @property
    def statements(self) -> tuple[Said, ...]:
        """What `expect` says, in the file's order, whichever form each statement has."""
        return tuple(said_in(one) if isinstance(one, str) else one.said for one in self.expect)
