"""What a host's files say once they are read: networks, interfaces, and single addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
)
from itertools import product
from typing import TypeVar

from underlay.drivers import DRIVERS
from underlay.errors import Spot
from underlay.fleet.document import Document
from underlay.lab.text import Place
from underlay.plan.naming import nic_and_tag

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network
Interface = IPv4Interface | IPv6Interface

NOWHERE = Spot("")


@dataclass(frozen=True)
class Pool:
    """A range that a network hands out; ``bounded`` says that it isn't the whole subnet.

    ``first`` and ``last`` are inclusive. ``gateway`` is what containers are told, if
    anything; ``reserved`` are addresses that are left out. ``part`` is the range as a block,
    where the file gives it as one.
    """

    subnet: Subnet
    first: Address
    last: Address
    bounded: bool
    spot: Spot
    gateway: Address | None = None
    gateway_spot: Spot = NOWHERE
    reserved: frozenset[Address] = frozenset()
    part: str = ""

    def holds(self, address: Address) -> bool:
        """Whether ``address`` may be handed out."""
        return (
            address.version == self.first.version
            and int(self.first) <= int(address) <= int(self.last)
            and address not in self.reserved
        )

    @cached_property
    def _ends(self) -> tuple[int, int]:
        return int(self.first), int(self.last)

    def overlap(self, other: Pool) -> Address | None:
        """Return the first address that both hand out, None where there is none."""
        low, high = max(self._ends[0], other._ends[0]), min(self._ends[1], other._ends[1])
        if low > high or self.first.version != other.first.version:
            return None
        left_out = {int(a) for a in self.reserved | other.reserved}
        # As host-local does, each leaves out its own gateway.
        left_out |= {int(p.gateway) for p in (self, other) if p.gateway is not None}
        for candidate in range(low, min(high, low + len(left_out)) + 1):
            if candidate not in left_out:
                return type(self.first)(candidate)  # the family is equal: see above
        return None


@dataclass(frozen=True)
class Fixed:
    """An address or MAC that one container has; either may be empty."""

    host: str
    owner: str
    network: str
    address: Address | None
    mac: str
    spot: Spot


@dataclass(frozen=True)
class Claim:
    """What a file says of one subnet, word for word, each word with its place.

    ``parts`` are the range to hand out or its two ends, ``reserved`` what is left out.
    """

    subnet: object
    spot: Spot
    gateway: tuple[object, Spot] = (None, NOWHERE)
    parts: tuple[tuple[object, Spot], ...] = ()
    reserved: tuple[tuple[object, Spot], ...] = ()


@dataclass(frozen=True)
class ToldRoute:
    """A route that a network gives its containers; without ``via`` its own gateway is meant.

    ``via`` of 0.0.0.0 is the link itself, as CNI's plugins have it.
    """

    to: Subnet
    via: Address | None
    spot: Spot


@dataclass(frozen=True)
class Container:
    """A container that a host's files name. ``networks`` are called as the file calls them.

    Each network comes with the addresses and the MAC address that the file gives the container
    there; the last may be empty. ``listens`` are ports of its own, such as tcp:80.
    """

    host: str
    name: str
    runtime: str
    networks: tuple[tuple[str, tuple[Address, ...], str], ...]
    spot: Spot
    document: Document
    count: int = 1
    # Why nobody starts it, where that is so.
    idle: str = ""


@dataclass(frozen=True)
class Network:
    """A container network of one host. ``runtime`` is cni, docker or podman.

    ``parent`` is empty where none is named; ``place`` is where its keys are in
    ``document``.
    """

    host: str
    runtime: str
    name: str
    driver: str
    parent: str
    mode: str
    flag: str
    mtu: int | None
    pools: tuple[Pool, ...]
    ipam: str
    document: Document
    place: Place = ()
    keys: dict[str, Place] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    # What the file that names its containers calls it there, where that is another name.
    alias: str = ""
    # What the engine calls it, where others may name it so: Compose puts its project before it.
    engine_name: str = ""
    # The tag of a sub-interface that goes into the container itself (CNI's plugin vlan).
    tag: int | None = None
    routes: tuple[ToldRoute, ...] = ()
    # Whether the runtime itself gives containers a default route by the gateway.
    routes_by_gateway: bool = False
    internal: bool = False
    masquerades: bool = False
    # The bridge that its containers are plugged into, where that isn't the parent.
    bridge: str = ""
    # Subnets of addresses that its containers have by files of their own; nobody hands these out.
    given: tuple[Pool, ...] = ()

    @property
    def is_underlay(self) -> bool:
        """Whether its containers sit on the wire themselves, so that hosts share addresses."""
        return self.driver in DRIVERS and DRIVERS[self.driver].has_children

    @property
    def on_dummy(self) -> bool:
        """Whether its parent is a dummy of Docker's, without a wire: so it is where none is named.

        The name is from ipvlan_setup.go, getDummyName.
        """
        return self.runtime == "docker" and (not self.parent or self.parent.startswith("dm-"))

    @property
    def wire_mode(self) -> str:
        """The mode that it ends up with where it names none."""
        usual = DRIVERS[self.driver].default_mode if self.driver in DRIVERS else ""
        return self.mode or usual

    @property
    def vlan(self) -> int | None:
        """The 802.1q tag that its parent's name tells, None for an untagged one."""
        tag = self.parent.rpartition(".")[2] if "." in self.parent else ""
        return int(tag) if tag.isascii() and tag.isdigit() and len(tag) < 6 else None

    def overlaps(self, other: Network) -> Iterator[tuple[Pool, Pool, Address]]:
        """Yield each two ranges of the two that overlap, and the first address in both."""
        for own, pool in product(self.pools, other.pools):
            shared = own.overlap(pool)
            if shared is not None:
                yield own, pool, shared

    def spot(self, key: str = "") -> Spot:
        """Return where the key is that sets ``key``, or where the network begins."""
        return self.document.spot(self.keys.get(key, self.place))


