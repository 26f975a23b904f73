"""The VLAN sub-interfaces of each host: those that its files make, and none of other hosts'."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from underlay.drivers import DRIVERS
from underlay.errors import Spot
from underlay.fleet.carried.interfaces import links_of, said_of
from underlay.fleet.carried.values import Carried
from underlay.fleet.carried.wires import Port, Uplink
from underlay.fleet.host import Host
from underlay.lab.model import DEVICE
from underlay.plan.naming import vlan_link_name

# A VLAN of the lab: the segment, and the tag there.
Tag = tuple[str, int]


def put_vlans(
    carried: Carried,
    hosts: Sequence[Host],
    nodes: dict[str, str],
    uplinks: Sequence[Uplink],
    segments: dict[Port, str],
) -> None:
    """Say which VLANs each host has; ``nodes`` are the lab's by host, ``segments`` by NIC.

    A lab's node has every VLAN that some network is in. A host has those that its own files make,
    and those of its own networks, which Docker makes.
    """
    networks = _of_networks(carried.lab)
    for host in hosts:
        place = ("nodes", "interfaces", nodes[host.name])
        used = _used(host, uplinks, segments)
        own = dict(_own(carried, host, segments))
        for tag, called in networks.items():
            known = own.get(tag)
            there = tag in used or (known is not None and known[0] == called)
            if there or (known is not None and not carried.real):
                continue
            if called not in {name for name, _ in own.values()}:
                carried.put((*place, called), _lacking(carried, tag))
        for tag, (name, spot) in own.items() if carried.real else ():
            called = networks[tag] if tag in used and tag in networks else name
            said = {"segment": tag[0], "vlan": tag[1]}
            said |= said_of(carried, host, name, links_of(host, name))
            carried.put((*place, called), said, carried.origins.get((*place, called), spot))


def _of_networks(lab: dict[str, Any]) -> dict[Tag, str]:
    """Return what the lab's nodes call the VLANs that networks sit on."""
    nics = {
        name: entry.get("interface", f"eth{number}")
        for number, (name, entry) in enumerate(lab["segments"].items(), 1)
    }
    found: dict[Tag, str] = {}
    for entry in lab["networks"].values():
        driver, tag = DRIVERS[entry["driver"]], (entry.get("segment"), entry.get("vlan"))
        if None not in tag and driver.attach != "moved" and not entry.get("internal"):
            name = vlan_link_name(nics[tag[0]], tag[1])
            found[tag] = entry.get("interface") or found.get(tag) or name
    return found


def _used(host: Host, uplinks: Sequence[Uplink], segments: dict[Port, str]) -> set[Tag]:
    """Return the VLANs that the host's own networks are in."""
    return {
        (segments[uplink.port], uplink.vlan)
        for uplink in uplinks
        if uplink.vlan is not None and uplink.network.host == host.name and uplink.port in segments
    }


def _own(
    carried: Carried, host: Host, segments: dict[Port, str]
) -> Iterator[tuple[Tag, tuple[str, Spot]]]:
    """Yield the VLANs that the host's files make upon NICs of the lab: their names and lines."""
    seen: set[Tag] = set()
    for name, (nic, tag, spot) in host.vlans().items():
        segment = segments.get((host.name, nic))
        if segment is None:
            continue
        if not re.fullmatch(DEVICE, name) or not 1 <= tag <= 4094:
            why = "a lab has no interface of that name, or no such VLAN"
            carried.leave(spot, f"the interface {name} of {host.name}", why)
        elif (segment, tag) in seen:
            why = f"there is another one for VLAN {tag} of {nic}, and the kernel makes one"
            carried.leave(spot, f"the interface {name} of {host.name}", why)
        else:
            seen.add((segment, tag))
            yield (segment, tag), (name, spot)


def _lacking(carried: Carried, tag: Tag) -> dict[str, Any]:
    """Return what a lab says of a VLAN that a host hasn't.

    Without hosts' files every node gets every network, and engines want or make its parent.
    """
    runtimes = {
        entry["runtime"]
        for entry in carried.lab["networks"].values()
        if (entry.get("segment"), entry.get("vlan")) == tag
    }
    return {"absent": True} if carried.real or runtimes == {"cni"} else {"addresses": []}
