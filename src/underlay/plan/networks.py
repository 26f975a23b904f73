"""What a network of the lab becomes: its parent, uplink, gateway and slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.drivers import DRIVERS
from underlay.plan.addresses import address_blocks, blocks
from underlay.plan.naming import default_file, link_name, parent_name
from underlay.plan.values import ContainerRoute, PlannedNetwork

if TYPE_CHECKING:
    from underlay.lab import Lab, Network

MANAGEMENT = "eth0"
MANAGEMENT_SEGMENT = "management"


def plan_network(lab: Lab, name: str, network: Network, nodes: list[str]) -> PlannedNetwork:
    """Return what the network called ``name`` leads to on ``nodes``."""
    driver = DRIVERS[network.driver]
    uplink, segment, vlan = _uplink(lab, network)
    closed = is_closed(network)
    own = own_address_on(network, name, uplink)
    parent = _parent(network, name, uplink)
    gateway = network.gateway or (network.subnet[1] if _is_gateway(network) else "")
    gateway6 = network.gateway6 or (
        network.subnet6[1] if network.subnet6 and _is_gateway(network) else ""
    )
    file = network.file or default_file(list(lab.networks).index(name), name)
    return PlannedNetwork(
        name=name,
        driver=network.driver,
        mode=network.mode or driver.default_mode,
        runtime=network.runtime,
        segment="" if network.internal else segment,
        vlan=vlan,
        parent=parent,
        subnet=str(network.subnet),
        gateway=str(gateway),
        default_route=network.default_route or ("gateway" if network.nat else "on-link"),
        mtu=network.mtu or _mtu(lab, network, segment),
        file=file if network.runtime == "cni" else "",
        slices=address_blocks(network, nodes),
        flag=network.flag or driver.default_flag,
        uplink="" if closed else uplink,
        own=own,
        subnet6=str(network.subnet6 or ""),
        gateway6=str(gateway6),
        slices6=blocks(network.subnet6, nodes, sliced=network.sliced) if network.subnet6 else {},
        routes=tuple(ContainerRoute(route.to, route.via or "") for route in network.routes),
        reserved=tuple(map(str, network.reserved)),
        routed=network.routed,
        internal=network.internal,
        shim=link_name("sh", name) if network.shim else "",
        nat=network.nat,
        vni=network.vni or 0,
        port=network.port if "port" in driver.keys else 0,
        group=str(network.group or ""),
        key=network.key,
        ipam=network.ipam or "",
        slaac=network.slaac,
        attach=driver.attach,
        own_mac=driver.own_mac,
    )


def is_closed(network: Network) -> bool:
    """Whether no frame of the network leaves its node."""
    return network.internal or network.nat


def own_address_on(network: Network, name: str, uplink: str) -> str:
    """Return the interface whose address stands for a node in the network's cells."""
    if network.shim:
        return link_name("sh", name)
    driver = DRIVERS[network.driver]
    if driver.overlay:
        return link_name("br", name)
    if driver.bridges_uplink and not is_closed(network):
        return link_name("br", uplink)
    if driver.attach == "moved" or is_closed(network):
        return uplink.partition(".")[0]
    return uplink


def _uplink(lab: Lab, network: Network) -> tuple[str, str, int | None]:
    """Return NIC or VLAN link, segment and VLAN; an internal network may name none of them."""
    interfaces = {
        name: parent_name(i, bonded=bool(segment.bond))
        for i, (name, segment) in enumerate(lab.segments.items(), 1)
    }
    base = network.parent or interfaces[network.segment or next(iter(lab.segments))]
    base, _, tag = base.partition(".")
    vlan = network.vlan or (int(tag) if tag else None)
    owner = {interface: segment for segment, interface in interfaces.items()}
    return f"{base}.{vlan}" if vlan else base, owner.get(base, MANAGEMENT_SEGMENT), vlan


def _parent(network: Network, name: str, uplink: str) -> str:
    driver = DRIVERS[network.driver]
    if driver.bridges_uplink and not is_closed(network):
        return link_name("br", uplink)
    if driver.attach == "port":
        return link_name("br", name)
    if network.internal:
        return link_name("dm", name)
    return uplink.partition(".")[0] if driver.attach == "moved" else uplink


def _is_gateway(network: Network) -> bool:
    """A bridge without uplink has the gateway's address on every node, as CNI and Docker do it."""
    return DRIVERS[network.driver].bridges_uplink and is_closed(network)


def _mtu(lab: Lab, network: Network, segment: str) -> int:
    below = lab.segments[segment].mtu if segment in lab.segments else 1500
    overlay = DRIVERS[network.driver].overlay
    if overlay is None:
        return below
    given = [more for key, more in overlay.overhead_of.items() if getattr(network, key) is not None]
    return below - overlay.overhead - sum(given)
