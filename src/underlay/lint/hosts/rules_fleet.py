"""Rules about one network on several hosts: what each does rightly, and together wrongly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, product

from underlay.fleet.host import Address, Host, Network, Pool, meet, within
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import HOST_LOCAL, Hosts, repeated, rule
from underlay.lint.hosts.rules_interface import mtu_of

UNIQUE = f"host-local ensures uniqueness on a single host: {HOST_LOCAL}; multus-cni#52"
ONE_WIRE = "one network is one broadcast domain: IEEE 802.1Q"


def _meetings(hosts: Hosts) -> Iterator[tuple[Network, Pool, Network, Pool, Address]]:
    """Yield each two ranges of different hosts that overlap in one VLAN, with their networks."""
    found = [(host, n) for host in hosts for n in host.networks if n.is_underlay]
    for (host, first), (other, second) in combinations(found, 2):
        if host is not other and first.vlan == second.vlan:
            for pool, range_, shared in second.overlaps(first):
                yield first, range_, second, pool, shared


def _same_name(hosts: Hosts) -> Iterator[tuple[Host, Network, Host, Network]]:
    """Yield each network with the first host's of the same name; never with itself."""
    found = ((host, n) for host in hosts for n in host.networks if n.is_underlay and n.name)
    for (host, first), (other, network) in repeated((pair[1].name, pair) for pair in found):
        if host is not other:
            yield host, first, other, network


def _differing(
    hosts: Hosts, key: str, verb: str, value: Callable[[Host, Network], object], cure: str
) -> Iterator[Hit]:
    """Yield each network whose ``value`` isn't the first host's; one that is unknown is none."""
    for host, first, other, network in _same_name(hosts):
        here, there = value(other, network), value(host, first)
        if here and there and here != there:
            message = f"{network.name} {verb} {here} on {other.name}, {there} on {host.name}"
            yield Hit(network.spot(key), message, cure, (first.spot(key),))


@rule("range-twice", "error", UNIQUE)
def range_twice(hosts: Hosts) -> Iterator[Hit]:
    """Each host hands out the same range from its start: every address exists more than once."""
    for first, other, second, pool, shared in _meetings(hosts):
        if (pool.first, pool.last) == (other.first, other.last):
            message = (
                f"{second.name} on {second.host} hands out {pool.first} to {pool.last},"
                f" as {first.name} on {first.host}: both begin with {shared}"
            )
            cure = "give each host a slice of its own: rangeStart and rangeEnd, or ip_range"
            yield Hit(pool.spot, message, cure, (other.spot,))


@rule("range-overlap", "error", UNIQUE)
def range_overlap(hosts: Hosts) -> Iterator[Hit]:
    """Slices of two hosts overlap: some addresses exist more than once."""
    for first, other, second, pool, shared in _meetings(hosts):
        alike = (pool.first, pool.last) == (other.first, other.last)
        if not alike and pool.bounded == other.bounded:
            message = f"{second.host} and {first.host} both hand out {shared}"
            cure = f"set {pool.first}–{pool.last} and {other.first}–{other.last} apart"
            yield Hit(pool.spot, message, cure, (other.spot,))


@rule("slice-missing", "error", UNIQUE)
def slice_missing(hosts: Hosts) -> Iterator[Hit]:
    """One host keeps to a slice, the other hands out the whole subnet, that slice included."""
    for first, other, second, pool, shared in _meetings(hosts):
        if pool.bounded == other.bounded:
            continue
        bare, sliced = (pool, other) if other.bounded else (other, pool)
        owner, keeper = (second, first) if bare is pool else (first, second)
        message = f"{owner.host} hands out all of {bare.subnet}, also {shared} of {keeper.host}"
        cure = f"give {owner.host} a slice of its own, as {keeper.host} has one"
        yield Hit(bare.spot, message, cure, (sliced.spot,))


@rule("network-driver-differs", "error", "macvlan shows a MAC per container, ipvlan the host's")
def network_driver_differs(hosts: Hosts) -> Iterator[Hit]:
    """One name, two drivers: what a container can do depends on where it runs."""
    yield from _differing(hosts, "type", "is", lambda _, network: network.driver, "one driver")


