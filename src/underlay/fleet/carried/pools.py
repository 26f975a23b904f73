"""What each host hands out of a network's subnets, its gateways and routes, in a lab's words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from itertools import combinations
from typing import Any

from underlay.errors import Spot
from underlay.fleet.carried.nets import (
    IPAM,
    Group,
    by_name,
    default_route,
    default_routes,
    gateways_differ,
    handed_out_twice,
)
from underlay.fleet.carried.spare import Taken
from underlay.fleet.carried.values import Carried, Contradiction
from underlay.fleet.formats import cni
from underlay.fleet.host import Address, Network, Pool, Subnet, meet
from underlay.lab.text import Place
from underlay.plan.naming import node_address


@dataclass
class Shared:
    """A subnet of a network, and what each host hands out of it."""

    subnet: Subnet
    spot: Spot
    parts: dict[str, Pool] = field(default_factory=dict)
    gateway: Address | None = None
    gateway_spot: Spot = field(default_factory=lambda: Spot(""))

    @property
    def is_whole(self) -> bool:
        """Whether every host hands out all of the subnet."""
        return not any(pool.bounded for pool in self.parts.values())


def put_addresses(
    carried: Carried, group: Group, nodes: dict[str, str], fixed: set[Address], taken: Taken
) -> None:
    """Say the network's subnets, gateways, routes and ranges; ``nodes`` are the lab's, by host.

    ``fixed`` are its containers' own addresses, ``taken`` all that is anybody's.

    Raises Contradiction where hosts name several gateways, or hand out an address twice.
    """
    place: Place = ("networks", group.name)
    shared = _shared(carried, group)
    for one in shared:
        _gateway(carried, group, one)
    _put_default(carried, group, shared)
    _put_ipam(carried, group)
    entries = [_entry(carried, group, one, nodes, fixed, taken) for one in shared]
    families = [one.subnet.version for one in shared]
    several = len(families) > len(set(families))
    lone = len(entries) > 1 and any(
        "ranges" in entry for entry in entries if ":" in entry["subnet"]
    )
    if several or lone:
        carried.put((*place, "subnets"), entries)
        for position, one in enumerate(shared):
            _origins(carried, (*place, "subnets", position), one, nodes)
        return
    for entry, one in zip(entries, shared, strict=True):
        six = "6" if one.subnet.version == 6 else ""
        for key, value in entry.items():
            known = f"{key}{six}" if key in ("subnet", "gateway") else key
            before = carried.lab["networks"][group.name].get(known)
            joined = [*before, *value] if isinstance(before, list) else value
            carried.put((*place, known), joined)
        _origins(carried, place, one, nodes, six)


def _origins(
    carried: Carried, place: Place, one: Shared, nodes: dict[str, str], six: str = ""
) -> None:
    carried.origins[(*place, f"subnet{six}")] = one.spot
    if one.gateway is not None and one.gateway_spot.line:
        carried.origins[(*place, f"gateway{six}")] = one.gateway_spot
    if one.is_whole and len(one.parts) > 1:
        return
    for host, pool in one.parts.items():
        carried.origins[(*place, "ranges", nodes[host])] = pool.spot


def _shared(carried: Carried, group: Group) -> list[Shared]:
    """Return the network's subnets, those of IPv4 first; of several ranges the largest counts."""
    found: dict[Subnet, Shared] = {}
    for uplink in group.uplinks:
        for pool in uplink.network.pools:
            one = found.setdefault(pool.subnet, Shared(pool.subnet, pool.spot))
            known = one.parts.get(uplink.network.host)
            if known is None or _size(pool) > _size(known):
                one.parts[uplink.network.host] = pool
            smaller = known if known is not None and _size(pool) > _size(known) else pool
            if known is not None and uplink.network.ipam != "static":
                what = f"the range {smaller.first} to {smaller.last} of {group.first.name}"
                why = f"a lab has one range for each node and subnet: the largest of {pool.subnet}"
                carried.leave(smaller.spot, what, why)
    return sorted(found.values(), key=lambda one: one.subnet.version)


def _size(pool: Pool) -> int:
    return int(pool.last) - int(pool.first)


