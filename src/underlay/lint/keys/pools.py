"""A network's subnets and the user's own plan of what each node hands out of them."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, ip_address, ip_network
from itertools import combinations, islice

from underlay.errors import did_you_mean
from underlay.lab import Network
from underlay.lab import Pool as LabPool
from underlay.lab.text import Place, Problem
from underlay.lint.keys.parts import Parts
from underlay.plan import MANAGEMENT_RANGE
from underlay.plan.addresses import Subnet, ends_of, free_addresses, slice_of
from underlay.plan.pools import pool_slices

# Docker keeps each reserved address by itself.
MOST_RESERVED = 256
SHORT_FORM = ("subnet", "subnet6", "gateway", "gateway6", "ip_range", "ranges", "reserved")


def subnets(parts: Parts) -> Iterator[Problem]:
    """A network's subnets are apart, and in one form: the short one, or the long one."""
    for name, network in parts.networks.items():
        place: Place = ("networks", name)
        short = [key for key in SHORT_FORM if key in network.model_fields_set]
        if network.subnets and short:
            key: Place = (*place, short[0])
            expected = f"{short[0]} in an entry of subnets"
            yield parts.text.problem(key, f"{short[0]} beside subnets", expected, at_key=True)
        for (_, first), (spot, second) in combinations(_stated(name, network), 2):
            if _network(first).overlaps(_network(second)):
                expected = f"a range apart from {first.subnet}"
                yield parts.text.problem((*spot, "subnet"), second.subnet, expected)
        yield from _several(parts, name, network)


def subnet(parts: Parts) -> Iterator[Problem]:
    """A network has a subnet."""
    for name in parts.loose_networks:
        written = parts.text.data["networks"][name]
        if parts.loose_networks[name].ipam == "none":
            for key in (*SHORT_FORM, "subnets", "nat", "slaac", "shim", "routed"):
                if key in written and written[key] is not False:
                    spot: Place = ("networks", name, key)
                    expected = "none: ipam none gives no address"
                    yield parts.text.problem(spot, f"the key {key}", expected, at_key=True)
            continue
        if not any(key in written for key in ("subnet", "subnet6", "subnets")):
            expected = "subnet: an IPv4 network such as 192.168.70.0/24"
            hint = "or subnet6, or a list of subnets"
            place: Place = ("networks", name)
            yield parts.text.problem(place, "no 'subnet'", expected, hint, at_key=True)


def _several(parts: Parts, name: str, network: Network) -> Iterator[Problem]:
    """What knows only one subnet of a family, or none of IPv4."""
    families = [pool.family for pool in network.pools]
    place: Place = ("networks", name, "subnets" if network.subnets else "subnet6")
    if families and 4 not in families:
        reason = ""
        if network.runtime == "docker":
            reason = "Docker before 28 gives every network an IPv4 subnet of its own choice"
        if network.ipam == "dhcp" or network.nat or network.traits.overlay:
            reason = "leases, nat and overlays are for IPv4"
        if reason:
            yield parts.text.problem(place, "no IPv4 subnet", "one beside it", reason)
    if network.nat and network.subnets and families != [4]:
        found = f"{len(families)} subnets behind nat"
        yield parts.text.problem(place, found, "one of IPv4, which the node masquerades")
    if len(families) - len(set(families)) and (network.ipam == "dhcp" or network.slaac):
        what = "dhcp" if network.ipam == "dhcp" else "slaac"
        yield parts.text.problem(place, f"several subnets with {what}", "one of each family")


def pools(parts: Parts) -> Iterator[Problem]:
    """Subnets in the long form are unicast and apart from others; gateways are in them."""
    for name, network in parts.networks.items():
        for place, pool in _stated(name, network):
            subnet = _network(pool)
            yield from _outside(parts, place, pool, subnet)
            if not network.subnets:
                continue
            if _too_small(network, pool, parts.node_names):
                count = len(parts.node_names)
                expected = f"room for {count} slice{'' if count == 1 else 's'}"
                yield parts.text.problem((*place, "subnet"), pool.subnet, expected)
            management = IPv4Network(MANAGEMENT_RANGE)
            if subnet.is_multicast or subnet.is_loopback or subnet.is_link_local:
                expected = "a unicast range such as 192.168.70.0/24 or fd00:70::/64"
                yield parts.text.problem((*place, "subnet"), pool.subnet, expected)
            if isinstance(subnet, IPv4Network) and subnet.overlaps(management):
                expected = f"a range outside {MANAGEMENT_RANGE}, which is for management"
                yield parts.text.problem((*place, "subnet"), pool.subnet, expected)
            own = "" if parts.has_nodes(network) and not network.shim else parts.segment_of(network)
            for segment, entry in parts.segments.items():
                there = entry.subnet if subnet.version == 4 else entry.subnet6
                if segment != own and there and subnet.overlaps(there):
                    expected = f"a range apart from the segment {segment}'s {there}"
                    yield parts.text.problem((*place, "subnet"), pool.subnet, expected)


def _too_small(network: Network, pool: LabPool, nodes: list[str]) -> bool:
    try:
        pool_slices(network, pool, nodes)
    except (ValueError, IndexError):
        return True
    return False