@dataclass(frozen=True)
class DefaultRoute:
    """A default route of an interface; a metric of None is the renderer's own choice.

    ``on_link`` says that the gateway needn't be in a subnet of the interface.
    """

    gateway: Address
    metric: int | None
    spot: Spot
    on_link: bool = False


@dataclass(frozen=True)
class Link:
    """One of the host's own interfaces; ``lower`` is what a VLAN sits on.

    ``name`` may be a pattern, or several, as networkd and netplan match by them. ``kind`` is
    vlan, bond or bridge where the file says so, and ``master`` the bond or bridge that it is a
    part of; ``bond_mode`` is a bond's.
    """

    host: str
    name: str
    spot: Spot
    addresses: tuple[tuple[Interface, Spot], ...] = ()
    mtu: int | None = None
    mac: str = ""
    vlan: int | None = None
    lower: str = ""
    routes: tuple[Subnet, ...] = ()
    defaults: tuple[DefaultRoute, ...] = ()
    spots: dict[str, Spot] = field(default_factory=dict, compare=False)
    kind: str = ""
    master: str = ""
    members: tuple[str, ...] = ()
    bond_mode: str = ""
    # A child's mode, such as a macvlan's; empty where its file says none.
    mode: str = ""
    # Routes by way of another machine: where to, and the next hop.
    hops: tuple[tuple[Subnet, Address], ...] = ()

    def at(self, key: str) -> Spot:
        """Return where ``mtu``, ``mac`` or ``vlan`` is set, or where the interface begins."""
        return self.spots.get(key, self.spot)

    def fits(self, name: str) -> bool:
        """Whether an interface called ``name`` is this one."""
        patterns = self.name.split()
        return any(p.startswith("!") for p in patterns) or any(
            fnmatchcase(name, pattern) for pattern in patterns
        )


