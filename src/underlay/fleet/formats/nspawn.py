"""Containers of systemd-nspawn: ``.nspawn`` files, and the units of networkd inside of each.

A ``.nspawn`` file is called as its container. What it plugs the container into has no name of a
network there; containers that are plugged into one interface in one way count as in one network.
Sources: systemd.nspawn(5), systemd-nspawn(1), and its nspawn-network.c: macvlan children are in
mode bridge, ipvlan's in l2, and called mv-PARENT and iv-PARENT in the container.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from underlay.errors import Spot
from underlay.fleet.document import Document
from underlay.fleet.formats.ini import Setting, settings
from underlay.fleet.formats.networkd import networkd_link
from underlay.fleet.host import (
    Address,
    Container,
    DefaultRoute,
    Fixed,
    Interface,
    Link,
    Network,
    Pool,
    ToldRoute,
    as_subnet,
)

SUFFIX = ".nspawn"
RUNTIME = "nspawn"
# The kind of a unit of networkd that is a container's and not the host's.
INSIDE = "machine"
# The keys that plug a container into something of a host's, with the driver and its mode.
CHILDREN = {"MACVLAN": ("macvlan", "bridge", "mv-"), "IPVLAN": ("ipvlan", "l2", "iv-")}
PREFIXES = {"macvlan": "mv-", "ipvlan": "iv-", "bridge": "vb-", "vlan": "vlan-"}
# What the container calls its end of a veth.
VETH = "host0"
# The kernel's names of interfaces have so many characters.
LONGEST = 15
TRUE = ("true", "yes", "1", "on", "y", "t")
_ROOT = re.compile(r"(?:^|/)machines/([^/]+)/")
_LEASED = ("yes", "true", "1", "on", "both", "ipv4", "v4")


@dataclass(frozen=True)
class Plug:
    """What a container is plugged into: the parent on its host, and its own name for it."""

    driver: str
    mode: str
    parent: str
    inside: str
    spot: Spot

    @property
    def network(self) -> str:
        """What containers are in that are plugged in likewise, as nspawn calls their interfaces."""
        return f"{PREFIXES[self.driver]}{self.parent}"


@dataclass
class Found:
    """What ``.nspawn`` files of a host make."""

    networks: list[Network] = field(default_factory=list)
    containers: list[Container] = field(default_factory=list)
    fixed: list[Fixed] = field(default_factory=list)


def machine_of(document: Document) -> str:
    """Return the container in whose root a file of a host lies, nothing for the host's own."""
    found = _ROOT.search(document.target or document.within or document.file)
    return found[1] if found else ""


def name_of(document: Document) -> str:
    """Return what the container of a ``.nspawn`` file is called."""
    return document.name.removesuffix(SUFFIX)


def plugs(document: Document) -> Iterator[Plug]:
    """Yield what a ``.nspawn`` file plugs its container into: parents of a child, and a bridge.

    A sub-interface that is moved into the container is a VLAN of the NIC below it.
    """
    said = settings(document)
    for key, (driver, mode, prefix) in CHILDREN.items():
        for parent, inside, entry in pairs(document, key):
            name = inside or f"{prefix}{parent}"[:LONGEST]
            yield Plug(driver, mode, parent, name, document.at(entry.line))
    bridge = said.last("Network", "Bridge")
    if bridge is not None and bridge.value:
        yield Plug("bridge", "", bridge.value, VETH, document.at(bridge.line))
    for parent, inside, entry in pairs(document, "Interface"):
        yield Plug("vlan", "", parent, inside or parent, document.at(entry.line))


def pairs(document: Document, key: str) -> Iterator[tuple[str, str, Setting]]:
    """Yield each ``host`` or ``host:container`` that a key of [Network] lists, and its line."""
    for entry in settings(document).every("Network", key):
        for each in entry.value.split():
            parent, _, inside = each.partition(":")
            if parent:
                yield parent, inside, entry


def unsaid(document: Document, links: Sequence[Link]) -> Iterator[tuple[Spot, str, str]]:
    """Yield the lines of a ``.nspawn`` file about networks that a lab can't have, and why."""
    said = settings(document)
    zone, veth = said.last("Network", "Zone"), said.last("Network", "VirtualEthernet")
    if zone is not None and zone.value:
        why = "a zone is a bridge of this host alone, and networkd leases addresses on it"
        yield document.at(zone.line), f"the zone {zone.value}", why
    elif veth is not None and veth.value.lower() in TRUE and not said.value("Network", "Bridge"):
        why = "a veth joins the container and its own host alone"
        yield document.at(veth.line), "VirtualEthernet", why
    for entry in said.every("Network", "VirtualEthernetExtra"):
        why = "a veth joins the container and its own host alone"
        yield document.at(entry.line), f"VirtualEthernetExtra={entry.value}", why
    for entry in said.every("Network", "Port"):
        why = "a lab's nodes forward no ports"
        yield document.at(entry.line), f"Port={entry.value}", why
    for parent, _, entry in pairs(document, "Interface"):
        if _vlan(parent, links) is None:
            why = "a lab's NIC stays its node's; a VLAN of it can be moved into a container"
            yield document.at(entry.line), f"the interface {parent}", why
    if not any(True for _ in plugs(document)) and zone is None and veth is None:
        why = "it is plugged into nothing of the host's, or into a veth by its service's default"
        yield document.spot(), f"the container {name_of(document)}", why


