"""What libvirtd holds of a lab beside its machines: networks and the folder of their disks.

A segment is an isolated network without addresses, so that libvirt adds neither DHCP
nor routes nor firewall rules to it. Management is a network per node with the plan's
/30 between node and host: nodes can't reach each other over it, and no DHCP is needed.
All of it is transient: gone after a restart of this machine, and never written to
/etc/libvirt.
"""

from __future__ import annotations

from ipaddress import IPv4Interface
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from underlay.cluster.providers.libvirt.own import uri_of
from underlay.cluster.providers.libvirt.virsh import identity, known, virsh
from underlay.errors import Infrastructure

if TYPE_CHECKING:
    from pathlib import Path

    from underlay.plan import Plan, PlannedNode


def pool_name(plan: Plan) -> str:
    """Return the name of the lab's storage pool."""
    return f"underlay-{plan.lab}"


def segment_network(plan: Plan, segment: str) -> str:
    """Return the name of a segment's network."""
    return f"underlay-{plan.lab}-{segment}"


def management_network(plan: Plan, node: PlannedNode) -> str:
    """Return the name of a node's management network; no segment's name has an underscore."""
    return f"underlay-{plan.lab}-mgmt_{node.index}"


def make(plan: Plan, state: Path) -> None:
    """Make every network and the pool that libvirtd doesn't have yet."""
    folder = state / "libvirt"
    (folder / "disks").mkdir(parents=True, exist_ok=True)
    uri = uri_of(state)
    there = known(uri, "net")
    for name, text in networks(plan, state).items():
        if identity(state, "net", name) not in there:
            _create(uri, "net", folder / f"{name}.xml", text)
    if identity(state, "pool") not in known(uri, "pool"):
        _create(uri, "pool", folder / "pool.xml", pool(plan, state))


def stands(plan: Plan, state: Path) -> bool:
    """Whether libvirtd still has all that ``make`` made."""
    wanted = {identity(state, "net", name) for name in networks(plan, state)}
    uri = uri_of(state)
    return wanted <= known(uri, "net") and identity(state, "pool") in known(uri, "pool")


def remove(plan: Plan, state: Path) -> None:
    """End the lab's pool and networks, by identity."""
    uri = uri_of(state)
    ours = {identity(state, "net", name) for name in networks(plan, state)}
    for network in sorted(ours & known(uri, "net")):
        virsh(uri, "net-destroy", network)
    if identity(state, "pool") in known(uri, "pool"):
        virsh(uri, "pool-destroy", identity(state, "pool"))


def networks(plan: Plan, state: Path) -> dict[str, str]:
    """Return libvirt's XML for each network of the lab, by name."""
    found = {}
    for segment in plan.segments:
        name = segment_network(plan, segment.name)
        found[name] = _network(name, state, segment.bridge, f"<mtu size='{segment.mtu}'/>")
    for node in plan.nodes:
        name = management_network(plan, node)
        network = IPv4Interface(node.management.address).network
        address = f"<ip address='{node.management_peer}' netmask='{network.netmask}'/>"
        found[name] = _network(name, state, f"br-mgmt_{node.index}", address)
    return found


def pool(plan: Plan, state: Path) -> str:
    """Return libvirt's XML for the pool of the nodes' disks, a folder in the lab's state."""
    return (
        f"<pool type='dir'><name>{pool_name(plan)}</name>"
        f"<uuid>{identity(state, 'pool')}</uuid>"
        f"<target><path>{escape(str(state / 'libvirt' / 'disks'))}</path></target></pool>\n"
    )


def _network(name: str, state: Path, bridge: str, more: str) -> str:
    return (
        f"<network><name>{name}</name><uuid>{identity(state, 'net', name)}</uuid>"
        f"<bridge name={quoteattr(bridge)} stp='off' delay='0'/><dns enable='no'/>"
        f"{more}</network>\n"
    )


def _create(uri: str, kind: str, file: Path, text: str) -> None:
    file.write_text(text)
    try:
        virsh(uri, f"{kind}-create", str(file))
    except Infrastructure as error:
        raise Infrastructure(
            f"libvirt could not make {file.stem}",
            detail=error.detail,
            hint="another lab may be up on libvirt: they share management addresses and the"
            " names of bridges\nunderlay down --all",
        ) from error
