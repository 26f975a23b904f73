"""A host's own child on a network's parent, by which it reaches its containers: a shim."""

from __future__ import annotations

from collections.abc import Sequence

from underlay.drivers import DRIVERS
from underlay.errors import Spot
from underlay.fleet.carried.nets import Group
from underlay.fleet.carried.values import Carried
from underlay.fleet.host import Host

# How many addresses a lab's shim has at most.
MOST = 2
# The only mode of macvlan in which children of one parent hear each other.
HEARING = "bridge"
CHILDREN = tuple(name for name, driver in DRIVERS.items() if driver.attach == "child")


def put_shims(
    carried: Carried, groups: Sequence[Group], hosts: Sequence[Host], nodes: dict[str, str]
) -> None:
    """Say the shims that hosts' files make; ``nodes`` are the lab's names by host.

    A shim is a child of a network's driver on the network's own parent, with an address in one
    of its subnets.
    """
    for host in hosts:
        for name in dict.fromkeys(link.name for link in host.links if link.kind in CHILDREN):
            group = _group(groups, host, name)
            link = next(one for one in host.links if one.name == name and one.kind in CHILDREN)
            if group is not None and link.kind == "macvlan" and link.mode not in ("", HEARING):
                what = f"the interface {name} of {host.name} in mode {link.mode}"
                carried.leave(link.at("mode"), what, "it hears none of the host's own containers")
            elif group is not None:
                group = _with_shim(carried, groups, group, name)
                _put(carried, group, host, name, nodes[host.name])


def _with_shim(carried: Carried, groups: Sequence[Group], own: Group, name: str) -> Group:
    """Return the network that other hosts have that shim for: ``own``, or what it is apart from.

    What hosts contradict each other about may be two networks of a lab, and has one parent still.
    """
    for group in groups:
        alike = (group.segment, group.uplinks[0].vlan) == (own.segment, own.uplinks[0].vlan)
        shim = carried.lab["networks"][group.name].get("shim")
        if own.apart and group.first.name == own.first.name and alike and shim:
            return group if shim["name"] == name else own
    return own


def shim_names(carried: Carried) -> set[str]:
    """Return what the lab's shims are called."""
    shims = (entry.get("shim") for entry in carried.lab["networks"].values())
    return {shim["name"] for shim in shims if shim}


def _group(groups: Sequence[Group], host: Host, name: str) -> Group | None:
    """Return the network that a host's device of that name is a shim of."""
    links = [link for link in host.links if link.name == name]
    kind = next(link.kind for link in links if link.kind in CHILDREN)
    lower = next((link.lower for link in links if link.lower), "")
    addresses = [interface.ip for link in links for interface, _ in link.addresses]
    for group in groups:
        for uplink in group.uplinks:
            network = uplink.network
            here = network.host == host.name and lower == (uplink.through or uplink.nic)
            inside = any(
                address.version == pool.subnet.version and address in pool.subnet
                for address in addresses
                for pool in network.pools
            )
            if here and inside and network.driver == kind and network.wire_mode != "passthru":
                return group
    return None


def _put(carried: Carried, group: Group, host: Host, name: str, node: str) -> None:
    links = [link for link in host.links if link.name == name]
    found = [one for link in links for one in link.addresses]
    spot = found[0][1] if found else Spot("")
    place = ("networks", group.name, "shim")
    known = carried.lab["networks"][group.name].get("shim")
    routes = [str(subnet) for link in links for subnet in link.routes]
    if known and known["name"] != name:
        what = f"the shim {name} of {host.name}"
        carried.leave(spot, what, f"a network's shims have one name: {known['name']}")
        return
    addresses = [str(interface) for interface, _ in found]
    for text in addresses[MOST:]:
        carried.leave(spot, f"the address {text} of {name}", f"a lab's shim has at most {MOST}")
    shim = known or {"name": name, "addresses": {}, "routes": routes}
    if shim["routes"] != routes and isinstance(shim["routes"], list):
        shim["routes"] = dict.fromkeys(shim["addresses"], shim["routes"])
    if isinstance(shim["routes"], dict):
        shim["routes"][node] = routes
    shim["addresses"][node] = addresses[0] if len(addresses) == 1 else addresses[:MOST]
    carried.put(place, shim, spot)
    carried.origins[(*place, "name")] = next(link.spot for link in links)
    carried.origins[(*place, "addresses", node)] = spot