def _gateway(carried: Carried, group: Group, one: Shared) -> None:
    """Find the one gateway of a subnet, named or the runtime's own choice."""
    named = [pool for pool in one.parts.values() if pool.gateway]
    for pool in named[1:]:
        if pool.gateway != named[0].gateway:
            raise gateways_differ(group.first.name, named[0], pool)
    key = "gateway" if one.subnet.version == 4 else "gateway6"
    if named:
        one.gateway, one.gateway_spot = named[0].gateway, named[0].gateway_spot
        return
    routes = default_routes(group.first)
    via = routes.get(one.subnet.version)
    if via is not None and via in one.subnet:
        route = next(r for r in group.first.routes if r.via == via and not r.to.prefixlen)
        one.gateway, one.gateway_spot = via, route.spot
    elif one.subnet.version in routes and via is None and default_route(group.first) == "gateway":
        one.gateway = _chosen(group.first, one)
        text = f"{group.first.runtime} takes {one.gateway} for a gateway where none is named"
        carried.assume(("networks", group.name, key), text, one.spot)
        for host, pool in one.parts.items():
            if group.first.runtime == "docker" and pool.first != one.gateway:
                what = (
                    f"the gateway {pool.first} that Docker takes on {host} for {group.first.name}"
                )
                carried.leave(pool.spot, what, f"a lab's network has one: {one.gateway}")


def _chosen(network: Network, one: Shared) -> Address:
    """Return the gateway that a runtime takes by itself.

    host-local takes the subnet's first address (allocator, Range.Canonicalize), Docker the first
    one of the host's range (moby, libnetwork, ipamAllocateVersion).
    """
    if network.runtime == "docker":
        return next(iter(one.parts.values())).first
    return one.subnet[1]


def _put_default(carried: Carried, group: Group, shared: list[Shared]) -> None:
    network, place = group.first, ("networks", group.name)
    default = "" if network.masquerades else default_route(network)
    if network.ipam == "dhcp":
        default = "none"
    if default == "gateway" and not any(one.gateway for one in shared):
        default = "none"
    spots = [route.spot for route in network.routes if not route.to.prefixlen]
    gateways = {one.gateway for one in shared}
    for route in network.routes:
        other = route.via is not None and not route.via.is_unspecified
        if not route.to.prefixlen and other and route.via not in gateways:
            what = f"the next hop {route.via} of the default route of {network.name}"
            carried.leave(route.spot, what, "a lab's default route goes by the network's gateway")
    if default and default != "on-link":
        carried.put((*place, "default_route"), default, spots[0] if spots else None)
    further = [route for route in network.routes if route.to.prefixlen]
    gateway = {one.subnet.version: one.gateway or one.subnet[1] for one in shared}
    routes: list[dict[str, str]] = []
    for route in further:
        via = route.via if route.via is not None else gateway.get(route.to.version)
        on_link = via is None or via.is_unspecified
        routes.append({"to": str(route.to)} if on_link else {"to": str(route.to), "via": str(via)})
    if routes:
        carried.put((*place, "routes"), routes, further[0].spot)


def _put_ipam(carried: Carried, group: Group) -> None:
    network, place = group.first, ("networks", group.name, "ipam")
    spot = network.spot("ipam")
    if network.runtime == "cni" and not network.ipam:
        carried.put(place, "none", spot)
    elif network.ipam in ("none", *IPAM):
        carried.put(place, IPAM.get(network.ipam, network.ipam), spot)
    if network.ipam == "whereabouts":
        text = (
            f"whereabouts itself doesn't run: the plan gives the containers of {group.name} the"
            " addresses that it would give, by the plugin static"
        )
        carried.assume(place, text, spot, weighty=True)


