"""What a plan is made of: frozen values of the standard library, and how JSON is read back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from underlay.drivers import DRIVERS, Driver
from underlay.plan.addresses import NO_ADDRESS, Cidr, Family, Slice
from underlay.plan.pools import NO_POOL, Pool


class Addressed:
    """What has an address of each family; either may be empty."""

    address: Cidr
    address6: Cidr

    @property
    def addresses(self) -> tuple[Cidr, ...]:
        """Those that it has."""
        return tuple(filter(None, (self.address, self.address6)))


@dataclass(frozen=True)
class Member:
    """A card of a bond; ``port`` is the switch's end of its cable."""

    interface: str
    mac: str
    port: str


@dataclass(frozen=True)
class Nic(Addressed):
    """A node's network card. ``address`` carries its prefix length; ``mtu`` is in bytes.

    ``address`` is empty where a bridge holds the card and has its address. With ``bond``, a
    mode of bonding, it is a bond of the ``members``.
    """

    segment: str
    interface: str
    mac: str
    address: Cidr
    mtu: int
    address6: Cidr = NO_ADDRESS
    bond: str = ""
    members: tuple[Member, ...] = ()


@dataclass(frozen=True)
class VlanLink(Addressed):
    """An 802.1q sub-interface of a node's NIC, with the node's address in that VLAN."""

    interface: str
    link: str
    vlan: int
    mac: str
    address: Cidr
    mtu: int
    address6: Cidr = NO_ADDRESS


