"""Rules about the addresses of one net.d file: what host-local and static refuse."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from underlay.errors import nearest
from underlay.fleet.document import Document, listed, mapping, word
from underlay.fleet.formats.cni import ranges
from underlay.fleet.host import Subnet, as_address, as_interface, as_subnet, whole
from underlay.lab.text import Place
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import CONFIG, HOST_LOCAL, IPVLAN, RANGE, Hosts, networks, rule
from underlay.lint.hosts.rules_cni import each_plugin, routes_of

KINDS = ("host-local", "dhcp", "static", "whereabouts", "calico-ipam", "azure-vnet-ipam")


def _ipam(hosts: Hosts, kind: str = "") -> Iterator[tuple[Document, Place, dict[str, Any]]]:
    for document, place, plugin in each_plugin(hosts):
        ipam = mapping(plugin.get("ipam"))
        if ipam and (not kind or ipam.get("type") == kind):
            yield document, (*place, "ipam"), ipam


def _ranges(hosts: Hosts) -> Iterator[tuple[Document, Place, dict[str, Any]]]:
    for document, place, ipam in _ipam(hosts, "host-local"):
        for inner, entry in ranges(ipam):
            yield document, (*place, *inner), entry


def _addressed(hosts: Hosts) -> Iterator[tuple[Document, Place, dict[str, Any], Subnet]]:
    """Yield what may name a gateway, ranges and fixed addresses, each with its subnet."""
    yield from _subnets(hosts)
    for document, place, ipam in _ipam(hosts, "static"):
        for i, entry in enumerate(listed(ipam.get("addresses"))):
            body = mapping(entry)
            subnet = as_subnet(body.get("address"))
            if subnet is not None:
                yield document, (*place, "addresses", i), body, subnet


def _subnets(hosts: Hosts) -> Iterator[tuple[Document, Place, dict[str, Any], Subnet]]:
    """Yield the ranges whose subnet can be read, with that."""
    for document, place, entry in _ranges(hosts):
        subnet = as_subnet(entry.get("subnet"))
        if subnet is not None:
            yield document, place, entry, subnet


@rule("ipam-type-missing", "error", "https://www.cni.dev/plugins/current/ipam/")
def ipam_type_missing(hosts: Hosts) -> Iterator[Hit]:
    """The type names the IPAM plugin; without one no address is given, whatever else is said."""
    for document, place, ipam in _ipam(hosts):
        if not word(ipam.get("type")):
            yield Hit(document.spot(place), "found ipam without type", '"type": "host-local"')


@rule("ipam-type-misspelt", "error", "https://www.cni.dev/plugins/current/ipam/")
def ipam_type_misspelt(hosts: Hosts) -> Iterator[Hit]:
    """No IPAM plugin of that name is found: `failed to find plugin`."""
    for document, place, ipam in _ipam(hosts):
        kind = word(ipam.get("type"))
        meant = nearest(kind, KINDS) if kind not in KINDS else ""
        if meant:
            spot = document.spot((*place, "type"))
            yield Hit(spot, f"there is no IPAM plugin {kind!r}", f"did you mean {meant}?")


@rule("ipam-range-missing", "error", CONFIG)
def ipam_range_missing(hosts: Hosts) -> Iterator[Hit]:
    """host-local without a subnet fails at the first container: `no IP ranges specified`."""
    for document, place, ipam in _ipam(hosts, "host-local"):
        if not ranges(ipam):
            yield Hit(document.spot(place), "found no subnet", '"subnet": "10.1.0.0/24"')


@rule("ipam-subnet-invalid", "error", RANGE)
def ipam_subnet_invalid(hosts: Hosts) -> Iterator[Hit]:
    """A subnet is an address and a prefix length, such as 10.1.0.0/24."""
    for document, place, entry in _ranges(hosts):
        if as_subnet(entry.get("subnet")) is None:
            spot = document.spot((*place, "subnet"))
            yield Hit(spot, f"{entry.get('subnet')!r} is no subnet", "write it as 10.1.0.0/24")
    for document, place, text in _cluster_ranges(hosts):
        low, dash, rest = text.partition("-")
        first, last = as_interface(low if not dash else f"{low}/{rest.partition('/')[2]}"), rest
        if first is None or (dash and as_interface(last) is None):
            yield Hit(document.spot(place), f"{text!r} is no range", "write it as 10.1.0.0/24")


def _cluster_ranges(hosts: Hosts) -> Iterator[tuple[Document, Place, str]]:
    """Yield the ranges of the plugin whereabouts: a subnet, or FIRST-LAST/PREFIX."""
    for document, place, ipam in _ipam(hosts, "whereabouts"):
        bodies: list[tuple[Place, dict[str, Any]]] = [((), ipam)] if "range" in ipam else []
        bodies += [
            (("ipRanges", i), mapping(entry))
            for i, entry in enumerate(listed(ipam.get("ipRanges")))
        ]
        for inner, body in bodies:
            yield document, (*place, *inner, "range"), word(body.get("range"))
            for i, left_out in enumerate(listed(body.get("exclude"))):
                # A single address is left out without a prefix length, too.
                if as_address(left_out) is None:
                    yield document, (*place, *inner, "exclude", i), word(left_out)


@rule("ipam-host-bits", "warning", "RFC 4632; the readers of a subnet cut them off")
def ipam_host_bits(hosts: Hosts) -> Iterator[Hit]:
    """A subnet with host bits is cut to its prefix: the range is another than it looks."""
    for document, place, entry, subnet in _subnets(hosts):
        text = word(entry.get("subnet"))
        if as_address(text.partition("/")[0]) != subnet.network_address:
            spot = document.spot((*place, "subnet"))
            yield Hit(spot, f"{text} has host bits and counts as {subnet}", f"write {subnet}")


@rule("ipam-too-small", "error", RANGE)
def ipam_too_small(hosts: Hosts) -> Iterator[Hit]:
    """A subnet of two addresses or one has none to give: `too small to allocate from`."""
    for document, place, _, subnet in _subnets(hosts):
        if subnet.num_addresses < 4:
            spot = document.spot((*place, "subnet"))
            yield Hit(spot, f"{subnet} has no address to give", "take a /30 or larger")


@rule("ipam-bound-invalid", "error", RANGE)
def ipam_bound_invalid(hosts: Hosts) -> Iterator[Hit]:
    """rangeStart, rangeEnd and gateway are plain addresses, without a prefix length."""
    for document, place, entry in _ranges(hosts):
        for key in ("rangeStart", "rangeEnd", "gateway"):
            text = entry.get(key)
            if isinstance(text, str) and as_address(text) is None:
                plain = text.partition("/")[0]
                cure = f"write {plain}" if as_address(plain) else "write it as 10.1.0.2"
                yield Hit(document.spot((*place, key)), f"{text!r} is no address", cure)


@rule("ipam-range-outside", "error", RANGE)
def ipam_range_outside(hosts: Hosts) -> Iterator[Hit]:
    """A bound outside of the subnet is refused: `not in network`."""
    for document, place, entry, subnet in _subnets(hosts):
        for key in ("rangeStart", "rangeEnd"):
            address = as_address(entry.get(key))
            if address is not None and address not in subnet:
                message = f"{key} {address} is not in {subnet}"
                cure = f"take one of {whole(subnet)[0]} to {whole(subnet)[1]}"
                yield Hit(document.spot((*place, key)), message, cure)


@rule("ipam-range-reversed", "error", RANGE)
def ipam_range_reversed(hosts: Hosts) -> Iterator[Hit]:
    """A range that ends before it starts is refused."""
    for document, place, entry in _ranges(hosts):
        start, end = as_address(entry.get("rangeStart")), as_address(entry.get("rangeEnd"))
        if start and end and start.version == end.version and int(end) < int(start):
            message = f"rangeEnd {end} comes before rangeStart {start}"
            yield Hit(document.spot((*place, "rangeEnd")), message, "swap them")


@rule("ipam-range-edge", "warning", "RFC 919; " + RANGE)
def ipam_range_edge(hosts: Hosts) -> Iterator[Hit]:
    """The network's and the broadcast address are nobody's: a container can't use them."""
    for document, place, entry, subnet in _subnets(hosts):
        if subnet.version == 6 or subnet.num_addresses < 4:
            continue
        edges = {"rangeStart": subnet.network_address, "rangeEnd": subnet.broadcast_address}
        for key, edge in edges.items():
            if as_address(entry.get(key)) == edge:
                kind = "network" if key == "rangeStart" else "broadcast"
                inside = whole(subnet)[0 if key == "rangeStart" else 1]
                message = f"{key} {edge} is the {kind} address of {subnet}"
                yield Hit(document.spot((*place, key)), message, f"{key}: {inside}")