def _entry(
    carried: Carried,
    group: Group,
    one: Shared,
    nodes: dict[str, str],
    fixed: set[Address],
    taken: Taken,
) -> dict[str, Any]:
    """Return what a lab says of one subnet: see lab/model.py, Pool."""
    entry: dict[str, Any] = {"subnet": str(one.subnet)}
    if one.gateway is not None:
        entry["gateway"] = str(one.gateway)
    network = group.first
    place: Place = ("networks", group.name)
    reserved = sorted(
        {address for pool in one.parts.values() for address in pool.reserved if _named(pool)}
    )
    own = _nodes_own(carried, group, one, len(nodes)) - set(reserved) - fixed
    if own:
        listed = ", ".join(map(str, sorted(own)))
        text = f"{listed} reserved: the lab's nodes have these addresses, whatever the hosts' are"
        carried.assume((*place, "reserved"), text, one.spot)
    if reserved or own:
        entry["reserved"] = [str(address) for address in sorted({*reserved, *own})]
        said = {value: spot for uplink in group.uplinks for value, spot in _aside(uplink.network)}
        for position, text in enumerate(entry["reserved"]):
            if text in said:
                carried.origins[(*place, "reserved", position)] = said[text]
    if IPAM.get(network.ipam) == "cluster":
        _put_cluster(carried, group, one, entry)
    if network.ipam == "static" and len(nodes) > 1:
        _keep_apart(carried, group, one, nodes, entry, taken)
    if network.ipam in IPAM or (network.runtime == "cni" and not network.ipam):
        return entry
    if (network.internal or network.masquerades) and _met(one):
        text = f"each node a part of {one.subnet}: what leaves it has no address of it"
        carried.assume((*place, "ranges"), text, one.spot)
        return entry
    if one.is_whole:
        carried.put((*place, "sliced"), False, one.spot)
        if len(one.parts) > 1:
            text = (
                f"{', '.join(one.parts)} each hand out all of {one.subnet}, so the lab's nodes do"
            )
            carried.assume((*place, "sliced"), text, one.spot)
        return entry
    _refuse_twice(network, one)
    ranges = {nodes[host]: _range(pool) for host, pool in one.parts.items()}
    if one.gateway is not None:
        taken.add(one.gateway)
    for address in _planned(carried, group, one, len(nodes)):
        taken.add(address)
    for host, node in nodes.items():
        if host not in one.parts:
            ranges[node] = taken.spare(one.subnet, block=network.runtime == "docker")
            text = (
                f"{host} has no such network; a lab wants a range for it, and it gets no"
                f" container: {ranges[node] or 'none is left'}, of which no file says anything"
            )
            twin = next((other for other in group.beside if host in other.hosts), None)
            if twin is not None:
                text = (
                    f"{host} has it by {by_name(twin.first.runtime)}, as {twin.name}; but a lab's"
                    f" network has a range on every node, so {host} gets one of {group.name} as"
                    f" well, and no container in it: {ranges[node] or 'none is left'}, which no"
                    " file hands out"
                )
            kind = "a range for a host without the network"
            carried.assume((*place, "ranges", node), text, one.spot, kind=kind)
    entry["ranges"] = {node: ranges[node] for node in nodes.values() if ranges[node]}
    return entry


def _keep_apart(
    carried: Carried,
    group: Group,
    one: Shared,
    nodes: dict[str, str],
    entry: dict[str, Any],
    taken: Taken,
) -> None:
    """Give each node a range that no file says anything of, where all addresses are by hand.

    Without it each node would have a part of the subnet, and an address that is in another
    node's part is refused.
    """
    for address in _planned(carried, group, one, len(nodes)):
        taken.add(address)
    ranges = {node: taken.spare(one.subnet, block=False) for node in nodes.values()}
    if all(ranges.values()):
        entry["ranges"] = ranges
        text = (
            f"nobody hands out anything of {one.subnet}, where all addresses are by hand; a lab"
            " wants a range for each node, of which no file says anything"
        )
        carried.assume(("networks", group.name, "ranges"), text, one.spot)


