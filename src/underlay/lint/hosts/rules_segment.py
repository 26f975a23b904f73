"""Rules about interfaces of several hosts in one segment: MTU, prefix length, VLAN, routes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations, product

from underlay.drivers import DRIVERS
from underlay.errors import Spot
from underlay.fleet.host import Host, Link, meet, within
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import INTERFACES, ONE_WIRE, Hosts, rule

# What an Ethernet interface has where nobody says anything: IEEE 802.3.
USUAL_MTU = 1500
# The mode of macvlan in which children of one parent hear each other.
HEARS = "bridge"
# Words of all formats for addresses that somebody else gives.
GIVEN = ("dhcp", "method=auto", "inet6 auto", "acceptra=y", "acceptra=true", "accept-ra: true")
TOO_LARGE = "RFC 4821; a switch drops what is too large, without a word"


@rule("parent-mtu-differs", "error", TOO_LARGE)
def parent_mtu_differs(hosts: Hosts) -> Iterator[Hit]:
    """NICs of one subnet with different MTUs: large packets one way, none the other."""
    segments: dict[object, dict[str, tuple[Host, Link, int]]] = {}
    for host in hosts:
        for link in host.links:
            for interface, _ in link.addresses:
                if link.mtu is not None:
                    segment = segments.setdefault(interface.network, {})
                    segment.setdefault(host.name, (host, link, link.mtu))
    for subnet, told in segments.items():
        usual = Counter(mtu for _, _, mtu in told.values()).most_common(1)[0][0]
        other, near, _ = next(each for each in told.values() if each[2] == usual)
        for host, link, mtu in told.values():
            if mtu != usual:
                message = f"{host.name}'s {link.name} has MTU {mtu} in"
                message += f" {subnet}, {other.name} {usual}"
                yield Hit(link.at("mtu"), message, "one MTU in a segment", (near.at("mtu"),))


@rule("parent-mtu-unsaid", "warning", TOO_LARGE)
def parent_mtu_unsaid(hosts: Hosts) -> Iterator[Hit]:
    """A NIC of which nothing is said has an MTU of 1500: its neighbours' are to be the same."""
    segments: dict[object, dict[str, tuple[Host, Link]]] = {}
    for host in hosts:
        for link in host.links:
            for interface, _ in link.addresses:
                if interface.network.num_addresses > 1:
                    segments.setdefault(interface.network, {}).setdefault(host.name, (host, link))
    for subnet, found in segments.items():
        said = [(host, link, _mtu(host, link)) for host, link in found.values()]
        silent = [(host, link) for host, link, mtu in said if mtu is None]
        loud = [(host, link, mtu) for host, link, mtu in said if mtu not in (None, USUAL_MTU)]
        if not silent or not loud:
            continue
        # The odd ones out are to blame; where they are even, those that say something.
        if len(silent) < len(loud):
            other, near, mtu = loud[0]
            for host, link in silent:
                message = f"{host.name}'s {link.name} says no MTU in {subnet}, {other.name} {mtu}"
                yield Hit(link.spot, message, "one MTU in a segment", (near.at("mtu"),))
        else:
            other, near = silent[0]
            for host, link, mtu in loud:
                message = f"{host.name}'s {link.name} has MTU {mtu} in {subnet}, {other.name} none"
                yield Hit(link.at("mtu"), message, "one MTU in a segment", (near.spot,))


def _mtu(host: Host, link: Link) -> int | None:
    """Return the MTU that a host's files say of an interface, or of the one below it."""
    named = host.link(link.name)
    lower = host.link(link.lower) if link.lower else None
    return link.mtu or (named.mtu if named else None) or (lower.mtu if lower else None)


@rule("host-mask-differs", "error", "RFC 1122, section 3.3.1: what is on-link is told by the mask")
def host_mask_differs(hosts: Hosts) -> Iterator[Hit]:
    """Hosts of one segment with different prefix lengths don't agree on who is a neighbour."""
    found = [
        (host, link, interface, spot)
        for host in hosts
        for link in host.links
        for interface, spot in link.addresses
        if not (is_shim(host, link) and interface.network.num_addresses == 1)
    ]
    often = Counter(interface.network for _, _, interface, _ in found)
    for one, two in combinations(found, 2):
        # The odd one out is to blame; where they are even, the later one.
        good, bad = (two, one) if often[one[2].network] < often[two[2].network] else (one, two)
        alike = one[0] is not two[0] and one[1].vlan == two[1].vlan
        if alike and one[2].network != two[2].network and meet(one[2].network, two[2].network):
            message = f"{bad[1].name} of {bad[0].name} has {bad[2]},"
            message += f" {good[1].name} of {good[0].name} {good[2]}"
            yield Hit(bad[3], message, "one prefix length in a segment", (good[3],))


def is_shim(host: Host, link: Link) -> bool:
    """Whether ``link`` is a child of one of the host's own interfaces, as a shim is.

    Such a one has an address alone, without a subnet: routes say whom the host reaches by it.
    """
    named = [one for one in host.links if one.name == link.name]
    if any(one.kind in DRIVERS and DRIVERS[one.kind].attach == "child" for one in named):
        return True
    # Its parent asks for it, and what would make it isn't there.
    return any(one.lower for one in named) and all(one.vlan is None for one in named)


