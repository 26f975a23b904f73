"""Hosts' networks as a lab's: those of one name and subnet are one network on all their hosts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from underlay.drivers import DRIVERS
from underlay.errors import Spot
from underlay.fleet.carried.values import (
    INSTEAD,
    Carried,
    Contradiction,
    NoLab,
    Silent,
    nothing_silent,
    word_of,
)
from underlay.fleet.carried.wires import HINT, Port, Uplink
from underlay.fleet.host import Address, Host, Network, Pool, meet
from underlay.plan.naming import default_file, vlan_link_name

# What a lab file takes as a CNI file's name: see lab/model.py, FileName.
FILE = re.compile(r"[0-9]{2}-[a-z0-9-]{1,50}\.(conf|conflist)")
SMALLEST_MTU, LARGEST_MTU = 576, 1500
# Plugins for addresses that a lab has by the same name, and what stands for others.
IPAM = {"static": "static", "dhcp": "dhcp", "whereabouts": "cluster"}


@dataclass
class Group:
    """A network of the lab: what it is called there, and where it sits on each of its hosts.

    ``segment`` is the lab's name of the wire, empty for a network without an uplink.
    """

    uplinks: list[Uplink] = field(default_factory=list)
    name: str = ""
    segment: str = ""
    # Why it is apart from another of its name, where a comment silences that: what, and the reason.
    apart: list[tuple[NoLab, str]] = field(default_factory=list)
    # Networks that other hosts have on the same wire and of the same subnet, by another runtime.
    beside: list[Group] = field(default_factory=list)

    @property
    def first(self) -> Network:
        """The network as the first of its hosts has it."""
        return self.uplinks[0].network

    @property
    def hosts(self) -> list[str]:
        """The hosts that have it."""
        return [uplink.network.host for uplink in self.uplinks]


def grouped(
    uplinks: Sequence[Uplink],
    segments: dict[Port, str],
    subnets: dict[str, str],
    silent: Silent = nothing_silent,
) -> list[Group]:
    """Return the networks of the lab in order; raise Contradiction where hosts don't agree.

    ``segments`` are the lab's by the NICs that are in them, ``subnets`` theirs by name. What is
    ``silent`` makes two networks of it: each host has its own then, as its file says.
    """
    found: list[Group] = []
    for uplink in uplinks:
        apart: list[tuple[NoLab, str]] = []
        near = None
        for group in (one for one in found if _is_one(one, uplink.network)):
            wrong = _contradiction(group, uplink, segments, subnets, silent)
            if wrong is None:
                near = group
                break
            apart.append(wrong)
        if near is None and not apart:
            near = _by_other_name(found, uplink, uplinks, segments, subnets)
        if near is None:
            found.append(Group([uplink], segment=segments.get(uplink.port, ""), apart=apart))
        else:
            near.uplinks.append(uplink)
    for group in found:
        group.beside = [other for other in found if _is_beside(group, other)]
    return found


def _is_beside(group: Group, other: Group) -> bool:
    """Whether hosts mean one network, and each of them has it by a runtime of its own."""
    (first, one), (second, two) = ((g.uplinks[0], g.first) for g in (group, other))
    one_wire = group.segment and group.segment == other.segment and first.vlan == second.vlan
    if not one_wire or one.runtime == two.runtime or not set(group.hosts).isdisjoint(other.hosts):
        return False
    return any(mine.subnet == theirs.subnet for mine in one.pools for theirs in two.pools)


def _contradiction(
    group: Group,
    uplink: Uplink,
    segments: dict[Port, str],
    subnets: dict[str, str],
    silent: Silent,
) -> tuple[NoLab, str] | None:
    """Return why ``uplink`` isn't in ``group``, and the reason of the comment that silences it.

    Raises Contradiction where no comment does. What ranges and gateways contradict each other
    about is refused once they are put into the lab: see pools.py.
    """
    try:
        _agree(group, uplink, segments, subnets)
    except Contradiction as wrong:
        reason = silent(wrong)
        if not reason:
            raise
        return wrong, reason
    found = ((wrong, silent(wrong)) for wrong in _apart(group, uplink.network))
    return next((pair for pair in found if pair[1]), None)


def _apart(group: Group, network: Network) -> Iterator[NoLab]:
    """Yield what the ranges and gateways of a network contradict its group's about."""
    for other in (one.network for one in group.uplinks):
        for mine in other.pools:
            for pool in (one for one in network.pools if one.subnet == mine.subnet):
                if mine.gateway and pool.gateway and mine.gateway != pool.gateway:
                    yield gateways_differ(network.name, mine, pool)
                shared = mine.overlap(pool)
                if shared is not None and (mine.bounded or pool.bounded):
                    yield handed_out_twice(network.name, (other.host, mine), (network.host, pool))