@dataclass(frozen=True)
class NodeLink:
    """A device that a node makes for a network before its containers, in the order of the plan.

    ``kind`` is the kernel's word: bridge, dummy, vxlan, gretap, macvlan or ipvlan (a shim).
    ``parent`` is the interface below: a bridge's uplink, a tunnel's underlay, a shim's
    parent; empty for none. ``master`` is the bridge that it is a port of. ``addresses``
    carry their prefix lengths. ``options`` are the kind's own, in ip-link(8)'s words but for
    masquerade and fdb:

        bridge          masquerade: the subnet whose packets leave under the node's address
        vxlan           id, dstport, local, and group or fdb: the other nodes' addresses
        gretap          local, remote, key; ports of one bridge, isolated from each other
        macvlan ipvlan  mode, flag, and dhcp where a server is asked for the address
    """

    kind: str
    interface: str
    parent: str = ""
    master: str = ""
    mac: str = ""
    mtu: int = 1500
    addresses: tuple[Cidr, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Route:
    """A route of a node: ``to`` is reached through ``interface``, on the link or by ``via``."""

    to: str
    interface: str
    via: str = ""


@dataclass(frozen=True)
class ContainerRoute:
    """A route of each container in a network: ``to`` by way of ``via``, or on the link."""

    to: str
    via: str = ""


@dataclass(frozen=True)
class OwnFile:
    """A file of the user's own that a node has at ``path``, word for word.

    ``path`` is absolute on the node, ``program`` the one that its format belongs to, as
    fleet/kinds.py calls it, ``mode`` its permissions, and ``source`` where it lies, as the user
    sees it.
    """

    path: str
    program: str
    text: str
    mode: int = 0o644
    source: str = field(default="", compare=False)


@dataclass(frozen=True)
class PlannedNode:
    """A node. ``index`` counts from 1; ``memory`` is in MiB.

    ``forwards`` says that it forwards packets between its interfaces, and ``own`` are the files
    that its user wrote, which stand there instead of what is rendered. ``also`` are names that
    these have for interfaces beside their own ones: the other name, and the interface.
    """

    name: str
    index: int
    memory: int
    management: Nic
    management_peer: str
    nics: tuple[Nic, ...]
    vlans: tuple[VlanLink, ...]
    routes: tuple[Route, ...]
    links: tuple[NodeLink, ...] = ()
    forwards: bool = False
    profile: str = "full"
    config: str = "cloud-config"
    ignition_as: str = ""
    ignition_in: str = "host"
    own: tuple[OwnFile, ...] = ()
    also: tuple[tuple[str, str], ...] = ()

    def below(self, interface: str) -> list[str]:
        """Return ``interface`` and those that its frames leave by, the uppermost first.

        A bridge's uplink is below it, a shim's parent, and a VLAN sub-interface's NIC.
        """
        under = {vlan.interface: vlan.link for vlan in self.vlans}
        under |= {link.interface: link.parent for link in self.links if link.parent}
        found = [interface]
        while found[-1] in under:
            found.append(under[found[-1]])
        return found

    @property
    def cards(self) -> tuple[tuple[str, str, Nic], ...]:
        """Every card in a segment, in the order of its number: name, MAC address, and its NIC.

        First each segment's, then the second ones of bonds.
        """
        first = [
            (nic.members[0].interface if nic.members else nic.interface, nic.mac, nic)
            for nic in self.nics
        ]
        more = [(m.interface, m.mac, nic) for nic in self.nics for m in nic.members[1:]]
        return (*first, *more)


@dataclass(frozen=True)
class PortVlans:
    """The VLANs of a switch port: those with a tag on the cable, and the one without, if any."""

    tagged: tuple[int, ...] = ()
    untagged: int | None = None

    def enters(self, tag: int | None) -> int | None:
        """Return the VLAN that a frame with ``tag`` gets into; None where the port drops it."""
        if tag is None:
            return self.untagged
        return tag if tag in self.tagged or tag == self.untagged else None

    def returns(self, tag: int | None) -> bool:
        """Whether what comes back out of that VLAN has ``tag``, too."""
        return tag is None or tag != self.untagged


@dataclass(frozen=True)
class PlannedSegment:
    """A layer-2 underlay: one bridge, one port per node. ``ports`` maps node to port.

    ``vlans`` are those of every node's and host's port; empty where the switch asks for none.
    ``snooping``, ``querier`` and ``unknown_multicast`` say where multicast is sent.

    ``hairpin`` sends frames back out of the port they came in by, ``isolated`` keeps
    the nodes' ports apart, ``locked`` takes frames from the nodes' own MACs only.
    """

    name: str
    bridge: str
    subnet: str
    mtu: int
    ports: dict[str, str]
    subnet6: str = ""
    hairpin: bool = False
    isolated: bool = False
    locked: bool = False
    vlans: dict[str, PortVlans] = field(default_factory=dict)
    snooping: bool = False
    querier: bool = False
    unknown_multicast: str = "flood"

    @property
    def reflects(self) -> bool:
        """Whether nodes' ports send anything back: an isolated one sends to none, nor to itself.

        Linux net/bridge/br_forward.c, should_deliver; br_private.h, br_skb_isolated.
        """
        return self.hairpin and not self.isolated

    @property
    def swallows_multicast(self) -> bool:
        """Whether no multicast gets from port to port: nobody asks, so no member is known."""
        return self.unknown_multicast == "drop" and not self.querier


@dataclass(frozen=True)
class PlannedNetwork:
    """A container network. It is the same on every node, except for the node's slice.

    ``parent`` is the interface that children sit on (CNI: master), a bridge for the
    drivers that have one; ``uplink`` is the NIC or VLAN link by which it leaves the
    node, empty where it doesn't. ``own`` is the interface whose address stands for a
    node in this network's cells, ``shim`` a node's own child, where it has one. ``file`` is
    the name of the net.d file, empty where the runtime has none. ``pools`` are its subnets,
    IPv4 first; what is called after one subnet of a family is of the first one. ``ipam`` is the CNI
    plugin that gives addresses, empty for the runtime's usual one; with ``slaac`` containers
    make their IPv6 address themselves. ``attach`` and ``own_mac`` say the nodes what its
    driver's ``traits`` say here. ``nic`` is the node's NIC or bond in the segment, below every
    other interface of the network. ``made_by`` has nodes, each with the path of the user's own
    file that makes the network there; on others it is made of what is rendered.
    """

    name: str
    driver: str
    mode: str
    runtime: str
    segment: str
    vlan: int | None
    parent: str
    pools: tuple[Pool, ...]
    default_route: str
    mtu: int
    file: str
    flag: str = ""
    uplink: str = ""
    own: str = ""
    routes: tuple[ContainerRoute, ...] = ()
    routed: bool = False
    internal: bool = False
    shim: str = ""
    nat: bool = False
    vni: int = 0
    port: int = 0
    group: str = ""
    key: int | None = None
    ipam: str = ""
    slaac: bool = False
    attach: str = ""
    own_mac: bool = True
    nic: str = ""
    made_by: tuple[tuple[str, str], ...] = ()

    @property
    def traits(self) -> Driver:
        """What its driver is like."""
        return DRIVERS[self.driver]

    @property
    def subnet(self) -> str:
        """Its first IPv4 subnet; empty where it has none."""
        return self.first_pool(4).subnet

    @property
    def subnet6(self) -> str:
        """Its first IPv6 subnet; empty where it has none."""
        return self.first_pool(6).subnet

    @property
    def gateway(self) -> str:
        """The gateway in its first IPv4 subnet; empty for none."""
        return self.first_pool(4).gateway

    @property
    def gateway6(self) -> str:
        """The gateway in its first IPv6 subnet; empty for none."""
        return self.first_pool(6).gateway

    @property
    def slices(self) -> dict[str, Slice]:
        """What nodes hand out of its first IPv4 subnet."""
        return self.first_pool(4).slices

    @property
    def slices6(self) -> dict[str, Slice]:
        """What nodes hand out of its first IPv6 subnet."""
        return self.first_pool(6).slices

    @property
    def reserved(self) -> tuple[str, ...]:
        """The addresses that nobody hands out, of all its subnets."""
        return tuple(address for pool in self.pools for address in pool.reserved)

    @property
    def makes_link_local(self) -> bool:
        """Whether all that a container gets is the link-local address that its kernel makes.

        Of a MAC address that ipvlan children share the kernel makes it otherwise.
        """
        own_mac = self.traits.takes_mac(self.mode) and self.attach != "tap"
        return self.ipam == "none" and own_mac

    @property
    def one_of_each_family(self) -> bool:
        """Whether a container has one address of each family, not one of each subnet.

        Docker's endpoints have one (libnetwork, endpoint.assignAddressVersion); host-local
        gives one of each range set, and podman one of each subnet.
        """
        return self.runtime == "docker"

    def pools_of(self, family: Family) -> tuple[Pool, ...]:
        """Return its pools of ``family``."""
        return tuple(pool for pool in self.pools if pool.family == family)

    def first_pool(self, family: Family) -> Pool:
        """Return its first pool of ``family``, or one without a subnet."""
        return next((pool for pool in self.pools if pool.family == family), NO_POOL)

    def pool_of(self, address: str) -> Pool:
        """Return the pool that ``address`` lies in, or one without a subnet."""
        return next((pool for pool in self.pools if pool.holds(address)), NO_POOL)


@dataclass(frozen=True)
class Attachment(Addressed):
    """One interface of a container. An ipvlan child has its parent's MAC address.

    ``more`` are further addresses, where its network gives it several of a family.
    ``allow`` lists the MAC addresses that a macvlan child in source mode takes frames from.
    """

    network: str
    interface: str
    address: Cidr
    mac: str
    address6: Cidr = NO_ADDRESS
    allow: tuple[str, ...] = ()
    more: tuple[Cidr, ...] = ()

    @property
    def addresses(self) -> tuple[Cidr, ...]:
        """All of them: the first of each family, and the further ones."""
        return (*super().addresses, *self.more)


@dataclass(frozen=True)
class PlannedContainer:
    """A container on one node, with one attachment per network.

    ``forwards`` says that it forwards packets between its interfaces. ``started_by`` is the path
    of the user's own file that starts it; empty where the node program does. ``archive`` is the
    file, in the node's folder of archives, that its own image is in, ``command`` what it runs, and
    ``own_ports`` are TCP ports that this listens on; without any of them it is busybox, and sleeps.
    """

    name: str
    node: str
    runtime: str
    attachments: tuple[Attachment, ...]
    forwards: bool = False
    started_by: str = ""
    archive: str = ""
    command: tuple[str, ...] = ()
    own_ports: tuple[int, ...] = ()

    @property
    def has_program(self) -> bool:
        """Whether it runs a program of the user's own: it ends when that does."""
        return bool(self.archive or self.command)

    @property
    def space_kind(self) -> str:
        """How its network namespace is found on its node: by its runtime, or by crun's process.

        One of CNI has a name and stays without any process; what has a program ends with it.
        """
        return "crun" if self.has_program and self.runtime == "cni" else self.runtime

    @property
    def own_protocols(self) -> tuple[str, ...]:
        """The protocols of cells that its own program answers, such as tcp:80."""
        return tuple(f"tcp:{port}" for port in self.own_ports)


@dataclass(frozen=True)
class HostPort:
    """An external host's interface in a segment; ``port`` is the switch's end of its cable.

    With ``vlan`` it is an 802.1q sub-interface of the host's NIC ``link``.
    """

    segment: str
    interface: str
    port: str
    mac: str
    addresses: tuple[Cidr, ...]
    vlan: int | None = None
    mtu: int = 1500
    link: str = ""

    @property
    def nic(self) -> str:
        """The NIC itself: what its cable is plugged into."""
        return self.link or self.interface


@dataclass(frozen=True)
class PlannedHost:
    """A machine on the switch that is no node. ``forwards`` makes it a router.

    ``services`` is the configuration of its dnsmasq, which leases the planned addresses
    by DHCP or advertises its subnets; empty where it serves nothing.
    """

    name: str
    ports: tuple[HostPort, ...]
    routes: tuple[Route, ...] = ()
    forwards: bool = False
    services: str = ""


@dataclass(frozen=True)
class PlannedImage:
    """Files of the user's own that nodes boot; ``kernel`` and ``initrd`` may be empty."""

    path: str
    kernel: str
    initrd: str


@dataclass(frozen=True)
class PlannedFilter:
    """A rule of the packet filters in ``spaces``: containers, nodes and hosts by their names.

    ``number`` is its place in the lab's list, from 0, ``line`` the one that it stands on, 0 where
    nobody knows, and ``text`` itself in words. ``sources`` and ``destinations`` are subnets,
    none of them for anybody. ``protocol`` and ``state`` are empty and ``port`` is 0 for any.
    ``bridged`` has the node's forward chain asked about what its bridges pass on, too.
    """

    number: int
    text: str
    spaces: tuple[str, ...]
    direction: str
    action: str
    protocol: str = ""
    port: int = 0
    sources: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    state: str = ""
    bridged: bool = False
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class PlannedStatement:
    """What the lab's user wants: that ``sources`` reach ``destinations``, or ``never`` do.

    ``number`` is its place in the lab's list, from 0, ``line`` the one that it stands on, 0 where
    nobody knows, and ``text`` itself in one line. Ends are known by the keys of
    ``statements.Named``. A ``family`` of 0 is both. ``protocols`` are those of the cells that it is
    about: with ``seen``, which holds what must be seen by the word of a check, these checks. With
    ``unplanned`` it is about no cell, but about what is there and that nobody planned.
    """

    number: int
    text: str
    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    never: bool = False
    protocols: tuple[str, ...] = ()
    family: int = 0
    seen: dict[str, str] = field(default_factory=dict)
    line: int = field(default=0, compare=False)
    unplanned: bool = False


@dataclass(frozen=True)
class PlannedOrigin:
    """Where ``what`` is said of a ``network`` on a node: parent, mode, range and so on.

    Without a network it is about the node's own interface of that name.
    """

    network: str
    node: str
    what: str
    file: str
    line: int


PROTOCOLS = ("icmp", "tcp", "udp")


@dataclass(frozen=True)
class Plan:
    """Everything that a lab leads to, before anything exists.

    ``intent`` is what is wanted of it, by which nothing of the rest is decided, and ``labels`` are
    names of containers, by their own, for that alone. ``images`` are the paths of archives, on the
    user's machine, that containers' own images are in.

    ``rules`` are the filters as iptables-restore (v4) and ip6tables-restore (v6) read them, by
    namespace. ``listens`` are the ports of the lab's own choice that somebody listens on, by name.
    ``origins`` say where what was planned stands in files of hosts.
    ``switch`` is the machine that holds the segments' bridges where the host's own kernel may
    not be able to: a lean node, and a NIC of it is a port. None where the sandbox holds them.
    """

    lab: str
    user: str
    nodes: tuple[PlannedNode, ...]
    segments: tuple[PlannedSegment, ...]
    networks: tuple[PlannedNetwork, ...]
    containers: tuple[PlannedContainer, ...]
    image: PlannedImage | None = None
    hosts: tuple[PlannedHost, ...] = ()
    checks: tuple[str, ...] = ()
    protocols: tuple[str, ...] = PROTOCOLS
    switch: PlannedNode | None = None
    filters: tuple[PlannedFilter, ...] = ()
    listens: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rules: dict[str, dict[str, str]] = field(default_factory=dict)
    intent: tuple[PlannedStatement, ...] = ()
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    images: tuple[str, ...] = ()
    origins: tuple[PlannedOrigin, ...] = field(default=(), compare=False)

    @property
    def machines(self) -> tuple[PlannedNode, ...]:
        """Every machine that boots: the nodes, and the switch where it is one."""
        return (*self.nodes, *((self.switch,) if self.switch else ()))

    @property
    def hosts_at_switch(self) -> bool:
        """Whether the external hosts are in the switch that is a machine: one speaks VLANs."""
        return any(port.vlan is not None for host in self.hosts for port in host.ports)

    @property
    def without_intent(self) -> Plan:
        """The same without what is wanted: what nodes, cells and predictions are made of."""
        return replace(self, intent=(), labels={})

    def node(self, name: str) -> PlannedNode:
        """Return the node called ``name``, or the switch; raise KeyError where there is none."""
        return _by_name(self.machines, name)

    def network(self, name: str) -> PlannedNetwork:
        """Return the network called ``name``; raise KeyError where there is none."""
        return _by_name(self.networks, name)

    def container(self, name: str) -> PlannedContainer:
        """Return the container called ``name``; raise KeyError where there is none."""
        return _by_name(self.containers, name)

    def host(self, name: str) -> PlannedHost:
        """Return the external host called ``name``; raise KeyError where there is none."""
        return _by_name(self.hosts, name)

    def to_json(self) -> str:
        """Return the plan as JSON text, byte for byte the same for the same lab."""
        told = asdict(self, dict_factory=_told)
        return json.dumps(told, indent=2, sort_keys=True) + "\n"


# Fields that are not said where they are empty: what was made of a plan before there were any
# of them, such as a record, is still that plan's.
_UNSAID: dict[str, object] = {
    "unplanned": False,
    "intent": (),
    "labels": {},
    "config": "cloud-config",
    "ignition_as": "",
    "ignition_in": "host",
    "own": (),
    "also": (),
    "started_by": "",
    "made_by": (),
    "images": (),
    "archive": "",
    "command": (),
    "own_ports": (),
    "origins": (),
}


def _told(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields of a value that are said; a network's ``own`` is a word, and always is."""
    return {key: value for key, value in pairs if key not in _UNSAID or value != _UNSAID[key]}


def plan_from_json(text: str) -> Plan:
    """Return the Plan that ``to_json`` wrote as ``text``; raise ValueError where it isn't one."""
    try:
        plan = _read(Plan, json.loads(text))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a plan: {error}") from error
    if not isinstance(plan, Plan):
        raise ValueError("not a plan: no mapping")
    return plan


Named = TypeVar("Named", PlannedNode, PlannedNetwork, PlannedContainer, PlannedHost)


def _by_name(items: tuple[Named, ...], name: str) -> Named:
    for item in items:
        if item.name == name:
            return item
    raise KeyError(name)


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {entry.name: hints[entry.name] for entry in fields(kind)}


def _read(kind: Any, value: Any) -> Any:
    """Return ``value``, out of JSON, as the ``kind`` that a field is declared with."""
    if get_origin(kind) is UnionType:
        options = [option for option in get_args(kind) if option is not type(None)]
        return None if value is None else _read(options[0], value)
    if get_origin(kind) is tuple:
        return tuple(_read(get_args(kind)[0], entry) for entry in value)
    if get_origin(kind) is dict:
        return {key: _read(get_args(kind)[1], entry) for key, entry in value.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{key: _read(hints[key], entry) for key, entry in value.items()})
    return Cidr(value) if kind is Cidr else value
