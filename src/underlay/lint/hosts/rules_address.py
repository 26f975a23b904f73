"""Rules about single addresses and MACs: who has them, on one host and between hosts."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from operator import itemgetter

from underlay.errors import Spot
from underlay.fleet.host import Address, Fixed, Host, Link, Network, Pool
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import INTERFACES, Hosts, networks, repeated, rule

ARP = "IPv4 has no duplicate detection of its own: RFC 5227"
# InfiniBand has 20 bytes.
MAC = re.compile(r"[0-9A-Fa-f]{2}(([:-][0-9A-Fa-f]{2}){5}|([:-][0-9A-Fa-f]{2}){19})")
ETHERNET = "IEEE 802: the lowest bit of the first byte marks groups"


def _fixed(hosts: Hosts) -> Iterator[Fixed]:
    for host in hosts:
        yield from host.fixed


def _own(hosts: Hosts) -> Iterator[tuple[Host, Link, Address, Spot]]:
    for host in hosts:
        for link in host.links:
            for interface, spot in link.addresses:
                yield host, link, interface.ip, spot


def _pools(hosts: Hosts) -> Iterator[tuple[Network, Pool]]:
    for _, network in networks(hosts, "macvlan", "ipvlan"):
        for pool in network.pools:
            yield network, pool


@rule("address-twice", "error", ARP)
def address_twice(hosts: Hosts) -> Iterator[Hit]:
    """Two containers with one address: who asks reaches whichever answers first."""
    named = ((fixed.address, fixed) for fixed in _fixed(hosts) if fixed.address is not None)
    for other, fixed in repeated(named):
        message = f"{fixed.owner} on {fixed.host} has {fixed.address}, as {other.owner} on"
        message += f" {other.host}"
        yield Hit(fixed.spot, message, "give one of them another address", (other.spot,))


@rule("address-in-range", "error", ARP)
def address_in_range(hosts: Hosts) -> Iterator[Hit]:
    """An address that is given by hand is in a range that somebody else hands out."""
    pools = [(network, pool, int(pool.first), int(pool.last)) for network, pool in _pools(hosts)]
    for fixed in _fixed(hosts):
        number = -1 if fixed.address is None else int(fixed.address)
        for network, pool in ((n, p) for n, p, first, last in pools if first <= number <= last):
            if fixed.address is None or not pool.holds(fixed.address):
                continue
            # Docker and podman keep the addresses of their own containers apart by themselves.
            if network.host == fixed.host and network.runtime in ("docker", "podman"):
                continue
            message = f"{network.name} on {network.host} may hand out {fixed.owner}'s"
            yield Hit(
                fixed.spot, f"{message} {fixed.address}", "keep it out of the range", (pool.spot,)
            )


@rule("range-holds-host", "error", ARP, needs=INTERFACES)
def range_holds_host(hosts: Hosts) -> Iterator[Hit]:
    """A container may get a host's own address, and the host is cut off."""
    own = list(_own(hosts))
    numbers = sorted((int(address), place) for place, (_, _, address, _) in enumerate(own))
    for network, pool in _pools(hosts):
        first = bisect_left(numbers, (int(pool.first), 0))
        last = bisect_left(numbers, (int(pool.last) + 1, 0))
        for _, place in sorted(numbers[first:last], key=itemgetter(1)):
            host, link, address, spot = own[place]
            if pool.holds(address) and address != pool.gateway:
                message = f"{network.name} hands out {address}, which is {host.name}'s {link.name}"
                cure = "end the range before it, or start it behind (Docker: aux_addresses)"
                yield Hit(pool.spot, message, cure, (spot,))


@rule("address-is-host", "error", ARP, needs=INTERFACES)
def address_is_host(hosts: Hosts) -> Iterator[Hit]:
    """A container has a host's own address, and one of the two is cut off."""
    own: dict[Address, list[tuple[Host, Link, Spot]]] = defaultdict(list)
    for host, link, address, spot in _own(hosts):
        own[address].append((host, link, spot))
    for fixed in _fixed(hosts):
        for host, link, spot in own.get(fixed.address, ()) if fixed.address is not None else ():
            message = f"{fixed.owner} has {fixed.address}, which is {host.name}'s {link.name}"
            yield Hit(fixed.spot, message, "give it another address", (spot,))


def _claimed(hosts: Hosts) -> Iterator[tuple[Fixed, Network, Pool]]:
    """Yield each address that a container is given with the subnets of its host that hold it."""
    for host in hosts:
        for fixed in host.fixed:
            for network, pool in _pools((host,)) if fixed.address is not None else ():
                if fixed.address is not None and fixed.address in pool.subnet:
                    yield fixed, network, pool


@rule("address-is-gateway", "error", ARP)
def address_is_gateway(hosts: Hosts) -> Iterator[Hit]:
    """A container with its gateway's address answers for the router, and nobody gets out."""
    for fixed, network, pool in _claimed(hosts):
        if fixed.address == pool.gateway:
            message = f"{fixed.owner} has {fixed.address}, which is {network.name}'s gateway"
            yield Hit(fixed.spot, message, "give it another address", (pool.gateway_spot,))


@rule("address-edge", "error", "RFC 919; RFC 1812")
def address_edge(hosts: Hosts) -> Iterator[Hit]:
    """The network's and the broadcast address are nobody's: a container can't use them."""
    for fixed, _, pool in _claimed(hosts):
        ends = (pool.subnet.network_address, pool.subnet.broadcast_address)
        if pool.subnet.version == 4 and pool.subnet.num_addresses > 2 and fixed.address in ends:
            kind = "network" if fixed.address == ends[0] else "broadcast"
            message = f"{fixed.owner} has {fixed.address}, the {kind} address of {pool.subnet}"
            yield Hit(fixed.spot, message, "give it another address")


