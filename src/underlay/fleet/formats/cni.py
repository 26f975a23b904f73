"""CNI's network configuration: net.d files, as the plugins would take them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from underlay.errors import Spot
from underlay.fleet.document import Document, listed, mapping, number, word
from underlay.fleet.host import (
    Fixed,
    Network,
    Pool,
    ToldRoute,
    as_address,
    as_interface,
    as_subnet,
    pool_of,
)
from underlay.lab.text import Place

SUFFIXES = (".conf", ".conflist", ".json")
# The plugins that make an interface of their own; the others change one in a chain.
MAIN = ("macvlan", "ipvlan", "bridge", "ptp", "vlan", "host-device", "dummy", "macvtap", "loopback")


def plugins(document: Document) -> list[tuple[Place, dict[str, Any]]]:
    """Return the plugins of a net.d file in order, each with its place."""
    data = mapping(document.data)
    if "plugins" not in data:
        return [((), data)] if data else []
    found = enumerate(listed(data["plugins"]))
    return [(("plugins", i), entry) for i, entry in found if isinstance(entry, dict)]


def looks_like_cni(data: object) -> bool:
    """Whether a JSON document is CNI's, and not somebody else's."""
    keys = mapping(data)
    chain = [mapping(each) for each in listed(keys.get("plugins"))]
    kind = keys.get("type")
    return (
        "cniVersion" in keys
        or any("type" in each for each in chain)
        or (isinstance(kind, str) and ("ipam" in keys or (kind in MAIN and "name" in keys)))
    )


def network_of(host: str, document: Document) -> Network | None:
    """Return the network that a net.d file makes, None where it makes no interface."""
    data = mapping(document.data)
    for place, plugin in plugins(document):
        driver = word(plugin.get("type"))
        if driver not in MAIN:
            continue
        ipam = mapping(plugin.get("ipam"))
        keys = {key: (*place, key) for key in ("type", "master", "mode", "mtu", "ipam")}
        return Network(
            host=host,
            runtime="cni",
            name=word(data.get("name")),
            driver=driver,
            parent=word(plugin.get("master")) or word(plugin.get("bridge")),
            mode=word(plugin.get("mode")),
            flag="",
            mtu=number(plugin.get("mtu")),
            pools=_pools(document, (*place, "ipam"), ipam),
            ipam=word(ipam.get("type")),
            document=document,
            place=place,
            keys={**keys, "name": ("name",)},
            tag=number(plugin.get("vlanId")) or number(plugin.get("vlan")) or None,
            routes=tuple(_routes(document, (*place, "ipam", "routes"), ipam)),
            masquerades=plugin.get("ipMasq") is True,
        )
    return None


def ranges(ipam: dict[str, Any]) -> list[tuple[Place, dict[str, Any]]]:
    """Return host-local's ranges with their places in ``ipam``: the old key and the new list."""
    found: list[tuple[Place, dict[str, Any]]] = []
    if "subnet" in ipam:
        found.append(((), ipam))
    for i, group in enumerate(listed(ipam.get("ranges"))):
        found += [
            (("ranges", i, j), entry)
            for j, entry in enumerate(listed(group))
            if isinstance(entry, dict)
        ]
    return found


def _pools(document: Document, place: Place, ipam: dict[str, Any]) -> tuple[Pool, ...]:
    if word(ipam.get("type")) != "host-local":
        return ()
    pools = []
    for inner, entry in ranges(ipam):
        here: Place = (*place, *inner)
        start, end = as_address(entry.get("rangeStart")), as_address(entry.get("rangeEnd"))
        key = "rangeStart" if start else "rangeEnd" if end else "subnet"
        gateway = (entry.get("gateway"), (*here, "gateway"))
        subnet = as_subnet(entry.get("subnet"))
        pools.append(
            pool_of(document, (*here, key), subnet, (start, end), gateway, host_local=True)
        )
    return tuple(pool for pool in pools if pool is not None)