def gateways_differ(network: str, first: Pool, second: Pool) -> Contradiction:
    """Return what two hosts' gateways in one subnet are to a lab."""
    return Contradiction(
        f"gateway of {network}",
        (str(first.gateway), first.gateway_spot),
        (str(second.gateway), second.gateway_spot),
        rules=("network-gateway-differs",),
    )


def handed_out_twice(network: str, one: tuple[str, Pool], two: tuple[str, Pool]) -> NoLab:
    """Return what two hosts' ranges with an address in common are to a lab."""
    (host, first), (other, second) = one, two
    return NoLab(
        second.spot,
        f"{network} of {other} hands out {first.overlap(second)}: expected a range"
        f" apart from that of {host}, {first.first} to {first.last} in {first.spot}",
        hint="`underlay lint --host NAME=DIR …` says all that the hosts' ranges do",
        rules=("range-overlap", "range-twice", "slice-missing"),
        other=first.spot,
    )


def _is_one(group: Group, network: Network) -> bool:
    """Whether hosts mean one network: its name, runtime and subnets are the same."""
    known = group.first
    if (known.name, known.runtime) != (network.name, network.runtime):
        return False
    if network.host in group.hosts:
        return False
    both = [(one.subnet, two.subnet) for one in known.pools for two in network.pools]
    return any(meet(*pair) for pair in both) or not (known.pools or network.pools)


def _by_other_name(
    found: Sequence[Group],
    uplink: Uplink,
    uplinks: Sequence[Uplink],
    segments: dict[Port, str],
    subnets: dict[str, str],
) -> Group | None:
    """Return the network that a host has by another name, None for none.

    Docker takes one network on a parent, and all nodes of a lab have all networks: what two hosts
    call differently, on one wire and in one subnet, is one there.
    """
    network = uplink.network
    mine = [one.network for one in uplinks if one.network.host == network.host]
    if network.runtime != "docker" or network.internal or not network.pools:
        return None
    for group in found:
        first = group.first
        apart = network.host in group.hosts or first.internal or first.runtime != "docker"
        if apart or any(_is_one(group, other) for other in mine):
            continue
        if {pool.subnet for pool in first.pools} != {pool.subnet for pool in network.pools}:
            continue
        if {pool.gateway for pool in first.pools} != {pool.gateway for pool in network.pools}:
            continue
        try:
            _agree(group, uplink, segments, subnets)
        except Contradiction:
            continue
        return group
    return None


def _agree(group: Group, uplink: Uplink, segments: dict[Port, str], known: dict[str, str]) -> None:
    """Raise Contradiction where ``uplink`` has something else than the group's first host."""
    one, two = group.uplinks[0], uplink
    first, second = one.network, two.network

    def subnets(network: Network) -> str:
        return ", ".join(sorted({str(pool.subnet) for pool in network.pools})) or "no subnet"

    def segment(name: str) -> str:
        return f"{name} ({known[name]})" if name in known else name

    def routes(network: Network) -> str:
        found = [f"{r.to} via {r.via or 'the gateway'}" for r in network.routes if r.to.prefixlen]
        return ", ".join(sorted(found))

    def mode(network: Network) -> str:
        return f"{network.wire_mode} {network.flag or ''}".strip()

    what = f"the network {second.name} of {second.host}"
    for key, about, rule, mine, theirs in (
        ("type", "driver", "network-driver-differs", first.driver, second.driver),
        ("mode", "mode", "network-mode-differs", mode(first), mode(second)),
        ("ipam", "subnets", "network-mask-differs", subnets(first), subnets(second)),
        ("master", "VLAN", "network-vlan-differs", _tag(one), _tag(two)),
        ("master", "segment", "network-parent-differs",
         segment(group.segment), segment(segments.get(two.port, ""))),
        ("mtu", "MTU", "network-mtu-differs",
         str(first.mtu or "no MTU"), str(second.mtu or "no MTU")),
        ("name", "uplink", "", _closed(first), _closed(second)),
        ("ipam", "default route", "", default_route(first), default_route(second)),
        ("ipam", "routes", "", routes(first), routes(second)),
        ("ipam", "IPAM plugin", "network-ipam-differs", first.ipam, second.ipam),
        ("master", "bridge", "", first.bridge, second.bridge),
    ):  # fmt: skip
        if mine != theirs:
            here, there = (about_spot(n, key) for n in (first, second))
            raise Contradiction(
                f"{about} of {what}",
                (mine or "none", here),
                (theirs or "none", there),
                hint=HINT if about == "segment" else "",
                rules=(rule,) if rule else (),
            )


def about_spot(network: Network, key: str) -> Spot:
    """Return where ``key`` of a network stands; for its addresses, where the first range does."""
    if key == "ipam" and network.pools:
        return network.pools[0].spot
    return network.spot(key)