@rule("ipam-gateway-outside", "error", RANGE)
def ipam_gateway_outside(hosts: Hosts) -> Iterator[Hit]:
    """A gateway outside of the subnet can't be reached by those who are in it."""
    for document, place, entry, subnet in _addressed(hosts):
        gateway = as_address(entry.get("gateway"))
        if gateway is not None and gateway not in subnet and not gateway.is_link_local:
            message = f"gateway {gateway} is not in {subnet}"
            yield Hit(document.spot((*place, "gateway")), message, f"did you mean {subnet[1]}?")


@rule("ipam-ranges-overlap", "error", CONFIG)
def ipam_ranges_overlap(hosts: Hosts) -> Iterator[Hit]:
    """Ranges of one file that overlap are refused: `range set 0 overlaps with 1`."""
    for _, network in networks(hosts):
        if network.runtime != "cni":
            continue
        for other, pool in combinations(network.pools, 2):
            shared = pool.overlap(other)
            if shared is not None:
                message = f"two ranges of {network.name} hold {shared}"
                yield Hit(pool.spot, message, "set them apart", (other.spot,))


@rule("ipam-route-invalid", "error", HOST_LOCAL)
def ipam_route_invalid(hosts: Hosts) -> Iterator[Hit]:
    """A route has a destination with a prefix length; a plain address is refused."""
    for document, place, ipam in _ipam(hosts):
        for i, route in routes_of(ipam):
            bad = "dst" if as_subnet(route.get("dst")) is None else ""
            bad = bad or ("gw" if route.get("gw") and as_address(route["gw"]) is None else "")
            if bad:
                message = f"{bad} {route.get(bad)!r} can't be used"
                cure = '{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}'
                yield Hit(document.spot((*place, "routes", i, bad)), message, cure)