def found_in(
    host: str, documents: Sequence[Document], units: Sequence[Document], links: Sequence[Link]
) -> Found:
    """Return what the ``.nspawn`` files of ``host`` make.

    ``units`` are the networkd units of the containers, ``links`` the host's own interfaces.
    """
    found = Found()
    inside: dict[str, list[Link]] = {}
    for unit in units:
        link = networkd_link(host, unit)
        if link is not None:
            inside.setdefault(machine_of(unit), []).append(link)
    leased = {
        (machine_of(unit), settings(unit).value("Match", "Name"))
        for unit in units
        if settings(unit).value("Network", "DHCP").lower() in _LEASED
    }
    made: dict[str, list[tuple[Document, Plug, list[Link]]]] = {}
    for document in documents:
        name = name_of(document)
        networks: list[tuple[str, tuple[Address, ...], str]] = []
        for plug in plugs(document):
            if plug.driver == "vlan" and _vlan(plug.parent, links) is None:
                continue
            own = [link for link in inside.get(name, ()) if link.fits(plug.inside)]
            made.setdefault(plug.network, []).append((document, plug, own))
            given = [one for link in own for one in link.addresses]
            networks.append((plug.network, tuple(one.ip for one, _ in given), ""))
            found.fixed += [
                Fixed(host, name, plug.network, one.ip, "", spot) for one, spot in given
            ]
        if networks:
            spot = document.spot(("Network",))
            found.containers.append(Container(host, name, RUNTIME, tuple(networks), spot, document))
    for name, members in made.items():
        lease = any(
            machine == name_of(document) and Link(host, pattern, Spot("")).fits(plug.inside)
            for document, plug, _ in members
            for machine, pattern in leased
            if pattern
        )
        found.networks.append(_network(host, name, members, links, lease=lease))
    return found


def _network(
    host: str,
    name: str,
    members: Sequence[tuple[Document, Plug, list[Link]]],
    links: Sequence[Link],
    *,
    lease: bool,
) -> Network:
    """Return the network that ``members`` are in: containers, each with its plug and interfaces."""
    document, plug, _ = members[0]
    inner = [link for _, _, own in members for link in own]
    given = [one for link in inner for one in link.addresses]
    defaults = [route for link in inner for route in link.defaults]
    vlan = _vlan(plug.parent, links) if plug.driver == "vlan" else None
    key = next((key for key, (driver, _, _) in CHILDREN.items() if driver == plug.driver), "")
    place = ("Network", key or ("Bridge" if plug.driver == "bridge" else "Interface"))
    return Network(
        host=host,
        runtime=RUNTIME,
        name=name,
        driver=plug.driver,
        parent=vlan[0] if vlan else plug.parent,
        mode=plug.mode,
        flag="",
        mtu=None,
        pools=(),
        ipam="static" if given else "dhcp" if lease else "",
        document=document,
        place=("Network",),
        keys=dict.fromkeys(("name", "type", "master", "mode"), place),
        tag=vlan[1] if vlan else None,
        routes=tuple(_routes(defaults)),
        given=tuple(_pool(one, spot, defaults) for one, spot in given),
    )


def _vlan(name: str, links: Sequence[Link]) -> tuple[str, int] | None:
    """Return the NIC below a VLAN interface and the tag, None for what is none."""
    known = next((one for one in links if one.name == name and one.vlan is not None), None)
    base, dot, tag = name.rpartition(".")
    if known is not None and known.vlan is not None:
        return (known.lower or base, known.vlan) if known.lower or base else None
    plain = tag.isascii() and tag.isdigit() and 0 < len(tag) < 5 and 0 < int(tag) < 4095
    return (base, int(tag)) if dot and base and plain else None


def _pool(interface: Interface, spot: Spot, defaults: Sequence[DefaultRoute]) -> Pool:
    near = (one for one in defaults if one.gateway in interface.network)
    route = next(near, None)
    return Pool(
        *(interface.network, interface.ip, interface.ip, True, spot),
        gateway=route.gateway if route else None,
        gateway_spot=route.spot if route else Spot(""),
    )


def _routes(defaults: Sequence[DefaultRoute]) -> Iterator[ToldRoute]:
    """Yield the default route of each family: the first that a container's unit says."""
    said: set[int] = set()
    for route in defaults:
        to = as_subnet("0.0.0.0/0" if route.gateway.version == 4 else "::/0")
        if to is not None and route.gateway.version not in said:
            said.add(route.gateway.version)
            yield ToldRoute(to, route.gateway, route.spot)
