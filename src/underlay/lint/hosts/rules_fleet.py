"""Rules about one network on several hosts: what each does rightly, and together wrongly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product

from underlay.errors import nearest
from underlay.fleet.host import Address, Host, Network, Pool, meet
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import HOST_LOCAL, ONE_WIRE, Hosts, rule
from underlay.lint.hosts.rules_file import takes_first
from underlay.lint.hosts.rules_interface import mtu_of

UNIQUE = f"host-local ensures uniqueness on a single host: {HOST_LOCAL}; multus-cni#52"


def _meetings(hosts: Hosts) -> Iterator[tuple[Network, Pool, Network, Pool, Address]]:
    """Yield each two ranges of different hosts that overlap in one VLAN, with their networks.

    The second of the two is the one to blame: what overlaps more of the others, or is of
    another size than they are.
    """
    found = [(host, n) for host in hosts for n in host.networks if _is_on_a_wire(n)]
    met = [
        (first, range_, second, pool, shared)
        for (host, first), (other, second) in _near(found)
        if host is not other and (first.tag or first.vlan) == (second.tag or second.vlan)
        for pool, range_, shared in second.overlaps(first)
    ]
    often = Counter(id(pool) for _, one, _, two, _ in met for pool in (one, two))
    sizes = Counter(_size(pool) for _, network in found for pool in network.pools)
    usual = max(sizes.values(), default=0)

    def blame(pool: Pool) -> tuple[int, bool]:
        return often[id(pool)], sizes[_size(pool)] < usual

    for first, range_, second, pool, shared in met:
        if blame(range_) > blame(pool):
            yield second, pool, first, range_, shared
        else:
            yield first, range_, second, pool, shared


Placed = tuple[Host, Network]


def _near(found: list[Placed]) -> Iterator[tuple[Placed, Placed]]:
    """Yield each two networks of which ranges may overlap, the earlier one first.

    Ranges in the order of their first addresses meet only those that haven't ended before them.
    """
    ranges = sorted(
        (
            (pool.first.version, int(pool.first), int(pool.last), position)
            for position, (_, network) in enumerate(found)
            for pool in network.pools
        ),
    )
    pairs: set[tuple[int, int]] = set()
    running: list[tuple[int, int, int]] = []
    for version, first, last, position in ranges:
        running = [one for one in running if one[0] == version and one[1] >= first]
        pairs |= {
            (min(other, position), max(other, position))
            for _, _, other in running
            if other != position
        }
        running.append((version, last, position))
    for one, two in sorted(pairs):
        yield found[one], found[two]


def _size(pool: Pool) -> tuple[int, int]:
    return pool.subnet.version, int(pool.last) - int(pool.first)


def _odd(
    hosts: Hosts, value: Callable[[Host, Network], object]
) -> Iterator[tuple[Host, Network, Host, Network]]:
    """Yield each network whose ``value`` isn't what most hosts have, behind one that has that.

    Where hosts are evenly divided, the first one counts as usual. A value that is
    unknown isn't compared.
    """
    named: dict[str, dict[str, tuple[Host, Network]]] = {}
    for host in hosts:
        for network in host.networks:
            if network.is_underlay and network.name and value(host, network):
                named.setdefault(network.name, {}).setdefault(host.name, (host, network))
    for places in named.values():
        told = [(value(host, network), host, network) for host, network in places.values()]
        usual = Counter(found for found, _, _ in told).most_common(1)[0][0]
        _, host, first = next(each for each in told if each[0] == usual)
        for found, other, network in told:
            if found != usual:
                yield host, first, other, network


def _differing(
    hosts: Hosts, key: str, verb: str, value: Callable[[Host, Network], object], cure: str
) -> Iterator[Hit]:
    """Yield each network whose ``value`` isn't that of most hosts; one that is unknown is none."""
    for host, first, other, network in _odd(hosts, value):
        here, there = value(other, network), value(host, first)
        message = f"{network.name} {verb} {here} on {other.name}, {there} on {host.name}"
        yield Hit(network.spot(key), message, cure, (first.spot(key),))


def _subnets(_: Host, network: Network) -> tuple[str, ...]:
    return tuple(sorted({str(pool.subnet) for pool in network.pools}))


def _gateways(_: Host, network: Network) -> tuple[str, ...]:
    return tuple(sorted({f"{pool.subnet} {pool.gateway}" for pool in network.pools}))