@rule("network-mode-differs", "error", "drivers/net/macvlan.c, drivers/net/ipvlan/ipvlan_main.c")
def network_mode_differs(hosts: Hosts) -> Iterator[Hit]:
    """One name, two modes: who reaches whom depends on where a container runs."""
    for host, first, other, network in _same_name(hosts):
        if first.driver == network.driver and first.wire_mode != network.wire_mode:
            message = (
                f"{network.name} has mode {network.wire_mode} on {other.name},"
                f" {first.wire_mode} on {host.name}"
            )
            yield Hit(network.spot("mode"), message, "one mode", (first.spot("mode"),))


@rule("network-vlan-differs", "error", ONE_WIRE)
def network_vlan_differs(hosts: Hosts) -> Iterator[Hit]:
    """One name, two VLANs: the hosts' containers are on different wires."""
    yield from _differing(hosts, "master", "is", _tag, "one VLAN")


def _tag(_: Host, network: Network) -> str:
    tag = f"VLAN {network.vlan}" if network.vlan is not None else "untagged"
    return tag if network.parent else ""


@rule("network-parent-differs", "warning", "names of NICs differ between machines, wires needn't")
def network_parent_differs(hosts: Hosts) -> Iterator[Hit]:
    """One name, two NICs: right only where both are plugged into the same wire."""
    for host, first, other, network in _same_name(hosts):
        base, basis = network.parent.partition(".")[0], first.parent.partition(".")[0]
        if base and basis and base != basis:
            message = f"{network.name} sits on {base} of {other.name}, on {basis} of {host.name}"
            cure = "see that both are in the same segment, or name the same NIC"
            yield Hit(network.spot("master"), message, cure, (first.spot("master"),))


@rule("network-mtu-differs", "error", "RFC 4821; a frame above the receiver's MTU is dropped")
def network_mtu_differs(hosts: Hosts) -> Iterator[Hit]:
    """In one broadcast domain nobody tells a sender that its frames are too large."""
    yield from _differing(hosts, "mtu", "has MTU", mtu_of, "one MTU")


@rule(
    "network-mask-differs", "error", "RFC 1122, section 3.3.1: what is on-link is told by the mask"
)
def network_mask_differs(hosts: Hosts) -> Iterator[Hit]:
    """One subnet with two prefix lengths: some neighbours are sought at a router that isn't."""
    for host, first, other, network in _same_name(hosts):
        for pool, basis in product(network.pools, first.pools):
            if pool.subnet != basis.subnet and meet(pool.subnet, basis.subnet):
                message = f"{network.name} is {pool.subnet} on {other.name},"
                message += f" {basis.subnet} on {host.name}"
                yield Hit(pool.spot, message, "one prefix length", (basis.spot,))


@rule("network-subnet-differs", "warning", "RFC 1122, section 3.3.1")
def network_subnet_differs(hosts: Hosts) -> Iterator[Hit]:
    """One name, two subnets in a layer-2 mode: without a router the hosts don't meet."""
    for host, first, other, network in _same_name(hosts):
        if network.wire_mode in ("l3", "l3s") or not (first.pools and network.pools):
            continue
        pairs = product(first.pools, network.pools)
        if not any(meet(one.subnet, two.subnet) for one, two in pairs):
            message = f"{network.name} is {network.pools[0].subnet} on {other.name},"
            message += f" {first.pools[0].subnet} on {host.name}"
            cure = "one subnet in slices, or a router between them"
            yield Hit(network.pools[0].spot, message, cure, (first.pools[0].spot,))


@rule("network-gateway-differs", "warning", "RFC 1812")
def network_gateway_differs(hosts: Hosts) -> Iterator[Hit]:
    """One subnet, two gateways: right only where there are two routers."""
    for host, first, other, network in _same_name(hosts):
        for pool, basis in product(network.pools, first.pools):
            if pool.subnet == basis.subnet and pool.gateway != basis.gateway:
                here, there = (str(p.gateway or "none") for p in (pool, basis))
                message = f"{network.name}'s gateway is {here} on {other.name},"
                message += f" {there} on {host.name}"
                yield Hit(pool.gateway_spot, message, "one gateway", (basis.gateway_spot,))