def static_pools(network: Network) -> Iterator[Pool]:
    """Yield the subnets of the addresses that the plugin ``static`` gives; it has no other."""
    document, place = network.document, (*network.place, "ipam", "addresses")
    for i, entry in enumerate(listed(document.value(place))):
        body = mapping(entry)
        interface = as_interface(body.get("address"))
        if interface is not None:
            gateway = (body.get("gateway"), (*place, i, "gateway"))
            own = (interface.ip, interface.ip)
            pool = pool_of(document, (*place, i, "address"), interface.network, own, gateway)
            if pool is not None:
                yield pool


def cluster_pools(network: Network) -> Iterator[Pool]:
    """Yield the ranges of the plugin whereabouts, which hosts hand out of together.

    Source: k8snetworkplumbingwg/whereabouts, doc/extended-configuration.md.
    """
    document, place = network.document, (*network.place, "ipam")
    ipam = mapping(document.value(place))
    entries = [(place, ipam)] if "range" in ipam else []
    for i, entry in enumerate(listed(ipam.get("ipRanges"))):
        entries.append(((*place, "ipRanges", i), mapping(entry)))
    for here, body in entries:
        # A range may be a subnet, or FIRST-LAST/PREFIX.
        low, dash, rest = word(body.get("range")).partition("-")
        high = rest.partition("/")[0] if dash else ""
        subnet = as_subnet(rest.replace(high, low, 1) if dash else low)
        start = as_address(body.get("range_start")) or (as_address(low) if dash else None)
        end = as_address(body.get("range_end")) or as_address(high)
        gateway = (body.get("gateway") or ipam.get("gateway"), (*place, "gateway"))
        pool = pool_of(document, (*here, "range"), subnet, (start, end), gateway)
        if pool is not None:
            yield pool


def excluded(network: Network) -> Iterator[tuple[str, Spot]]:
    """Yield what the plugin whereabouts leaves out of its ranges: blocks, each with its line."""
    place = (*network.place, "ipam")
    ipam = mapping(network.document.value(place))
    if network.ipam != "whereabouts":
        return
    entries = [(place, ipam)]
    for i, entry in enumerate(listed(ipam.get("ipRanges"))):
        entries.append(((*place, "ipRanges", i), mapping(entry)))
    for here, body in entries:
        for i, text in enumerate(listed(body.get("exclude"))):
            block = as_subnet(text) or as_address(text)
            if block is not None:
                yield str(block), network.document.spot((*here, "exclude", i))


def _routes(document: Document, place: Place, ipam: dict[str, Any]) -> Iterator[ToldRoute]:
    """Yield the routes that the plugin for addresses gives: ``gw`` or the range's gateway.

    Source: https://www.cni.dev/docs/spec/ (ipam, routes) and the plugins' ipam.ConfigureIface.
    """
    for i, entry in enumerate(listed(ipam.get("routes"))):
        to = as_subnet(mapping(entry).get("dst"))
        if to is not None:
            via = as_address(mapping(entry).get("gw"))
            yield ToldRoute(to, via, document.spot((*place, i)))


def fixed_of(network: Network) -> list[Fixed]:
    """Return the addresses that a net.d file gives each container: of the plugin ``static``."""
    data = network.document.value(network.place)
    place: Place = (*network.place, "ipam", "addresses")
    found = []
    for i, entry in enumerate(listed(mapping(data.get("ipam")).get("addresses"))):
        text = word(mapping(entry).get("address"))
        address = as_address(text.partition("/")[0])
        if address is not None and network.ipam == "static":
            spot = network.document.spot((*place, i, "address"))
            found.append(Fixed(network.host, network.name, network.name, address, "", spot))
    mac = word(data.get("mac"))
    if mac:
        spot = network.document.spot((*network.place, "mac"))
        found.append(Fixed(network.host, network.name, network.name, None, mac, spot))
    return found