def _is_on_a_wire(network: Network) -> bool:
    """Whether other hosts' containers hear those of ``network``.

    CNI's plugin vlan moves a sub-interface into the container: it is on the wire there, too.
    """
    shut = network.internal or network.on_dummy
    return not shut and (network.is_underlay or network.driver == "vlan")


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
    for host, first, other, network in _odd(hosts, lambda _, network: network.wire_mode):
        if first.driver == network.driver:
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
    for host, first, other, network in _odd(hosts, lambda _, network: _base(network)):
        message = f"{network.name} sits on {_base(network)} of {other.name},"
        message += f" on {_base(first)} of {host.name}"
        cure = "see that both are in the same segment, or name the same NIC"
        yield Hit(network.spot("master"), message, cure, (first.spot("master"),))


def _base(network: Network) -> str:
    return network.parent.partition(".")[0]


@rule("network-mtu-differs", "error", "RFC 4821; a frame above the receiver's MTU is dropped")
def network_mtu_differs(hosts: Hosts) -> Iterator[Hit]:
    """In one broadcast domain nobody tells a sender that its frames are too large."""
    yield from _differing(hosts, "mtu", "has MTU", mtu_of, "one MTU")


@rule(
    "network-mask-differs", "error", "RFC 1122, section 3.3.1: what is on-link is told by the mask"
)
def network_mask_differs(hosts: Hosts) -> Iterator[Hit]:
    """One subnet with two prefix lengths: some neighbours are sought at a router that isn't."""
    for host, first, other, network in _odd(hosts, _subnets):
        for pool, basis in product(network.pools, first.pools):
            if pool.subnet != basis.subnet and meet(pool.subnet, basis.subnet):
                message = f"{network.name} is {pool.subnet} on {other.name},"
                message += f" {basis.subnet} on {host.name}"
                yield Hit(pool.spot, message, "one prefix length", (basis.spot,))


@rule("network-subnet-differs", "warning", "RFC 1122, section 3.3.1")
def network_subnet_differs(hosts: Hosts) -> Iterator[Hit]:
    """One name, two subnets in a layer-2 mode: without a router the hosts don't meet."""
    for host, first, other, network in _odd(hosts, _subnets):
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
    for host, first, other, network in _odd(hosts, _gateways):
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
        if len(have) <= len(lack):
            continue
        for host in hosts:
            # A name that only this host has, and that resembles the one it lacks.
            own = {n.name: n for n in host.networks if len(where.get(n.name, ())) == 1}
            meant = nearest(name, own) if host.name in lack else ""
            if meant:
                lack.remove(host.name)
                message = f"{host.name} lacks {name}, and alone has {meant}"
                cure = f"did you mean {name}?"
                yield Hit(own[meant].spot("name"), message, cure, (found[0].spot("name"),))
        if lack:
            message = f"{', '.join(lack)} {'lacks' if len(lack) == 1 else 'lack'} {name}"
            yield Hit(found[0].spot("name"), message, f"define {name} there, too")


@rule("netd-first-differs", "warning", "containerd, internal/cri: the first file in net.d counts")
def netd_first_differs(hosts: Hosts) -> Iterator[Hit]:
    """By order of file names the hosts choose different networks for the same container."""
    first: list[tuple[Host, Network]] = []
    for host in hosts:
        found = sorted(
            (n for n in host.networks if n.runtime == "cni" and n.name),
            key=lambda n: n.document.name,
        )
        if found and takes_first(host):
            first.append((host, found[0]))
    names = Counter(network.name for _, network in first).most_common(1)
    for other, basis in [each for each in first if each[1].name == names[0][0]][:1]:
        for host, network in first:
            shared = {n.name for n in host.networks} & {n.name for n in other.networks}
            if network.name != basis.name and shared:
                message = f"{network.document.name} ({network.name}) comes first on {host.name},"
                message += f" {basis.document.name} ({basis.name}) on {other.name}"
                cure = "the same file names on all hosts"
                yield Hit(network.spot("name"), message, cure, (basis.spot("name"),))


@rule("network-ipam-differs", "warning", "who hands out addresses decides whether they are unique")
def network_ipam_differs(hosts: Hosts) -> Iterator[Hit]:
    """One name, two ways to addresses: one host asks a server, the other has its own range."""
    for host, first, other, network in _odd(hosts, lambda _, network: network.ipam):
        if network.runtime == first.runtime:
            message = f"{network.name} has ipam {network.ipam} on {other.name},"
            message += f" {first.ipam} on {host.name}"
            yield Hit(network.spot("ipam"), message, "one way for all hosts", (first.spot("ipam"),))