def _outside(parts: Parts, place: Place, pool: LabPool, subnet: Subnet) -> Iterator[Problem]:
    """The gateway, the range and what is reserved lie in the subnet."""
    if len(place) == 2:
        return
    gateway = ip_address(pool.gateway) if pool.gateway else None
    if gateway and (gateway not in subnet or gateway in (subnet[0], subnet[-1])):
        expected = f"a host's address in {subnet}"
        hint = did_you_mean(str(subnet[1])) if subnet.num_addresses > 2 else ""
        yield parts.text.problem((*place, "gateway"), str(gateway), expected, hint)
    if pool.ip_range and not _inside(pool.ip_range, subnet):
        yield parts.text.problem((*place, "ip_range"), pool.ip_range, f"a part of {subnet}")
    for position, text in enumerate(pool.reserved):
        if not _inside(text, subnet):
            spot: Place = (*place, "reserved", position)
            yield parts.text.problem(spot, text, f"a part of {subnet}")


def ranges(parts: Parts) -> Iterator[Problem]:
    """Every node has a range of its own in the subnet, and it is as the runtime can say it."""
    for name, network in parts.networks.items():
        for place, pool in _stated(name, network):
            if not pool.ranges or not parts.node_names:
                continue
            subnet, spot = _network(pool), (*place, "ranges")
            missing = [node for node in parts.node_names if node not in pool.ranges]
            if missing:
                found = f"no range for {', '.join(missing)}"
                expected = f"one for each of {', '.join(parts.node_names)}"
                yield parts.text.problem(spot, found, expected, at_key=True)
            for node, text in pool.ranges.items():
                yield from parts.unknown((*spot, node), node, parts.node_names, at_key=True)
                if not _inside(text, subnet):
                    yield parts.text.problem((*spot, node), text, f"a part of {subnet}")
                else:
                    yield from _as_runtime_says(parts, network, (*spot, node), text, subnet)
                    yield from _roomy(parts, name, (*spot, node), pool)
            for one, two in _meeting(pool.ranges):
                expected = f"a range apart from {one}'s {pool.ranges[one]}"
                yield parts.text.problem((*spot, two), pool.ranges[two], expected)
            yield from _of_cluster(parts, network, spot)


def _of_cluster(parts: Parts, network: Network, spot: Place) -> Iterator[Problem]:
    if network.is_shared:
        found = f"ranges by node with ipam {network.ipam} for the whole cluster"
        yield parts.text.problem(spot, found, "one of the two", at_key=True)


def _as_runtime_says(
    parts: Parts, network: Network, place: Place, text: str, subnet: Subnet
) -> Iterator[Problem]:
    """Docker's --ip-range is a block; the other runtimes take a first and a last address."""
    if network.runtime == "docker" and not slice_of(text, subnet).cidr:
        hint = "or a runtime that takes a first and a last address"
        expected = "a block for Docker's --ip-range, such as 192.168.70.32/27"
        yield parts.text.problem(place, text, expected, hint)


def _roomy(parts: Parts, name: str, place: Place, pool: LabPool) -> Iterator[Problem]:
    node = str(place[-1])
    network, count = parts.networks[name], parts.used(name).get(node, 0)
    fixed = {str(a) for a in parts.fixed(name).values()}
    if node in parts.fixed(name):
        count -= 1
    if network.runtime == "docker" and len(network.pools) > len({p.family for p in network.pools}):
        return
    taken = [*fixed, *pool.reserved, *([pool.gateway] if pool.gateway else [])]
    piece = slice_of(pool.ranges[node], _network(pool))
    room = len(list(islice(free_addresses(piece, taken), count)))
    if room < count:
        found, expected = f"{pool.ranges[node]}: {room} free addresses", f"{count} for {node}"
        yield parts.text.problem(place, found, expected)


def reserved_by_docker(parts: Parts) -> Iterator[Problem]:
    """Docker is told each reserved address by itself: not a subnet of thousands."""
    for name, network in parts.networks.items():
        if network.runtime != "docker":
            continue
        for place, pool in _stated(name, network):
            count = sum(_size(text) for text in pool.reserved)
            if count > MOST_RESERVED:
                spot: Place = (*place, "reserved")
                expected = f"at most {MOST_RESERVED} for Docker, which takes one by one"
                hint = "ip_range or ranges leave out more"
                yield parts.text.problem(spot, f"{count} addresses", expected, hint)


def _stated(name: str, network: Network) -> list[tuple[Place, LabPool]]:
    """Return the network's pools with their places: the network's own, or an entry's."""
    if not network.subnets:
        return [(("networks", name), pool) for pool in network.pools]
    return [
        (("networks", name, "subnets", position), pool)
        for position, pool in enumerate(network.subnets)
    ]


def _network(pool: LabPool) -> Subnet:
    return ip_network(pool.subnet)


def _inside(text: str, subnet: Subnet) -> bool:
    return all(end in subnet for end in ends_of(text))


def _meeting(ranges: dict[str, str]) -> list[tuple[str, str]]:
    """Return each two nodes whose ranges have an address in common, in the file's order."""
    order = {node: position for position, node in enumerate(ranges)}
    found = {node: ends_of(text) for node, text in ranges.items()}
    sorted_by_start = sorted(found, key=lambda n: (found[n][0].version, int(found[n][0])))
    met: list[tuple[str, str]] = []
    open_ones: list[str] = []
    for node in sorted_by_start:
        start = found[node][0]
        open_ones = [
            one
            for one in open_ones
            if found[one][0].version == start.version and int(found[one][1]) >= int(start)
        ]
        met += [(one, node) if order[one] < order[node] else (node, one) for one in open_ones]
        open_ones.append(node)
    return sorted(met, key=lambda pair: (order[pair[0]], order[pair[1]]))


def _size(text: str) -> int:
    first, last = ends_of(text)
    return int(last) - int(first) + 1