def _tag(uplink: Uplink) -> str:
    return f"VLAN {uplink.vlan}" if uplink.vlan is not None else "no VLAN"


def _closed(network: Network) -> str:
    return (
        "internal" if network.internal else "masquerading" if network.masquerades else "an uplink"
    )


def default_routes(network: Network) -> dict[int, Address | None]:
    """Return the default routes of a network's containers by family: the next hop, if it is named.

    CNI gives those that the file names, and Docker and podman one by the gateway.
    """
    found: dict[int, Address | None] = {
        route.to.version: route.via for route in network.routes if not route.to.prefixlen
    }
    if network.routes_by_gateway and not network.internal:
        found = {pool.subnet.version: None for pool in network.pools} | found
    return found


def default_route(network: Network) -> str:
    """Return a lab's word for how containers reach other subnets: see lab/model.py."""
    found = default_routes(network)
    if not found:
        return "none"
    via = found.get(4, next(iter(found.values())))
    if via is not None and via.is_unspecified:
        return "on-link"
    # In its l3 modes ipvlan asks nobody for a next hop's MAC address.
    dockers = network.runtime == "docker" and network.driver == "ipvlan"
    return "on-link" if dockers and network.wire_mode != "l2" else "gateway"


def put_networks(carried: Carried, groups: Sequence[Group], hosts: Sequence[Host]) -> None:
    """Say each group's network in the lab, but for its addresses."""
    names: list[str] = []
    nics = {name: entry.get("interface", f"eth{number}") for number, (name, entry) in
            enumerate(carried.lab["segments"].items(), 1)}  # fmt: skip
    for position, group in enumerate(groups):
        network = group.first
        group.name = word_of(network.name or network.document.name, names, "network")
        names.append(group.name)
        place = ("networks", group.name)
        carried.put(place, {}, network.spot())
        twin = next((one for one in group.beside if one.name), None)
        if twin is not None:
            _put_beside(carried, twin, group)
        elif group.name != network.name:
            text = f"called {group.name} here, where the files say {network.name or 'nothing'!r}"
            carried.assume(place, text, network.spot("name"))
        if network.document.kind in INSTEAD:
            text = (
                "systemd-nspawn doesn't run: the node program plugs the containers in, by CNI's"
                f" plugin {network.driver}; they have no name for their network, which is"
                f" called {group.name}"
            )
            carried.assume(place, text, network.spot("master"))
        for one in group.uplinks[1:]:
            other = one.network
            if other.name != network.name:
                text = (
                    f"{other.name} of {other.host} and {network.name} of {network.host} are one"
                    f" network, by wire and subnet: {group.name} here"
                )
                carried.assume(place, text, other.spot(), weighty=True)
        _put_split(carried, groups[:position], group)
        for wrong, reason in group.apart:
            text = f"{wrong.fact}; silenced ({reason}): a network of its own, {group.name}"
            carried.assume(place, text, wrong.spot, weighty=True)
        carried.put((*place, "driver"), network.driver, network.spot("type"))
        if network.mode and network.driver in DRIVERS and DRIVERS[network.driver].modes:
            carried.put((*place, "mode"), network.mode, network.spot("mode"))
        if network.flag:
            carried.put((*place, "flag"), network.flag, network.spot("mode"))
        carried.put((*place, "runtime"), network.runtime)
        _put_parent(carried, group, nics.get(group.segment, ""))
        _put_mtu(carried, group)
        if network.runtime == "cni" and network.document.kind not in INSTEAD:
            _put_file(carried, group, position)


def _put_beside(carried: Carried, before: Group, group: Group) -> None:
    """Say that one network of the hosts' is two of the lab's, as its hosts have two runtimes."""
    (first, one), (second, two) = (
        (network, f"{network.name or 'a network'} of {', '.join(each.hosts)} is")
        for each, network in ((before, before.first), (group, group.first))
    )
    vlan = group.uplinks[0].vlan
    wire = f"segment {group.segment}" + (f", VLAN {vlan}" if vlan is not None else "")
    text = (
        f"{one} {by_name(first.runtime)}'s, and {two} {by_name(second.runtime)}'s: a lab's network"
        f" has one runtime, so there are two, {before.name} and {group.name}, on one wire ({wire})"
        " and of one subnet, as these files have it"
    )
    carried.assume(("networks", group.name), text, second.spot("name"), weighty=True)


def by_name(runtime: str) -> str:
    """Return how people write the name of a runtime."""
    return {"docker": "Docker", "cni": "CNI"}.get(runtime, runtime)


