"""What a host's files say once they are read: networks, interfaces, and single addresses."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)

from underlay.drivers import DRIVERS
from underlay.errors import Spot
from underlay.fleet.document import Document
from underlay.lab.text import Place

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network
Interface = IPv4Interface | IPv6Interface

NOWHERE = Spot("")


@dataclass(frozen=True)
class Pool:
    """A range that a network hands out; ``bounded`` says that it isn't the whole subnet.

    ``first`` and ``last`` are inclusive. ``gateway`` is what containers are told, if
    anything; ``reserved`` are addresses that are left out.
    """

    subnet: Subnet
    first: Address
    last: Address
    bounded: bool
    spot: Spot
    gateway: Address | None = None
    gateway_spot: Spot = NOWHERE
    reserved: frozenset[Address] = frozenset()

    def holds(self, address: Address) -> bool:
        """Whether ``address`` may be handed out."""
        return (
            address.version == self.first.version
            and int(self.first) <= int(address) <= int(self.last)
            and address not in self.reserved
        )

    def overlap(self, other: Pool) -> Address | None:
        """Return the first address that both hand out, None where there is none."""
        if self.first.version != other.first.version:
            return None
        low = max(int(self.first), int(other.first))
        high = min(int(self.last), int(other.last))
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

    @property
    def is_underlay(self) -> bool:
        """Whether its containers sit on the wire themselves, so that hosts share addresses."""
        return self.driver in DRIVERS and DRIVERS[self.driver].has_children

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

    def spot(self, key: str = "") -> Spot:
        """Return where the key is that sets ``key``, or where the network begins."""
        return self.document.spot(self.keys.get(key, self.place))


@dataclass(frozen=True)
class Link:
    """One of the host's own interfaces; ``lower`` is what a VLAN sits on."""

    host: str
    name: str
    spot: Spot
    addresses: tuple[tuple[Interface, Spot], ...] = ()
    mtu: int | None = None
    mac: str = ""
    vlan: int | None = None
    lower: str = ""
    routes: tuple[Subnet, ...] = ()


@dataclass(frozen=True)
class Host:
    """Everything that was read about one host; ``ignored`` are files that nothing here reads."""

    name: str
    documents: tuple[Document, ...]
    networks: tuple[Network, ...]
    links: tuple[Link, ...]
    fixed: tuple[Fixed, ...]
    ignored: tuple[str, ...]
    hostname: tuple[str, Spot] | None = None

    @cached_property
    def link_by_name(self) -> dict[str, Link]:
        """The host's own interfaces by name."""
        return {link.name: link for link in self.links}

    def parent_mtu(self, network: Network) -> int | None:
        """Return the MTU of the network's parent, None where the host's files don't tell."""
        link = self.link_by_name.get(network.parent)
        if link is not None and link.mtu is None and link.lower:
            link = self.link_by_name.get(link.lower)
        return link.mtu if link is not None else None


def as_address(text: object) -> Address | None:
    """Return ``text`` as an address, None where it isn't one."""
    try:
        return ip_address(text) if isinstance(text, str) else None
    except ValueError:
        return None


def as_subnet(text: object) -> Subnet | None:
    """Return ``text`` as a subnet, without the host bits that it may have; None for no subnet."""
    if not isinstance(text, str) or "/" not in text:
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def as_interface(text: object) -> Interface | None:
    """Return ``text`` as an address with its prefix, None where it isn't one."""
    if not isinstance(text, str) or "/" not in text:
        return None
    try:
        return ip_interface(text)
    except ValueError:
        return None


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
