"""Rules about what networks of one host do to one another on their parents."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product

from underlay.errors import Spot
from underlay.fleet.host import Host, Interface, Network, Pool, meet
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import INTERFACES, IPVLAN, Hosts, networks, rule
from underlay.plan.naming import nic_and_tag


def _pairs(hosts: Hosts) -> Iterator[tuple[Host, Network, Network]]:
    """Yield each two networks of a host that share a parent."""
    for host in hosts:
        underlay = [n for n in host.networks if n.is_underlay and n.parent]
        for first, second in combinations(underlay, 2):
            if first.parent == second.parent:
                yield host, first, second


def _parents(hosts: Hosts) -> Iterator[tuple[Network, Pool, Interface, Spot]]:
    """Yield each range of each network with each address that its parent has on the host."""
    for host, network in networks(hosts):
        link = host.link(network.parent)
        for pool, (interface, spot) in product(network.pools, link.addresses if link else ()):
            yield network, pool, interface, spot


@rule("parent-mixed", "error", f"{IPVLAN}; containernetworking/cni#7")
def parent_mixed(hosts: Hosts) -> Iterator[Hit]:
    """A device has one receive handler: the second driver gets `Device or resource busy`."""
    for host, first, second in _pairs(hosts):
        if first.driver != second.driver:
            message = (
                f"{second.name} puts {second.driver} on {second.parent} of {host.name},"
                f" where {first.name} has {first.driver}"
            )
            cure = "one driver for both, another NIC, or a VLAN of its own"
            yield Hit(second.spot("type"), message, cure, (first.spot("type"),))


@rule("parent-ipvlan-modes", "error", "Linux, drivers/net/ipvlan/ipvlan_main.c: mode is per port")
def parent_ipvlan_modes(hosts: Hosts) -> Iterator[Hit]:
    """An ipvlan mode belongs to the parent: the container started last sets it for all."""
    for _, first, second in _pairs(hosts):
        if (first.driver, second.driver) != ("ipvlan", "ipvlan"):
            continue
        one, two = (f"{n.wire_mode} {n.flag or 'bridge'}" for n in (first, second))
        if one != two:
            message = f"{second.name} wants {two} and {first.name} {one} on {second.parent}"
            cure = "one mode for both, or a parent of its own"
            yield Hit(second.spot("mode"), message, cure, (first.spot("mode"),))


@rule(
    "parent-passthru", "error", "Linux, drivers/net/macvlan.c: macvlan_common_newlink gives EINVAL"
)
def parent_passthru(hosts: Hosts) -> Iterator[Hit]:
    """Beside a passthru child a parent takes no other: `Invalid argument`."""
    for _, first, second in _pairs(hosts):
        if first.driver == second.driver == "macvlan" and "passthru" in (first.mode, second.mode):
            message = f"{second.name} and {first.name} share {second.parent}, one of them passthru"
            yield Hit(second.spot("mode"), message, "a parent of its own", (first.spot("mode"),))


@rule("netd-name-twice", "error", "containernetworking/cni, libcni/conf.go: LoadConfList")
def netd_name_twice(hosts: Hosts) -> Iterator[Hit]:
    """Runtimes ask for networks by name: of two with the same name only the first is found."""
    for host in hosts:
        for first, second in combinations([n for n in host.networks if n.name], 2):
            if first.name == second.name and first.runtime == second.runtime:
                message = f"{host.name} has two networks called {second.name}"
                cure = "give each network a name of its own"
                yield Hit(second.spot("name"), message, cure, (first.spot("name"),))


@rule("host-ranges-overlap", "error", "host-local keeps a store per network name, not per parent")
def host_ranges_overlap(hosts: Hosts) -> Iterator[Hit]:
    """Two networks on one parent that hand out the same addresses don't know of each other."""
    for _, first, second in _pairs(hosts):
        for pool, other, shared in second.overlaps(first) if first.name != second.name else ():
            message = f"{second.name} and {first.name} both hand out {shared}"
            cure = "set their ranges apart, or make them one network"
            yield Hit(pool.spot, message, cure, (other.spot,))


@rule(
    "gateway-is-host",
    "error",
    "Linux, drivers/net/macvlan.c; moby/libnetwork#1915",
    needs=INTERFACES,
)
def gateway_is_host(hosts: Hosts) -> Iterator[Hit]:
    """No child reaches its own host through the parent: a gateway there answers nobody."""
    for network, pool, interface, spot in _parents(hosts):
        if network.is_underlay and interface.ip == pool.gateway:
            message = f"{network.name}'s gateway {pool.gateway} is {network.host} itself"
            cure = "a router of its own, or a macvlan child on the host as gateway"
            yield Hit(pool.gateway_spot, message, cure, (spot,))


@rule(
    "l3-parent-subnet",
    "error",
    "https://docs.docker.com/engine/network/drivers/ipvlan/",
    needs=INTERFACES,
)
def l3_parent_subnet(hosts: Hosts) -> Iterator[Hit]:
    """In mode l3 ipvlan answers no ARP: in the parent's own subnet nobody finds the containers."""
    for network, pool, interface, spot in _parents(hosts):
        routed = network.driver == "ipvlan" and network.wire_mode in ("l3", "l3s")
        if routed and meet(interface.network, pool.subnet):
            message = f"{network.name} is in {interface.network}, as its parent is"
            cure = "a subnet of its own per host, and routes to it; or mode l2"
            yield Hit(pool.spot, message, cure, (spot,))


@rule(
    "parent-vlan-elsewhere",
    "warning",
    "Linux, net/ipv4/fib_frontend.c: an address's route is by its own interface",
    needs=INTERFACES,
)
def parent_vlan_elsewhere(hosts: Hosts) -> Iterator[Hit]:
    """A subnet is in one VLAN: a host that has it in another one seeks the containers there."""
    for host, network in networks(hosts, "macvlan", "ipvlan"):
        if network.wire_mode in ("l3", "l3s"):
            continue
        own = _addressed(host, network.parent)
        beside = [
            (name, interface, spot)
            for name in _of_one_nic(host, network.parent)
            for interface, spot in _addressed(host, name)
        ]
        for pool in network.pools:
            if any(meet(interface.network, pool.subnet) for interface, _ in own):
                continue
            for name, interface, spot in beside:
                if interface.network == pool.subnet:
                    message = (
                        f"{network.name} has {pool.subnet} on {network.parent} of {host.name},"
                        f" whose own address {interface} there is on {name}"
                    )
                    yield Hit(network.spot("master"), message, f"the parent {name}", (spot,))
                    break


def _of_one_nic(host: Host, parent: str) -> list[str]:
    """Return the NIC that ``parent`` is on, or is, and its VLANs' interfaces, but for its own."""
    vlans = host.vlans()
    nic, tag = nic_and_tag(parent, [link.name for link in host.links])
    if parent in vlans:
        nic, tag = vlans[parent][0], str(vlans[parent][1])
    others = (name for name, (lower, vlan, _) in vlans.items() if (lower, str(vlan)) != (nic, tag))
    names = [nic, *(name for name in others if vlans[name][0] == nic)]
    return [name for name in names if name != parent]


def _addressed(host: Host, name: str) -> list[tuple[Interface, Spot]]:
    return [found for link in host.links if link.name == name for found in link.addresses]