def _put_split(carried: Carried, before: Sequence[Group], group: Group) -> None:
    """Say that hosts' files have one name for what is two networks, for their subnets differ."""
    second = group.first
    for other in before:
        first = other.first
        alike = (first.name, first.runtime) == (second.name, second.runtime)
        if alike and first.host != second.host and first.pools and second.pools:
            (one, here), (two, there) = (
                (", ".join(str(pool.subnet) for pool in n.pools), about_spot(n, "ipam"))
                for n in (first, second)
            )
            text = (
                f"{second.name or 'the network'} is {two} on {second.host} ({there}) and {one} on"
                f" {first.host} ({here}): the lab has two networks, {other.name} and {group.name}"
            )
            carried.assume(("networks", group.name), text, there, weighty=True)
            return


def _put_parent(carried: Carried, group: Group, nic: str) -> None:
    uplink, network = group.uplinks[0], group.first
    place = ("networks", group.name)
    spot = network.spot("master")
    if network.internal:
        carried.put((*place, "internal"), True, spot)
    if network.masquerades:
        carried.put((*place, "nat"), True, spot)
    if group.segment:
        carried.put((*place, "segment"), group.segment, spot)
    if network.bridge:
        carried.put((*place, "bridge"), network.bridge, spot)
    if uplink.vlan is None or not group.segment:
        return
    carried.put((*place, "vlan"), uplink.vlan, spot)
    if uplink.made:
        text = f"no file of {network.host} makes {uplink.through}: the lab makes it"
        carried.assume((*place, "vlan"), text, spot)
    moved = network.driver in DRIVERS and DRIVERS[network.driver].attach == "moved"
    if uplink.through and uplink.through != vlan_link_name(nic, uplink.vlan) and not moved:
        carried.put((*place, "interface"), uplink.through, spot)
    for other in group.uplinks[1:]:
        if other.through != uplink.through and not moved:
            carried.leave(
                other.network.spot("master"),
                f"the name {other.through} of the sub-interface of {other.network.host}",
                f"it is called {uplink.through} on every node, as on {network.host}",
                matters=False,
            )


def _put_mtu(carried: Carried, group: Group) -> None:
    network = group.first
    if network.mtu is None:
        return
    segment = carried.lab["segments"].get(group.segment, {}).get("mtu", LARGEST_MTU)
    if not SMALLEST_MTU <= network.mtu <= segment:
        why = f"a lab's segment carries {SMALLEST_MTU} to {segment} bytes"
        carried.leave(network.spot("mtu"), f"mtu {network.mtu} of {network.name}", why)
    elif network.mtu != segment:
        carried.put(("networks", group.name, "mtu"), network.mtu, network.spot("mtu"))


def _put_file(carried: Carried, group: Group, position: int) -> None:
    """Keep the name of a CNI file where all hosts have it and a lab takes it."""
    document = group.first.document
    taken = [entry.get("file") for entry in carried.lab["networks"].values()]
    names = {uplink.network.document.name for uplink in group.uplinks}
    if names == {document.name} and FILE.fullmatch(document.name) and document.name not in taken:
        if document.name != default_file(position, group.name):
            place = ("networks", group.name, "file")
            carried.put(place, document.name, Spot(document.file, document.line + 1))
        return
    for uplink in group.uplinks:
        own = uplink.network.document
        why = "a lab's CNI files are called NN-name.conf or .conflist, alike on every node"
        carried.leave(Spot(own.file), f"the file's name {own.name}", why, matters=False)


def put_routed(carried: Carried, groups: Sequence[Group], hosts: Sequence[Host]) -> None:
    """Say that hosts route one another's ranges, where each of them has routes to all others."""
    known = {host.name: host for host in hosts}
    for group in groups:
        network = group.first
        modes = DRIVERS[network.driver].l3_modes
        if network.wire_mode not in modes or len(group.uplinks) < 2 or not group.segment:
            continue
        routed = [
            _leads(known[uplink.network.host], other.network)
            for uplink in group.uplinks
            for other in group.uplinks
            if uplink is not other
        ]
        place = ("networks", group.name, "routed")
        entry = carried.lab["networks"][group.name]
        if any(routed) and (entry.get("ipam") == "cluster" or entry.get("sliced") is False):
            what = f"routes to what other hosts hand out of {network.name}"
            why = "each hands out all of the subnet, so that none of its addresses tells its owner"
            carried.leave(network.spot(), what, why)
        elif all(routed):
            carried.put(place, True)
            text = "each host has routes to what the others hand out: the lab's nodes have theirs"
            carried.assume(place, text, network.spot())
        elif any(routed):
            what = f"routes to what other hosts hand out of {network.name}"
            carried.leave(network.spot(), what, "a lab's nodes all have such routes, or none has")


def _leads(host: Host, network: Network) -> bool:
    """Whether ``host`` has routes by way of somebody to all that ``network`` hands out."""
    hops = [to for link in host.links for to, _ in link.hops if to.prefixlen]
    return bool(network.pools) and all(
        any(to.version == end.version and end in to for to in hops)
        for pool in network.pools
        for end in (pool.first, pool.last)
    )