@rule("host-address-edge", "error", "RFC 919; RFC 1812")
def host_address_edge(hosts: Hosts) -> Iterator[Hit]:
    """The network's and the broadcast address are nobody's: a host can't be reached by them."""
    for host in hosts:
        for link in host.links:
            for interface, spot in link.addresses:
                subnet = interface.network
                ends = (subnet.network_address, subnet.broadcast_address)
                if subnet.version == 4 and subnet.num_addresses > 2 and interface.ip in ends:
                    kind = "network" if interface.ip == ends[0] else "broadcast"
                    message = f"{host.name}'s {link.name} has {interface.ip}, the {kind} address"
                    yield Hit(spot, f"{message} of {subnet}", "give it another address")


@rule("gateway-handed-out", "error", "host-local leaves out its own file's gateway only: "
      "https://www.cni.dev/plugins/current/ipam/host-local/")  # fmt: skip
def gateway_handed_out(hosts: Hosts) -> Iterator[Hit]:
    """A range holds an address that another network names as gateway, without knowing it."""
    gateways = {p.gateway: p for _, p in _pools(hosts) if p.gateway is not None}
    for network, pool in _pools(hosts):
        for gateway, other in gateways.items():
            if pool.holds(gateway) and pool.gateway != gateway and other.gateway_spot.file:
                message = f"{network.name} on {network.host} may hand out the gateway {gateway}"
                cure = f"name the gateway {gateway} here, too, or keep it out of the range"
                yield Hit(pool.spot, message, cure, (other.gateway_spot,))


@rule("mac-invalid", "error", ETHERNET)
def mac_invalid(hosts: Hosts) -> Iterator[Hit]:
    """A MAC is six bytes in hexadecimal, such as 02:75:10:01:00:01."""
    for mac, _, spot in _macs(hosts):
        if not MAC.fullmatch(mac):
            yield Hit(spot, f"{mac[:40]!r} is no MAC", "write it as 02:75:10:01:00:01")


@rule("mac-group", "error", ETHERNET)
def mac_group(hosts: Hosts) -> Iterator[Hit]:
    """A group address can't be an interface's: the kernel refuses it."""
    for mac, _, spot in _macs(hosts):
        if MAC.fullmatch(mac) and len(mac) == 17 and int(mac[:2], 16) & 1:
            yield Hit(
                spot, f"{mac} is a group address", "begin with 02, which is local and no group"
            )


@rule("mac-twice", "error", "containernetworking/plugins#250; moby/moby#48808")
def mac_twice(hosts: Hosts) -> Iterator[Hit]:
    """A switch sends a MAC's frames to where it spoke last: two owners take turns being deaf."""
    for other, (mac, owner, spot) in repeated(
        (found[0].lower().replace("-", ":"), found) for found in _macs(hosts)
    ):
        if other[2] != spot and other[1] != owner:
            yield Hit(spot, f"{owner} has the MAC {mac}, as {other[1]}", "one each", (other[2],))


def _macs(hosts: Hosts) -> Iterator[tuple[str, str, Spot]]:
    """Yield every MAC with its owner. A VLAN has its parent's, and is not asked."""
    for host in hosts:
        for fixed in host.fixed:
            if fixed.mac:
                yield fixed.mac, f"{fixed.owner} on {fixed.host}", fixed.spot
        for link in host.links:
            if link.mac and link.vlan is None:
                yield link.mac, f"{host.name}'s {link.name}", link.at("mac")


@rule("host-address-twice", "error", ARP)
def host_address_twice(hosts: Hosts) -> Iterator[Hit]:
    """Two hosts with one address: neither can be reached for certain."""
    for (other, near, _, there), (host, link, address, spot) in repeated(
        (found[2], found) for found in _own(hosts)
    ):
        if other is not host:
            message = f"{host.name}'s {link.name} has {address}, as {other.name}'s {near.name}"
            yield Hit(spot, message, "one address each", (there,))


@rule("hostname-twice", "warning", "https://docs.cloud-init.io/en/latest/reference/modules.html")
def hostname_twice(hosts: Hosts) -> Iterator[Hit]:
    """Two hosts of one name are confused by whoever reads their logs, and by Swarm and DHCP."""
    named = [(host.hostname[0], (host, *host.hostname)) for host in hosts if host.hostname]
    for (other, _, there), (host, name, spot) in repeated(named):
        message = f"{host.name} calls itself {name}, as {other.name}"
        yield Hit(spot, message, "a name of its own", (there,))


@rule("range-public", "warning", "RFC 1918; the IANA special-purpose address registry (RFC 6890)")
def range_public(hosts: Hosts) -> Iterator[Hit]:
    """Addresses that belong to somebody on the internet, who is out of reach then."""
    told: set[str] = set()
    for network, pool in _pools(hosts):
        ends = (pool.subnet.network_address, pool.subnet.broadcast_address)
        public = any(end.is_global and not end.is_multicast for end in ends)
        if public and str(pool.subnet) not in told:
            told.add(str(pool.subnet))
            message = f"{network.name}'s {pool.subnet} is globally routable"
            cure = "fine where it is yours; else 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"
            yield Hit(pool.spot, message, cure)


@rule("range-unusable", "error", "RFC 6890: special-purpose addresses")
def range_unusable(hosts: Hosts) -> Iterator[Hit]:
    """Loopback, multicast and reserved ranges are no interface's: the kernel refuses them."""
    for network, pool in _pools(hosts):
        address = pool.subnet.network_address
        if address.is_loopback or address.is_multicast or address.is_reserved:
            message = f"{network.name}'s {pool.subnet} can't be given to an interface"
            yield Hit(pool.spot, message, "take a unicast range such as 10.1.0.0/24")
