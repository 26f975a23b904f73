"""Addresses that a lab's node has and its host's files don't say: which, and how to say them."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

from underlay.errors import Spot
from underlay.fleet.carried.values import Carried
from underlay.fleet.carried.wires import Wire, marks_of
from underlay.fleet.host import Host
from underlay.plan.naming import node_address

# What a file of each kind says for an address, and where; the first kind that a host has counts.
SAID = {
    "networkd": "`Address={0}` in [Network] of the unit for {1}",
    "netplan": "`addresses: [{0}]` below {1}",
    "keyfile": "`address1={0}` in [ipv4] of the profile of {1}",
    "ifupdown": "`address {0}` below `iface {1} inet static`",
}
ELSE = "`Address={0}` in [Network] of a file etc/systemd/network/10-{1}.network"


def put_given(carried: Carried, host: Host, number: int, found: Sequence[Wire]) -> None:
    """Say what the lab's node has for an address where no file of ``host`` gives it one.

    Each node of a lab has a NIC in each segment, with an IPv4 address of the segment's subnet:
    lab/model.py, Segment. ``number`` is the node's, from 1.
    """
    names = list(carried.lab["segments"])
    node = carried.lab["nodes"]["names"][number - 1]
    own = carried.lab["nodes"].get("interfaces", {}).get(node, {})
    for name, wire in zip(names, found, strict=False):
        if carried.lab["segments"][name].get("interface", f"eth{names.index(name) + 1}") in own:
            # Its files configure the NIC: what they say of it, the node has, and no more.
            continue
        nic = next((nic for other, nic in wire.ports if other == host.name), wire.nic)
        if any(vlan is None and subnet.version == 4 for (vlan, subnet), _ in marks_of(host, nic)):
            continue
        subnet = ip_network(carried.lab["segments"][name]["subnet"])
        if subnet.num_addresses < number + 12:
            continue
        address = f"{node_address(subnet, number)}/{subnet.prefixlen}"
        kinds = [document.kind for document in host.documents]
        said = SAID.get(next((kind for kind in SAID if kind in kinds), ""), ELSE)
        text = (
            f"{host.name} has {address} on {nic}, which no file of its gives it: a lab's node has"
            f" an address in each segment; to say one, write {said.format(address, nic)}"
        )
        link = host.link(nic)
        spot = link.spot if link is not None else Spot(host.documents[0].file)
        carried.assume(("segments", name), text, spot, weighty=True)
