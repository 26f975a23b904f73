"""A host's own interfaces: systemd-networkd's files, and cloud-init's network-config."""

from __future__ import annotations

import re
from typing import Any

from underlay.errors import Spot
from underlay.fleet.document import Document, listed, mapping, number, word
from underlay.fleet.host import Link, as_interface, as_subnet
from underlay.lab.text import Place

_SECTION = re.compile(r"\[([A-Za-z0-9]+)\]")

# A section of an INI file: its name, its line, and (key, value, line) in order.
Section = tuple[str, int, list[tuple[str, str, int]]]


def sections(document: Document) -> list[Section]:
    """Return the sections of a systemd file; report lines that are neither key nor section."""
    found: list[Section] = []
    for line, text in enumerate(document.text.splitlines(), 1):
        stripped = text.strip()
        if not stripped or stripped[0] in "#;":
            continue
        head = _SECTION.fullmatch(stripped)
        key, equals, value = stripped.partition("=")
        if head:
            found.append((head[1], line, []))
        elif equals and found:
            found[-1][2].append((key.strip(), value.strip(), line))
        else:
            message = f"{stripped[:40]!r} is neither a [Section] nor Key=value inside of one"
            cure = "write [Match], [Network] and the like, and Key=value below"
            document.report("networkd-syntax", document.at(line), message, cure)
    return found


def networkd_link(host: str, document: Document) -> Link | None:
    """Return the interface that a .network or .netdev file is about; None for a pattern."""
    values: dict[tuple[str, str], str] = {}
    spots: dict[tuple[str, str], Spot] = {}
    addresses = []
    routes = []
    for section, _, entries in sections(document):
        for setting, value, line in entries:
            values[(section, setting)] = value
            spots[(section, setting)] = document.at(line)
            if setting == "Address" and section in ("Network", "Address"):
                interface = as_interface(value)
                if interface is not None:
                    addresses.append((interface, document.at(line)))
                elif value:
                    message = f"{value!r} is no address with a prefix length"
                    cure = "write Address=192.168.70.11/24"
                    document.report("networkd-address", document.at(line), message, cure)
            subnet = as_subnet(value) if (section, setting) == ("Route", "Destination") else None
            routes += [subnet] if subnet is not None else []
    netdev = document.name.endswith(".netdev")
    key = ("NetDev", "Name") if netdev else ("Match", "Name")
    name = values.get(key, "")
    if not name or re.search(r"[*?\[\s!]", name):
        return None
    mtu = values.get(("NetDev", "MTUBytes")) or values.get(("Link", "MTUBytes"))
    return Link(
        host=host,
        name=name,
        spot=spots[key],
        addresses=tuple(addresses),
        mtu=number(mtu),
        mac=values.get(("NetDev" if netdev else "Link", "MACAddress"), ""),
        vlan=number(values.get(("VLAN", "Id"))) if netdev else None,
        routes=tuple(routes),
    )


def wanted_vlans(documents: list[Document]) -> dict[str, str]:
    """Return which VLAN interfaces the .network files ask for, with the interface below each."""
    found = {}
    for document in documents:
        if not document.name.endswith(".network"):
            continue
        entries = [entry for _, _, inside in sections(document) for entry in inside]
        lower = next((value for key, value, _ in entries if key == "Name"), "")
        for key, value, _ in entries:
            if key in ("VLAN", "MACVLAN", "IPVLAN", "MACVTAP"):
                found[value] = lower
    return found


def netplan_links(host: str, document: Document) -> list[Link]:
    """Return the interfaces of a version 2 network-config, as cloud-init and netplan read it."""
    top = mapping(document.data)
    prefix: Place = ("network",) if "network" in top else ()
    body = mapping(top.get("network")) if prefix else top
    found = []
    for kind in ("ethernets", "vlans", "bonds", "bridges"):
        for key, entry in mapping(body.get(kind)).items():
            found.append(_netplan(host, document, (*prefix, kind, key), mapping(entry)))
    return found


def _netplan(host: str, document: Document, place: Place, entry: dict[str, Any]) -> Link:
    match = mapping(entry.get("match"))
    addresses = []
    for i, text in enumerate(listed(entry.get("addresses"))):
        interface = as_interface(text)
        if interface is not None:
            addresses.append((interface, document.spot((*place, "addresses", i))))
    routes = [as_subnet(mapping(r).get("to")) for r in listed(entry.get("routes"))]
    return Link(
        host=host,
        name=word(entry.get("set-name")) or str(place[-1]),
        spot=document.spot(place),
        addresses=tuple(addresses),
        mtu=number(entry.get("mtu")),
        mac=word(entry.get("macaddress")) or word(match.get("macaddress")),
        vlan=number(entry.get("id")),
        lower=word(entry.get("link")),
        routes=tuple(route for route in routes if route is not None),
    )
