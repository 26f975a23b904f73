"""A host's own interfaces as netplan has them, and cloud-init's network-config in version 2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from underlay.fleet.document import Document, listed, mapping, number, word
from underlay.fleet.host import (
    Address,
    DefaultRoute,
    Link,
    Subnet,
    as_address,
    as_interface,
    as_subnet,
)
from underlay.lab.text import Place

KINDS = ("ethernets", "vlans", "bonds", "bridges", "wifis", "dummy-devices", "virtual-ethernets",
         "tunnels", "vrfs", "modems", "nm-devices")  # fmt: skip
KIND = {"vlans": "vlan", "bonds": "bond", "bridges": "bridge"}
DEFAULTS = ("default", "0.0.0.0/0", "::/0", "0/0")


def devices(document: Document) -> Iterator[tuple[str, Place, dict[str, Any]]]:
    """Yield every interface of a document: its kind, its place and what is said of it."""
    top = mapping(document.data)
    prefix: Place = ("network",) if "network" in top else ()
    body = mapping(top.get("network")) if prefix else top
    for kind in KINDS:
        for key, entry in mapping(body.get(kind)).items():
            yield kind, (*prefix, kind, key), mapping(entry)


def address_text(entry: object) -> str:
    """Return the address of an item of ``addresses``, which may have options below it."""
    if isinstance(entry, dict) and len(entry) == 1:
        return str(next(iter(entry)))
    return word(entry)


def netplan_links(host: str, document: Document) -> list[Link]:
    """Return the interfaces of a version 2 network-config, as cloud-init and netplan read it."""
    return [_link(host, document, place, entry) for _, place, entry in devices(document)]


def _link(host: str, document: Document, place: Place, entry: dict[str, Any]) -> Link:
    match = mapping(entry.get("match"))
    addresses = []
    for i, each in enumerate(listed(entry.get("addresses"))):
        interface = as_interface(address_text(each))
        if interface is not None:
            addresses.append((interface, document.spot((*place, "addresses", i))))
    routes = [as_subnet(mapping(r).get("to")) for r in listed(entry.get("routes"))]
    return Link(
        host=host,
        name=_name(place, entry, match),
        spot=document.spot(place),
        addresses=tuple(addresses),
        mtu=number(entry.get("mtu")),
        mac=word(entry.get("macaddress")) or word(match.get("macaddress")),
        vlan=number(entry.get("id")) if place[-2] == "vlans" else None,
        lower=word(entry.get("link")),
        routes=tuple(route for route in routes if route is not None),
        defaults=tuple(_defaults(document, place, entry)),
        spots={
            name: document.spot((*place, key))
            for name, key in (("mtu", "mtu"), ("mac", "macaddress"), ("vlan", "id"))
            if key in entry
        },
        kind=KIND.get(str(place[-2]), ""),
        hops=tuple(_hops(entry)),
        members=tuple(map(str, listed(entry.get("interfaces")))),
        bond_mode=word(mapping(entry.get("parameters")).get("mode")),
    )


def _hops(entry: dict[str, Any]) -> Iterator[tuple[Subnet, Address]]:
    for route in map(mapping, listed(entry.get("routes"))):
        to, via = as_subnet(route.get("to")), as_address(route.get("via"))
        if to is not None and via is not None:
            yield to, via


def _name(place: Place, entry: dict[str, Any], match: dict[str, Any]) -> str:
    """Return the name or the pattern that the interface goes by on the host."""
    named = word(entry.get("set-name")) or word(match.get("name"))
    # What is matched otherwise and not renamed keeps a name that only the host knows.
    return named or ("*" if match and "macaddress" not in match else str(place[-1]))


def _defaults(document: Document, place: Place, entry: dict[str, Any]) -> Iterator[DefaultRoute]:
    for key in ("gateway4", "gateway6"):
        gateway = as_address(entry.get(key))
        if gateway is not None:
            yield DefaultRoute(gateway, None, document.spot((*place, key)))
    for i, each in enumerate(listed(entry.get("routes"))):
        route = mapping(each)
        gateway = as_address(route.get("via"))
        if gateway is None or route.get("to") not in DEFAULTS or route.get("table", 254) != 254:
            continue
        spot = document.spot((*place, "routes", i, "to"))
        on_link = route.get("on-link") is True
        yield DefaultRoute(gateway, number(route.get("metric")), spot, on_link)