def _put_cluster(carried: Carried, group: Group, one: Shared, entry: dict[str, Any]) -> None:
    """Say the part of the subnet that all hosts hand out of together: the block around it."""
    pool = next(iter(one.parts.values()))
    _agree_together(carried, group, one, entry)
    if not pool.bounded:
        return
    size = one.subnet.prefixlen
    block = one.subnet
    while (inner := _around(pool, size + 1)) is not None:
        block, size = inner, size + 1
    if block == one.subnet:
        return
    entry["ip_range"] = str(block)
    # A lab's range for all nodes is a block: what of it isn't in the range is kept back.
    around = []
    if pool.first != block[0]:
        around.append(f"{block[0]}-{pool.first - 1}")
    if pool.last != block[-1]:
        around.append(f"{pool.last + 1}-{block[-1]}")
    if around:
        entry["reserved"] = [*entry.get("reserved", []), *around]


def _agree_together(carried: Carried, group: Group, one: Shared, entry: dict[str, Any]) -> None:
    """Say what all hosts leave out of their common range; raise Contradiction where they differ."""
    first = next(iter(one.parts.values()))
    for pool in one.parts.values():
        if (pool.first, pool.last) != (first.first, first.last):
            raise Contradiction(
                f"range of {group.first.name}, which hosts hand out of together",
                (f"{first.first} to {first.last}", first.spot),
                (f"{pool.first} to {pool.last}", pool.spot),
            )
    said = [_left_of(uplink.network, one) for uplink in group.uplinks]
    blocks = said[0]
    for uplink, found in zip(group.uplinks, said, strict=True):
        if blocks.keys() != found.keys():
            mine, theirs = (
                (", ".join(each) or "nothing", next(iter(each.values()), network.spot("ipam")))
                for each, network in ((blocks, group.first), (found, uplink.network))
            )
            raise Contradiction(f"what {group.first.name} leaves out", mine, theirs)
    if blocks:
        entry["reserved"] = [*entry.get("reserved", []), *blocks]
        place: Place = ("networks", group.name, "reserved")
        carried.origins[place] = next(iter(blocks.values()))


def _left_of(network: Network, one: Shared) -> dict[str, Spot]:
    found = cni.excluded(network)
    return {text: spot for text, spot in found if meet(ip_network(text), one.subnet)}


def _around(pool: Pool, size: int) -> Subnet | None:
    """Return the block of that prefix length which holds all that is handed out; None for none."""
    if size > pool.first.max_prefixlen:
        return None
    block = ip_network((pool.first, size), strict=False)
    return block if pool.last in block else None


def _met(one: Shared) -> bool:
    """Whether hosts hand out the same addresses."""
    return any(first.overlap(second) for first, second in combinations(one.parts.values(), 2))


def _aside(network: Network) -> Iterator[tuple[str, Spot]]:
    """Yield the addresses that a network's file keeps back, each with its place."""
    for claim in network.claims:
        yield from ((str(value), spot) for value, spot in claim.reserved)


def _named(pool: Pool) -> bool:
    """Whether what is reserved is from the file, and not host-local's first address."""
    return pool.reserved != frozenset({pool.subnet[1]})


def _nodes_own(carried: Carried, group: Group, one: Shared, count: int) -> set[Address]:
    """Return the addresses of the lab's nodes that a host would hand out on their wire."""
    found = _planned(carried, group, one, count)
    return {a for a in found if any(pool.holds(a) for pool in one.parts.values())}


def _planned(carried: Carried, group: Group, one: Shared, count: int) -> set[Address]:
    """Return the addresses of the lab's nodes in a subnet's wire: see plan/naming.py."""
    if carried.real:
        return set()
    segment = carried.lab["segments"].get(group.segment, {})
    tagged = group.uplinks[0].vlan is not None
    own = ip_network(segment["subnet"]) if "subnet" in segment else None
    if not tagged and (own is None or not one.subnet.overlaps(own)):
        return set()
    base = one.subnet if tagged or own is None else own
    if base.num_addresses < count + 12:
        return set()
    return {node_address(base, number) for number in range(1, count + 1)}


def _range(pool: Pool) -> str:
    return pool.part or f"{pool.first}-{pool.last}"


def _refuse_twice(network: Network, one: Shared) -> None:
    """Raise BadInput where two hosts hand out one address: a lab has a range for each."""
    for first, second in combinations(one.parts.items(), 2):
        if first[1].overlap(second[1]) is not None:
            raise handed_out_twice(network.name, first, second)