def _links_by_name(hosts: Hosts) -> Iterator[list[tuple[Host, Link]]]:
    """Yield the interfaces that several hosts have by one name, one of each host."""
    named: dict[str, dict[str, tuple[Host, Link]]] = {}
    for host in hosts:
        for link in host.links:
            if not set(link.name) & set("*?[! "):
                named.setdefault(link.name, {}).setdefault(host.name, (host, link))
    yield from (list(found.values()) for found in named.values() if len(found) > 1)


@rule("host-vlan-differs", "error", ONE_WIRE)
def host_vlan_differs(hosts: Hosts) -> Iterator[Hit]:
    """One name of a VLAN interface, two tags: the hosts are on different wires."""
    for found in _links_by_name(hosts):
        tagged = [(host, link) for host, link in found if link.vlan is not None]
        if not tagged:
            continue
        usual = Counter(link.vlan for _, link in tagged).most_common(1)[0][0]
        other, near = next(pair for pair in tagged if pair[1].vlan == usual)
        for host, link in tagged:
            if link.vlan != usual:
                message = f"{link.name} is VLAN {link.vlan} on {host.name}, {usual} on {other.name}"
                yield Hit(link.at("vlan"), message, "one VLAN", (near.at("vlan"),))


@rule("host-address-apart", "warning", "RFC 1122, section 3.3.1")
def host_address_apart(hosts: Hosts) -> Iterator[Hit]:
    """Most hosts' interfaces of one name share a subnet: one that is elsewhere meets none."""
    for found in _links_by_name(hosts):
        for version in (4, 6):
            told = [
                (host, link, interface, spot)
                for host, link in found
                for interface, spot in link.addresses
                if interface.version == version
            ]
            often = Counter(interface.network for _, _, interface, _ in told)
            usual, count = often.most_common(1)[0] if often else (None, 0)
            if usual is None or count < 2 or count <= len(told) - count:
                continue
            _, _, _, there = next(each for each in told if each[2].network == usual)
            near = {host.name for host, _, interface, _ in told if interface.network == usual}
            for host, link, interface, spot in told:
                if host.name not in near and not meet(interface.network, usual):
                    message = f"{host.name}'s {link.name} is {interface}, others are in {usual}"
                    yield Hit(spot, message, f"take an address of {usual}", (there,))


@rule("shim-mode", "error", "Linux drivers/net/macvlan.c; ip-link(8): the usual mode is vepa")
def shim_mode(hosts: Hosts) -> Iterator[Hit]:
    """A host's own macvlan hears the containers on its parent in mode bridge alone."""
    for host in hosts:
        below = {one.parent: one for one in host.networks if one.driver == "macvlan"}
        for link in host.links:
            network = below.get(link.lower)
            if link.kind == "macvlan" and network is not None and link.mode not in ("", HEARS):
                message = f"{link.name} in mode {link.mode} doesn't reach {host.name}'s own"
                message += f" containers of {network.name}"
                yield Hit(link.at("mode"), message, "mode bridge", (network.spot("master"),))


@rule("host-address-missing", "warning", "RFC 4291; RFC 1122, section 3.3.1")
def host_address_missing(hosts: Hosts) -> Iterator[Hit]:
    """Most hosts' interfaces of one name have an address of the family: one has none."""
    names = dict.fromkeys(link.name for found in _links_by_name(hosts) for _, link in found)
    for name, version in product(names, (4, 6)):
        have: dict[str, Spot] = {}
        lack: list[tuple[Host, Link]] = []
        for host in hosts:
            links = [link for link in host.links if link.name == name]
            spots = [s for link in links for one, s in link.addresses if one.version == version]
            if spots:
                have[host.name] = spots[0]
            elif links and not _is_given_one(host, links):
                # Of a .netdev and a .network the latter has the addresses.
                lack.append((host, links[-1]))
        if len(have) > len(lack):
            for host, link in lack:
                message = f"{host.name}'s {name} has no IPv{version} address, most others do"
                yield Hit(link.spot, message, "an address there, too", (next(iter(have.values())),))


def _is_given_one(host: Host, links: list[Link]) -> bool:
    """Whether a server or a router may give the interface its address."""
    files = {link.spot.file for link in links}
    said = (document.text.lower() for document in host.documents if document.file in files)
    return any(word in text for text in said for word in GIVEN)


@rule(
    "l3-route-missing",
    "warning",
    "https://docs.docker.com/engine/network/drivers/ipvlan/",
    needs=INTERFACES,
)
def l3_route_missing(hosts: Hosts) -> Iterator[Hit]:
    """Nobody announces ipvlan l3's subnets: each host needs a route to every other's."""
    routed = (
        (host, network)
        for host in hosts
        for network in host.networks
        if network.wire_mode in ("l3", "l3s")
    )
    # No route helps where no wire is.
    found = [(host, network) for host, network in routed if not network.on_dummy]
    for (host, network), (other, _) in product(found, found):
        routes = [route for link in other.links for route in link.routes]
        if host is other or not other.links:
            continue
        for pool in network.pools:
            if not any(within(pool.subnet, route) for route in routes):
                message = f"{other.name} has no route to {network.name}'s {pool.subnet}"
                cure = f"a route to {pool.subnet} through {host.name}'s address on the underlay"
                yield Hit(pool.spot, message, cure)
