"""The plan: every name, MAC address, IP address, VLAN and file name that a lab leads to.

``make_plan`` is pure and deterministic: the same lab gives the same plan on any
machine. All values are frozen dataclasses of the standard library, so that the
plan's JSON can be read back without any third-party import.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from underlay.plan.containers import by_group, plan_containers
from underlay.plan.filters import with_filters
from underlay.plan.hosts import plan_hosts, with_services
from underlay.plan.naming import OWN_MACS, archive_name, bridge_name, node_names, port_name
from underlay.plan.networks import plan_network
from underlay.plan.nodes import plan_node
from underlay.plan.statements import with_statements
from underlay.plan.switch import plan_switch, port_vlans
from underlay.plan.values import (
    Nic,
    Plan,
    PlannedImage,
    PlannedNetwork,
    PlannedNode,
    PlannedOrigin,
    PlannedSegment,
    VlanLink,
)

if TYPE_CHECKING:
    from underlay.lab import Lab
    from underlay.plan.addresses import Cidr

NET_D = "/etc/rkt/net.d"
# What a segment's plan has as the lab says it.
AS_WRITTEN = {"mtu", "hairpin", "isolated", "locked", "snooping", "querier", "unknown_multicast"}


def make_plan(lab: Lab, *, macs: str = OWN_MACS) -> Plan:
    """Return the plan of a checked lab, whose containers' own MAC addresses begin with ``macs``.

    A network's subnet is cut into equal blocks, a power of two in number: the
    first belongs to gateways and to the nodes themselves, the following ones to
    the nodes in order. So host-local and Docker, which both know only their own
    node, cannot hand out one address twice.
    """
    names = node_names(lab.nodes)
    segments = tuple(
        PlannedSegment(
            **segment.model_dump(include=AS_WRITTEN),
            name=name,
            bridge=bridge_name(name),
            subnet=str(segment.subnet),
            ports={node: port_name(name, i) for i, node in enumerate(names, 1)},
            subnet6=str(segment.subnet6 or ""),
            vlans=port_vlans(segment, [*names, *(h for h in lab.hosts if name in lab.hosts[h].on)]),
        )
        for name, segment in lab.segments.items()
    )
    networks = tuple(
        plan_network(lab, name, network, names) for name, network in lab.networks.items()
    )
    nodes = tuple(plan_node(lab, name, i, segments, networks) for i, name in enumerate(names, 1))
    containers = plan_containers(lab, nodes, networks, macs)
    hosts = plan_hosts(lab, networks)
    plan = Plan(
        lab=lab.name,
        user=lab.user,
        nodes=nodes,
        segments=segments,
        networks=networks,
        containers=containers,
        hosts=with_services(lab, hosts, networks, nodes, containers),
        checks=tuple(dict.fromkeys(lab.checks)),
        protocols=tuple(dict.fromkeys(lab.protocols)),
        switch=plan_switch(lab, segments, nodes, hosts),
        origins=tuple(
            PlannedOrigin(one.network, one.node, one.what, one.spot.file, one.spot.line)
            for one in lab.own.origins
        ),
    )
    own = {node.name: tuple(chain(*own_addresses(node).values())) for node in nodes}
    return with_images(with_statements(lab, with_filters(lab, plan, own)), lab)


def with_images(plan: Plan, lab: Lab) -> Plan:
    """Return ``plan`` with the images of ``lab``: its nodes' own one, and its containers'.

    Where these files are makes no difference to anything else.
    """
    own = lab.image
    image = PlannedImage(own.path, own.kernel or "", own.initrd or "") if own else None
    archives = lab.archives
    groups = {name: group for group, name in by_group(lab, plan.nodes)}
    containers = (
        replace(one, archive=archive_name(archives.index(path)))
        if (path := groups[one.name].image)
        else one
        for one in plan.containers
    )
    return replace(plan, image=image, images=archives, containers=tuple(containers))


def parent_address(plan: Plan, node: PlannedNode, network: PlannedNetwork, family: int = 4) -> str:
    """Return ``node``'s own address (no prefix length) in the cells of ``network``.

    That is its shim's, or its parent's where it has no shim. Empty where the node has none of
    that ``family``, and where it lacks the VLAN that the network is in.
    """
    addresses = own_addresses(node)
    lacking = network.shim and network.own not in addresses
    name = network.uplink if lacking else network.own
    found = addresses.get(name) or addresses.get(_other_name(node, network), ())
    return next((address.ip for address in found if address.family == family), "")


def _other_name(node: PlannedNode, network: PlannedNetwork) -> str:
    """Return what a node calls the VLAN of ``network`` that it hasn't by the network's name."""
    if any(link.interface == network.uplink for link in node.vlans):
        return ""
    here = (network.nic, network.vlan)
    return next((one.interface for one in node.vlans if (one.link, one.vlan) == here), "")


def asking_address(plan: Plan, node: PlannedNode, network: PlannedNetwork, family: int = 4) -> str:
    """Return the address by which ``node`` asks, and is asked, in the cells of ``network``.

    A node with files of its user's own may have none on that network's parent, and any node may
    lack the VLAN that the network is in. Then it is its NIC's there, or another NIC's: it is a
    station of the underlay all the same.
    """
    own = parent_address(plan, node, network, family)
    addresses = own_addresses(node)
    lacks = bool(network.uplink) and network.uplink not in addresses
    if own or not (node.own or lacks):
        return own
    found = [*addresses.get(network.nic, ()), *chain(*(addresses[n.interface] for n in node.nics))]
    return next((address.ip for address in found if address.family == family), "")


def own_addresses(node: PlannedNode) -> dict[str, tuple[Cidr, ...]]:
    """Return a node's addresses, with their prefix lengths, by interface.

    An interface that a bridge holds stands for that bridge's addresses.
    """
    cards: tuple[Nic | VlanLink, ...] = (*node.nics, *node.vlans, node.management)
    found = {card.interface: card.addresses for card in cards}
    for link in node.links:
        found[link.interface] = link.addresses
        if link.kind == "bridge" and link.parent:
            found[link.parent] = link.addresses
    return found