@rule("ipam-route-outside", "error", "Linux, net/ipv4/fib_semantics.c: `network is unreachable`")
def ipam_route_outside(hosts: Hosts) -> Iterator[Hit]:
    """A route's gateway is in one of the subnets, or the plugin fails when it adds the route."""
    for document, place, ipam in _ipam(hosts):
        subnets = _subnets_of(ipam)
        for i, route in routes_of(ipam):
            gateway = as_address(route.get("gw"))
            alike = [s for s in subnets if gateway is not None and s.version == gateway.version]
            if gateway is None or not alike or gateway.is_link_local or gateway.is_unspecified:
                continue
            if not any(gateway in subnet for subnet in alike):
                message = f"the route's gateway {gateway} is not in {alike[0]}"
                cure = f"did you mean {alike[0][1]}?"
                yield Hit(document.spot((*place, "routes", i, "gw")), message, cure)


def _subnets_of(ipam: dict[str, Any]) -> list[Subnet]:
    """Return the subnets that the plugins host-local and static give addresses of."""
    said = [entry.get("subnet") for _, entry in ranges(ipam)]
    said += [mapping(entry).get("address") for entry in listed(ipam.get("addresses"))]
    return [subnet for text in said if (subnet := as_subnet(text)) is not None]


@rule("ipam-route-by-first", "warning", HOST_LOCAL)
def ipam_route_by_first(hosts: Hosts) -> Iterator[Hit]:
    """A route without gw goes through the gateway, and without one through the first address."""
    for document, place, ipam in _ipam(hosts, "host-local"):
        entries = ranges(ipam)
        bare = [i for i, route in routes_of(ipam) if not route.get("gw")]
        if bare and entries and not any(entry.get("gateway") for _, entry in entries):
            subnet = as_subnet(entries[0][1].get("subnet"))
            first = whole(subnet)[0] if subnet is not None else "the first address"
            message = f"the route goes through {first}, which nobody has named"
            cure = "name the gateway, or give the route gw 0.0.0.0 for the link itself"
            yield Hit(document.spot((*place, "routes", bare[0])), message, cure)


@rule("ipam-static-invalid", "error", "https://www.cni.dev/plugins/current/ipam/static/")
def ipam_static_invalid(hosts: Hosts) -> Iterator[Hit]:
    """The plugin static takes addresses with a prefix length, each in its own mapping."""
    for document, place, ipam in _ipam(hosts, "static"):
        for i, entry in enumerate(listed(ipam.get("addresses"))):
            text = mapping(entry).get("address")
            if as_interface(text) is None:
                spot = document.spot((*place, "addresses", i))
                yield Hit(spot, f"{text!r} is no address with prefix", '"address": "10.1.0.9/24"')


@rule("ipam-dhcp-ipvlan", "error", IPVLAN)
def ipam_dhcp_ipvlan(hosts: Hosts) -> Iterator[Hit]:
    """All ipvlan children have their parent's MAC: a DHCP server takes them for one client."""
    for _, network in networks(hosts, "ipvlan"):
        if network.ipam == "dhcp":
            message = f"{network.name} asks DHCP for addresses on ipvlan"
            yield Hit(network.spot("ipam"), message, "use macvlan, or host-local")
