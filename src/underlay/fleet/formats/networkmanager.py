"""A host's own interfaces as NetworkManager's keyfiles have them: nm-settings-keyfile(5)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from underlay.errors import Spot
from underlay.fleet.document import Document, number
from underlay.fleet.formats.ini import Setting, Settings, settings
from underlay.fleet.host import (
    Address,
    DefaultRoute,
    Interface,
    Link,
    Subnet,
    as_address,
    as_interface,
    as_subnet,
)

_PLACES = (("mtu", "mtu"), ("mac", "cloned-mac-address"), ("vlan", "id"), ("lower", "parent"))
# Older names of sections count as well, and those of 1.46 and later.
KIND = {kind: kind for kind in ("vlan", "bond", "bridge", "macvlan")}
WIRED = ("ethernet", "802-3-ethernet")
ADDRESS = re.compile(r"addresse?s?[0-9]*")
ROUTE = re.compile(r"routes?[0-9]*")


def keyfile_link(host: str, document: Document) -> Link | None:
    """Return the interface that a keyfile is about; None for one that is no interface's."""
    said = settings(document)
    if not said.sections:
        return None
    named = said.last("connection", "interface-name")
    mtu = next((said.value(section, "mtu") for section in (*WIRED, "vlan", "bond", "bridge",
                "wifi") if said.value(section, "mtu")), "")  # fmt: skip
    vlan = said.last("vlan", "id")
    macs = (said.value(section, "cloned-mac-address") for section in WIRED)
    mac = next((mac for mac in macs if re.match("[0-9A-Fa-f]{2}[:-]", mac)), "")
    return Link(
        host=host,
        # A profile without a name fits whatever interface comes.
        name=named.value if named else said.value("vlan", "interface-name") or "*",
        spot=document.at(named.line) if named else document.spot(),
        addresses=tuple(_addresses(document, said)),
        mtu=number(mtu) or None,
        mac=mac,
        vlan=number(vlan.value) if vlan else None,
        lower=said.value("vlan", "parent") or said.value("macvlan", "parent"),
        routes=tuple(_routes(said)),
        defaults=tuple(_defaults(document, said)),
        spots={
            name: document.at(entry.line)
            for entry in said.entries
            for name, key in _PLACES
            if entry.key == key and entry.section != "connection"
        },
        hops=tuple(_hops(said)),
        kind=KIND.get(said.value("connection", "type"), ""),
        master=said.value("connection", "controller", "master"),
        bond_mode=said.value("bond", "mode") or _option(said.value("bond", "options"), "mode"),
    )


def _option(text: str, name: str) -> str:
    """Return one of the options that older keyfiles list in one line: mode=1,miimon=100."""
    pairs = (part.partition("=") for part in text.split(","))
    return next((value.strip() for key, _, value in pairs if key.strip() == name), "")


def address_entries(said: Settings) -> Iterator[tuple[str, Setting]]:
    """Yield each address of a keyfile as text, without the gateway that may stand behind it."""
    for entry in said.entries:
        if entry.section in ("ipv4", "ipv6") and ADDRESS.fullmatch(entry.key):
            parts = (
                entry.value.split(";") if entry.key in ("addresses", "address") else [entry.value]
            )
            for part in parts:
                if part.strip():
                    yield part.partition(",")[0].strip(), entry


def _addresses(document: Document, said: Settings) -> Iterator[tuple[Interface, Spot]]:
    for text, entry in address_entries(said):
        interface = as_interface(text)
        if interface is not None:
            yield interface, document.at(entry.line)


def _routes(said: Settings) -> Iterator[Subnet]:
    for entry in said.entries:
        if entry.section in ("ipv4", "ipv6") and ROUTE.fullmatch(entry.key):
            subnet = as_subnet(entry.value.partition(",")[0].strip())
            if subnet is not None:
                yield subnet


def _hops(said: Settings) -> Iterator[tuple[Subnet, Address]]:
    for entry in said.entries:
        if entry.section in ("ipv4", "ipv6") and ROUTE.fullmatch(entry.key):
            to, _, rest = entry.value.partition(",")
            subnet, via = as_subnet(to.strip()), as_address(rest.partition(",")[0].strip())
            if subnet is not None and via is not None:
                yield subnet, via


def _defaults(document: Document, said: Settings) -> Iterator[DefaultRoute]:
    for section in ("ipv4", "ipv6"):
        if said.value(section, "never-default").lower() in ("true", "1", "yes"):
            continue
        metric = number(said.value(section, "route-metric"))
        for entry in said.every(section, "gateway"):
            gateway = as_address(entry.value)
            if gateway is not None:
                yield DefaultRoute(gateway, metric, document.at(entry.line))
        for entry in said.entries:
            _, comma, behind = entry.value.partition(",")
            gateway = as_address(behind.strip()) if comma else None
            if entry.section == section and ADDRESS.fullmatch(entry.key) and gateway is not None:
                yield DefaultRoute(gateway, metric, document.at(entry.line))
