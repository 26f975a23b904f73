"""A host's own interfaces as systemd-networkd has them: systemd.network(5), systemd.netdev(5)."""

from __future__ import annotations

from underlay.errors import Spot
from underlay.fleet.document import Document, number
from underlay.fleet.formats.ini import Settings, settings
from underlay.fleet.host import DefaultRoute, Interface, Link, as_address, as_interface, as_subnet

# The settings of [Network] that ask for an interface above this one.
_PLACES = (
    ("mtu", "Link", "MTUBytes"),
    ("mtu", "NetDev", "MTUBytes"),
    ("mac", "Link", "MACAddress"),
    ("mac", "NetDev", "MACAddress"),
    ("vlan", "VLAN", "Id"),
    ("mode", "MACVLAN", "Mode"),
)
STACKED = ("VLAN", "MACVLAN", "IPVLAN", "MACVTAP", "IPVTAP")


def networkd_link(host: str, document: Document) -> Link | None:
    """Return the interface that a .network or .netdev file is about; None where it names none."""
    said = settings(document)
    netdev = document.name.endswith(".netdev")
    named = said.last(*(("NetDev", "Name") if netdev else ("Match", "Name")))
    if named is None and (netdev or not any(name == "Match" for name, _ in said.sections)):
        return None
    mac = said.last("NetDev" if netdev else "Link", "MACAddress")
    return Link(
        host=host,
        # What is matched by its MAC address or type alone may have any name.
        name=named.value if named else "*",
        spot=document.at(named.line) if named else document.spot(),
        addresses=tuple(_addresses(document, said)),
        mtu=number(said.value("NetDev", "MTUBytes") or said.value("Link", "MTUBytes")),
        mac=mac.value if mac else "",
        vlan=number(said.value("VLAN", "Id")) if netdev else None,
        routes=tuple(
            subnet
            for entry in said.every("Route", "Destination")
            if (subnet := as_subnet(entry.value)) is not None
        ),
        defaults=tuple(_defaults(document, said)),
        hops=tuple(
            (to, via)
            for route in said.groups("Route")
            if (to := as_subnet(route["Destination"].value if "Destination" in route else None))
            and (via := as_address(route["Gateway"].value if "Gateway" in route else None))
        ),
        kind=said.value("NetDev", "Kind").lower() if netdev else "",
        master=said.value("Network", "Bond") or said.value("Network", "Bridge"),
        bond_mode=said.value("Bond", "Mode") if netdev else "",
        mode=_mode(said) if netdev else "",
        spots={
            name: document.at(entry.line)
            for name, section, key in _PLACES
            if (entry := said.last(section, key)) is not None
        },
    )


def _mode(said: Settings) -> str:
    """Return a child's mode; without a word the kernel takes vepa for a macvlan: ip-link(8)."""
    kind = said.value("NetDev", "Kind").lower()
    return said.value(kind.upper(), "Mode").lower() or ("vepa" if kind == "macvlan" else "")


def _addresses(document: Document, said: Settings) -> list[tuple[Interface, Spot]]:
    found: list[tuple[Interface, Spot]] = []
    for section in ("Network", "Address"):
        for entry in said.every(section, "Address"):
            interface = as_interface(entry.value)
            if interface is not None and interface.ip.is_unspecified:
                continue  # networkd takes a free subnet of that size
            if interface is not None:
                found.append((interface, document.at(entry.line)))
            else:
                message = f"{entry.value[:60]!r} is no address with a prefix length"
                cure = "write Address=192.168.70.11/24"
                document.report("networkd-address", document.at(entry.line), message, cure)
    return found


def _defaults(document: Document, said: Settings) -> list[DefaultRoute]:
    """Return the default routes of a .network file, from [Network] and from each [Route]."""
    found = [
        DefaultRoute(gateway, None, document.at(entry.line))
        for entry in said.every("Network", "Gateway")
        if (gateway := as_address(entry.value)) is not None
    ]
    for route in said.groups("Route"):
        gateway = as_address(route["Gateway"].value) if "Gateway" in route else None
        to = route["Destination"].value if "Destination" in route else "0.0.0.0/0"
        table = route["Table"].value if "Table" in route else "main"
        subnet = as_subnet(to)
        if gateway is None or subnet is None or subnet.prefixlen or table not in ("main", "254"):
            continue
        metric = number(route["Metric"].value) if "Metric" in route else None
        on_link = bool({"GatewayOnLink", "GatewayOnlink"} & set(route))
        spot = document.at(route["Gateway"].line)
        found.append(DefaultRoute(gateway, metric, spot, on_link))
    return found


def wanted_vlans(documents: list[Document]) -> dict[str, str]:
    """Return which interfaces the .network files ask for, with the interface below each."""
    found = {}
    for document in documents:
        if document.name.endswith(".network"):
            said = settings(document)
            for entry in said.every("Network", *STACKED):
                for name in entry.value.split():
                    found[name] = said.value("Match", "Name")
    return found