@rule("network-missing", "warning", "a network that is to span the hosts is on each of them")
def network_missing(hosts: Hosts) -> Iterator[Hit]:
    """Most hosts have the network: on those that lack it, containers start without it."""
    where: dict[str, list[Network]] = {}
    for host in hosts:
        for network in (n for n in host.networks if n.is_underlay and n.name):
            where.setdefault(network.name, []).append(network)
    for name, found in where.items():
        have = {network.host for network in found}
        lack = [host.name for host in hosts if host.name not in have]
        if lack and len(have) > len(lack):
            message = f"{', '.join(lack)} {'lacks' if len(lack) == 1 else 'lack'} {name}"
            yield Hit(found[0].spot("name"), message, f"define {name} there, too")


@rule("netd-first-differs", "warning", "containerd, internal/cri: the first file in net.d counts")
def netd_first_differs(hosts: Hosts) -> Iterator[Hit]:
    """By order of file names the hosts choose different networks for the same container."""
    first: tuple[Host, Network] | None = None
    for host in hosts:
        found = sorted(
            (n for n in host.networks if n.runtime == "cni" and n.name),
            key=lambda n: n.document.name,
        )
        if not found:
            continue
        if first is not None and first[1].name != found[0].name:
            shared = {n.name for n in host.networks} & {n.name for n in first[0].networks}
            if shared:
                message = f"{found[0].document.name} ({found[0].name}) comes first on {host.name},"
                message += f" {first[1].document.name} ({first[1].name}) on {first[0].name}"
                cure = "the same file names on all hosts"
                yield Hit(found[0].spot("name"), message, cure, (first[1].spot("name"),))
        first = first or (host, found[0])


@rule("parent-mtu-differs", "error", "RFC 4821; a switch drops what is too large, without a word")
def parent_mtu_differs(hosts: Hosts) -> Iterator[Hit]:
    """NICs of one subnet with different MTUs: large packets one way, none the other."""
    seen: dict[object, tuple[Host, int, object]] = {}
    for host in hosts:
        for link in host.links:
            for interface, spot in link.addresses:
                if link.mtu is None:
                    continue
                other = seen.setdefault(interface.network, (host, link.mtu, spot))
                if other[1] != link.mtu and other[0] is not host:
                    message = f"{host.name}'s {link.name} has MTU {link.mtu} in"
                    message += f" {interface.network}, {other[0].name} {other[1]}"
                    yield Hit(link.spot, message, "one MTU in a segment")


@rule("host-mask-differs", "error", "RFC 1122, section 3.3.1: what is on-link is told by the mask")
def host_mask_differs(hosts: Hosts) -> Iterator[Hit]:
    """Hosts of one segment with different prefix lengths don't agree on who is a neighbour."""
    found = [
        (host, link, interface, spot)
        for host in hosts
        for link in host.links
        for interface, spot in link.addresses
    ]
    for (host, link, one, spot), (other, near, two, there) in combinations(found, 2):
        alike = host is not other and link.vlan == near.vlan
        if alike and one.network != two.network and meet(one.network, two.network):
            message = f"{near.name} of {other.name} has {two}, {link.name} of {host.name} {one}"
            yield Hit(there, message, "one prefix length in a segment", (spot,))


@rule("l3-route-missing", "warning", "https://docs.docker.com/engine/network/drivers/ipvlan/")
def l3_route_missing(hosts: Hosts) -> Iterator[Hit]:
    """Nobody announces ipvlan l3's subnets: each host needs a route to every other's."""
    found = [(host, n) for host in hosts for n in host.networks if n.wire_mode in ("l3", "l3s")]
    for (host, network), (other, _) in product(found, found):
        routes = [route for link in other.links for route in link.routes]
        if host is other or not other.links:
            continue
        for pool in network.pools:
            if not any(within(pool.subnet, route) for route in routes):
                message = f"{other.name} has no route to {network.name}'s {pool.subnet}"
                cure = f"a route to {pool.subnet} through {host.name}'s address on the underlay"
                yield Hit(pool.spot, message, cure)
