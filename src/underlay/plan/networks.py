"""What a network of the lab becomes: its parent, uplink, gateway and slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from underlay.plan.naming import default_file, link_name
from underlay.plan.pools import plan_pools
from underlay.plan.uplinks import Uplinks, segment_interfaces
from underlay.plan.values import ContainerRoute, PlannedNetwork

if TYPE_CHECKING:
    from underlay.lab import Lab, Network

# What a network's plan has as the lab says it.
AS_WRITTEN = {"driver", "runtime", "routed", "internal", "nat", "key", "slaac"}
MANAGEMENT = "eth0"
MANAGEMENT_SEGMENT = "management"


def plan_network(lab: Lab, name: str, network: Network, nodes: list[str]) -> PlannedNetwork:
    """Return what the network called ``name`` leads to on ``nodes``."""
    driver = network.traits
    below = _below(lab, network)
    parent = _parent(network, name, below)
    file = network.file or default_file(list(lab.networks).index(name), name)
    return PlannedNetwork(
        **network.model_dump(include=AS_WRITTEN),
        name=name,
        mode=network.used_mode,
        segment="" if network.internal else below.segment,
        vlan=below.vlan,
        parent=parent,
        pools=plan_pools(lab, name, network, nodes),
        default_route=network.default_route or ("gateway" if network.nat else "on-link"),
        mtu=network.mtu or _mtu(lab, network, below.segment),
        file=file if network.runtime == "cni" else "",
        flag=network.flag or driver.default_flag,
        uplink="" if network.is_closed else below.uplink,
        own=_own(network, name, below, parent),
        routes=tuple(ContainerRoute(route.to, route.via or "") for route in network.routes),
        shim=_shim(network, name),
        vni=network.vni or 0,
        port=network.port if "port" in driver.keys else 0,
        group=str(network.group or ""),
        ipam=network.ipam or "",
        attach=driver.attach,
        own_mac=driver.own_mac,
        nic=below.nic,
        made_by=tuple(sorted(lab.own.makers.get(name, {}).items())),
    )


def _own(network: Network, name: str, below: Below, parent: str) -> str:
    """Return the interface whose address stands for a node in the network's cells."""
    if network.shim:
        return _shim(network, name)
    driver = network.traits
    if driver.overlay or (driver.bridges_uplink and not network.is_closed):
        return parent
    return below.nic if driver.attach == "moved" or network.is_closed else below.uplink


def _shim(network: Network, name: str) -> str:
    shim = network.own_shim
    return (shim.name or link_name("sh", name)) if shim else ""


class Below(NamedTuple):
    """What a network leaves a node by: the NIC, it or its VLAN link, the segment, the VLAN.

    ``bridge`` is what the bridge that holds the uplink is called, if any network says that.
    """

    nic: str
    uplink: str
    segment: str
    vlan: int | None
    bridge: str


def _below(lab: Lab, network: Network) -> Below:
    """Return what is below ``network``; an internal one may name none of it."""
    interfaces = segment_interfaces(list(lab.segments.items()))
    uplinks = Uplinks(interfaces, lab.networks.values())
    nic = uplinks.nic(network) or next(iter(interfaces.values()))
    vlan = uplinks.vlan(network)
    owner = {interface: segment for segment, interface in interfaces.items()}
    uplink = uplinks.name(nic, vlan)
    bridges = (
        one.bridge
        for one in lab.networks.values()
        if one.bridge and one.traits.bridges_uplink and not one.is_closed
        and uplinks.name(uplinks.nic(one), uplinks.vlan(one)) == uplink
    )  # fmt: skip
    return Below(nic, uplink, owner.get(nic, MANAGEMENT_SEGMENT), vlan, next(bridges, ""))


def _parent(network: Network, name: str, below: Below) -> str:
    driver = network.traits
    if driver.bridges_uplink and not network.is_closed:
        return below.bridge or link_name("br", below.uplink)
    if driver.attach == "port":
        return network.bridge or link_name("br", name)
    if network.internal:
        return link_name("dm", name)
    return below.nic if driver.attach == "moved" else below.uplink


def _mtu(lab: Lab, network: Network, segment: str) -> int:
    below = lab.segments[segment].mtu if segment in lab.segments else 1500
    overlay = network.traits.overlay
    if overlay is None:
        return below
    given = [more for key, more in overlay.overhead_of.items() if getattr(network, key) is not None]
    return below - overlay.overhead - sum(given)
