"""Addresses and routes of hosts' own interfaces, for nodes that have the hosts' files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from underlay.drivers import DRIVERS
from underlay.errors import Spot
from underlay.fleet.carried.values import Carried
from underlay.fleet.carried.wires import Port, Uplink
from underlay.fleet.host import Host, Link
from underlay.plan.naming import vlan_link_name

# What only makes an interface, and configures nothing of it: systemd.netdev(5).
MAKES = ".netdev"


def put_interfaces(
    carried: Carried,
    hosts: Sequence[Host],
    nodes: dict[str, str],
    uplinks: Sequence[Uplink],
    segments: dict[Port, str],
) -> None:
    """Say what the interfaces have that hosts' files configure; ``nodes`` are the lab's by host.

    ``segments`` are the lab's by the NICs that are in them. A NIC that no file configures is left
    to the plan.
    """
    for host in hosts:
        for name, called in _interfaces(carried, host, uplinks, segments):
            links = links_of(host, name)
            if name != called:
                spot = _spot(links) if links else _parent_spot(host, name)
                carried.renamed.append((nodes[host.name], name, called, spot))
            place = ("nodes", "interfaces", nodes[host.name], called)
            if links:
                carried.put(place, said_of(carried, host, name, links), _spot(links))
            elif (host.name, name) not in segments:
                # Whatever makes the sub-interface, nothing gives it an address.
                carried.put(place, {"addresses": []})


def _parent_spot(host: Host, name: str) -> Spot:
    """Return where a network of the host's names the interface that it sits on."""
    spots = (one.spot("master") for one in host.networks if one.parent == name)
    return next(spots, Spot(host.documents[0].file))


def links_of(host: Host, name: str) -> list[Link]:
    """Return what configures the host's interface of that name: what names it, else what fits."""
    able = [one for one in host.links if not one.spot.file.endswith(MAKES)]
    exact = [one for one in able if one.name == name]
    return exact or [one for one in able if one.fits(name)]


def _interfaces(
    carried: Carried, host: Host, uplinks: Sequence[Uplink], segments: dict[Port, str]
) -> Iterator[tuple[str, str]]:
    """Yield each of the host's interfaces that the lab has, and what the lab calls it."""
    lab = carried.lab
    nics = {
        name: entry.get("interface", f"eth{number}")
        for number, (name, entry) in enumerate(lab["segments"].items(), 1)
    }
    seen: set[str] = set()
    for (name, nic), segment in segments.items():
        if name == host.name:
            yield nic, nics[segment]
    for uplink in uplinks:
        network = uplink.network
        if network.host != host.name:
            continue
        if uplink.through and uplink.port in segments and uplink.through not in seen:
            seen.add(uplink.through)
            segment = segments[uplink.port]
            own = vlan_link_name(nics[segment], uplink.vlan or 0)
            if DRIVERS[network.driver].attach != "moved":
                yield uplink.through, _called(lab, segment, uplink.vlan) or own
        if network.bridge and DRIVERS[network.driver].bridges_uplink and network.bridge not in seen:
            seen.add(network.bridge)
            yield network.bridge, network.bridge


def _called(lab: dict[str, Any], segment: str, vlan: int | None) -> str:
    """Return what a network calls the sub-interface of a VLAN, which is one whoever sits on it."""
    names = (
        entry["interface"]
        for entry in lab["networks"].values()
        if (entry.get("segment"), entry.get("vlan")) == (segment, vlan) and "interface" in entry
    )
    return next(names, "")


def said_of(carried: Carried, host: Host, name: str, links: Sequence[Link]) -> dict[str, Any]:
    """Return an interface's addresses and routes in a lab's words: see lab/model.py."""
    addresses: dict[int, str] = {}
    for link in links:
        for interface, spot in link.addresses:
            if interface.ip.is_link_local:
                continue
            if interface.version in addresses:
                what = f"the address {interface} of {host.name} on {name}"
                why = f"a lab's nodes have one of each family: {addresses[interface.version]}"
                carried.leave(spot, what, why)
            else:
                addresses[interface.version] = str(interface)
    routes = {(one["to"], one.get("via")): one for link in links for one in _routes(link)}
    said: dict[str, Any] = {"addresses": [addresses[version] for version in sorted(addresses)]}
    return said | ({"routes": list(routes.values())} if routes else {})


def _routes(link: Link) -> Iterator[dict[str, str]]:
    hops = {to for to, _ in link.hops}
    for subnet in link.routes:
        if subnet not in hops and subnet.prefixlen:
            yield {"to": str(subnet)}
    for to, via in link.hops:
        if to.prefixlen:
            yield {"to": str(to), "via": str(via)}
    defaults = sorted(link.defaults, key=lambda route: route.metric or 0)
    families = {route.gateway.version: route for route in reversed(defaults)}
    for version, route in sorted(families.items()):
        everywhere = "0.0.0.0/0" if version == 4 else "::/0"
        yield {"to": everywhere, "via": str(route.gateway)}


def _spot(links: Sequence[Link]) -> Spot:
    """Return where the interface's first address is, or where it is configured."""
    return next((spot for link in links for _, spot in link.addresses), links[0].spot)