@dataclass(frozen=True)
class Host:
    """Everything that was read about one host; ``ignored`` are files that nothing here reads.

    Those of them that hold nothing, as one does that was cut short, are ``empty``.

    ``passed_over`` are those that lie in a folder of a program which doesn't read them either:
    their path on the host, and their place.
    """

    name: str
    documents: tuple[Document, ...]
    networks: tuple[Network, ...]
    links: tuple[Link, ...]
    fixed: tuple[Fixed, ...]
    ignored: tuple[str, ...]
    hostname: tuple[str, Spot] | None = None
    passed_over: tuple[tuple[str, Spot], ...] = ()
    containers: tuple[Container, ...] = ()
    empty: frozenset[str] = frozenset()

    def unread(self, folder: str) -> Iterator[tuple[str, Spot]]:
        """Yield the name and the place of each file in ``folder`` that its reader passes over."""
        for path, spot in self.passed_over:
            place, _, name = path.rpartition("/")
            if f"/{place}".endswith(f"/{folder}"):
                yield name, spot

    def link(self, name: str) -> Link | None:
        """Return the host's interface called ``name``, what says its MTU first."""
        found = [link for link in self.links if link.name == name]
        found = found or [link for link in self.links if link.fits(name)]
        return next((link for link in found if link.mtu), found[0] if found else None)

    def vlans(self) -> dict[str, tuple[str, int, Spot]]:
        """Return the 802.1q sub-interfaces that its files make, by name: on what, tag, and line."""
        lower = {link.name: link.lower for link in self.links if link.lower}
        return {
            link.name: (
                lower.get(link.name) or nic_and_tag(link.name, ())[0], link.vlan, link.at("vlan")
            )
            for link in self.links
            if link.vlan is not None
        }  # fmt: skip

    def parent_mtu(self, network: Network) -> int | None:
        """Return the MTU of the network's parent, None where the host's files don't tell."""
        link = self.link(network.parent)
        if link is None and network.vlan is not None:
            # Docker makes a missing VLAN interface, which has its parent's MTU.
            link = self.link(network.parent.rpartition(".")[0])
        if link is not None and link.mtu is None and link.lower:
            link = self.link(link.lower)
        return link.mtu if link is not None else None


Value = TypeVar("Value")


def _read(read: Callable[[str], Value], text: object) -> Value | None:
    try:
        return read(text) if isinstance(text, str) else None
    except ValueError:
        return None


def as_address(text: object) -> Address | None:
    """Return ``text`` as an address, None where it isn't one."""
    return _read(_address, text)


def as_subnet(text: object) -> Subnet | None:
    """Return ``text`` as a subnet, without the host bits that it may have; None for no subnet."""
    interface = as_interface(text)
    return interface.network if interface is not None else None


def as_interface(text: object) -> Interface | None:
    """Return ``text`` as an address with its prefix, None where it isn't one."""
    return _read(_interface, text) if "/" in str(text) else None


# What hosts of a fleet say of addresses is mostly the same, and asked for by many rules.
@lru_cache(maxsize=8192)
def _address(text: str) -> Address:
    return ip_address(text)


@lru_cache(maxsize=8192)
def _interface(text: str) -> Interface:
    return ip_interface(text)


def whole(subnet: Subnet) -> tuple[Address, Address]:
    """Return the first and last address that a runtime hands out of all of ``subnet``."""
    last = int(subnet.broadcast_address)
    spare = 1 if subnet.version == 4 and subnet.num_addresses > 2 else 0
    first = min(int(subnet.network_address) + 1, last)
    kind = type(subnet.network_address)
    return kind(first), kind(max(first, last - spare))


def meet(one: Subnet, two: Subnet) -> bool:
    """Whether two subnets share addresses; those of different families never do."""
    return one.version == two.version and one.overlaps(two)


def within(part: Subnet, all_of: Subnet) -> bool:
    """Whether ``part`` is a part of ``all_of``, or all of it."""
    return part.network_address in all_of and part.broadcast_address in all_of


def pool_of(
    document: Document,
    place: Place,
    subnet: Subnet | None,
    bounds: tuple[Address | None, Address | None],
    gateway: tuple[object, Place],
    reserved: frozenset[Address] = frozenset(),
    *,
    host_local: bool = False,
) -> Pool | None:
    """Return what a network hands out of ``subnet`` between ``bounds``; None where it's nothing.

    The network's and the broadcast address stay free, but where host-local is told to take
    them. Without a gateway it counts the first address as one, and keeps it.
    """
    if subnet is None or subnet.num_addresses < 4:
        return None
    first, last = whole(subnet)
    start, end = (bound if bound is not None and bound in subnet else None for bound in bounds)
    low, high = int(first if start is None else start), int(last if end is None else end)
    if not host_local:
        low, high = max(low, int(first)), min(high, int(last))
    if low > high:
        return None
    kind = type(first)
    named = as_address(gateway[0])
    return Pool(
        subnet=subnet,
        first=kind(low),
        last=kind(high),
        bounded=(low, high) != (int(first), int(last)),
        spot=document.spot(place),
        gateway=named,
        gateway_spot=document.spot(gateway[1]),
        reserved=frozenset({first}) if host_local and named is None else reserved,
    )
