"""What things are called and where nodes sit in a subnet: the rules that the plan follows.

They stand apart from the plan because a lab file is checked against them before
there is a plan to look at.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

    from underlay.lab import Containers, Nodes

    Subnet = IPv4Network | IPv6Network

# Where the probe itself answers TCP and UDP without a port of the lab's choice: below the range
# that the kernel picks client ports from (net.ipv4.ip_local_port_range).
PROBE_PORT = 27007
# IFNAMSIZ without its last byte, which is zero: Linux include/uapi/linux/if.h.
NAME_BYTES = 15
FIRST_HOST = 0xE0
# MAC addresses carry the NIC's number, or this plus the network's, in their third byte.
FIRST_NETWORK_LINK = 0x10
# How MAC addresses begin that a plan makes up.
OWN_MACS = "02:75"


def node_names(nodes: Nodes) -> list[str]:
    """Return the names of all nodes, in order."""
    if nodes.names:
        return list(nodes.names)
    return [f"{nodes.prefix}-{index:02d}" for index in range(1, nodes.count + 1)]


def archive_name(number: int) -> str:
    """Return what a node calls the archive of a container's image, which the lab names as such."""
    return f"{number:02}.tar"


def bridge_name(segment: str) -> str:
    """Return the name of a segment's bridge, cut to the kernel's 15 characters."""
    return f"br-{segment}"[:15]


def link_name(kind: str, name: str) -> str:
    """Return the name of a node's device of a ``kind``, two letters, for ``name``, cut to 15.

    Where a node has one for each peer, the peer's number follows the letters.
    """
    return f"{kind}-{name}"[:15]


def host_port_name(segment: str, index: int) -> str:
    """Return the name of the port of a segment's bridge for host ``index``, counted from 1."""
    return f"{segment[:10]}-x{index}"


def port_name(segment: str, index: int) -> str:
    """Return the name of the port of a segment's bridge for node ``index``, counted from 1."""
    return f"{segment[:10]}-{index}"


def vlan_link_name(nic: str, vlan: int) -> str:
    """Return the name of the sub-interface of ``nic`` for the 802.1q tag ``vlan``."""
    return f"{nic}.{vlan}"


def nic_and_tag(parent: str, nics: Iterable[str]) -> tuple[str, str]:
    """Return which NIC a lab file's ``parent`` names, and the tag behind its dot, if any.

    One of ``nics`` is meant as it stands, whatever dots it has. This is the only place where
    an interface's name is taken apart: from here on, NIC and tag are data.
    """
    if parent in nics:
        return parent, ""
    nic, dot, tag = parent.rpartition(".")
    return (nic, tag) if dot and tag.isdecimal() else (parent, "")


def second_port_name(segment: str, index: int) -> str:
    """Return the name of the port of the second NIC that a node's bond has in a segment."""
    return f"{segment[:10]}-{index}b"


def default_file(position: int, network: str) -> str:
    """Return the net.d file name of the network at ``position``, counted from 0."""
    return f"{10 + 10 * position}-{network}.conf"


def node_address(subnet: Subnet, index: int) -> IPv4Address | IPv6Address:
    """Return the address of node ``index``, from 1, in ``subnet``; IndexError where too small."""
    return subnet[10 + index]


def block_bits(count: int) -> int:
    """Return by how many bits a subnet's prefix grows to give ``count`` nodes a block each."""
    return count.bit_length()


def nodes_of(group: Containers, nodes: Iterable[str]) -> list[str]:
    """Return which of ``nodes`` the ``group`` puts containers on, in their order."""
    if group.on == "all":
        return list(nodes)
    places = {group.on} if isinstance(group.on, str) else {*group.on}
    return [node for node in nodes if node in places]


def alone_named(groups: Iterable[Containers], nodes: list[str]) -> set[str]:
    """Return the names that only one container has: it is called just that."""
    count: dict[str, int] = {}
    for group in groups:
        if group.name:
            on = len(nodes_of(group, nodes))
            count[group.name] = count.get(group.name, 0) + group.count * on
    return {name for name, containers in count.items() if containers == 1}


def letters(number: int) -> str:
    """Return ``number`` in letters: 1 is a, 26 is z, 27 is aa."""
    text = ""
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def mac(link: int, node: int, child: int = 0, begin: str = OWN_MACS) -> str:
    """Return a locally administered MAC address; ``child`` 0 is the NIC itself."""
    return f"{begin}:{link:02x}:{node:02x}:{child >> 8:02x}:{child & 255:02x}"


def macs_apart(lab: str) -> str:
    """Return how MAC addresses of ``lab`` begin where it shares a segment with others.

    A lab's own nodes have a wire to themselves, machines that exist don't. The first byte is that
    of a locally administered address of a station (IEEE 802, 8.4), and neither 02, as nodes and
    Docker have it, nor 06, as a fault by hand draws it.
    """
    first, second, *_ = sha256(lab.encode()).digest()
    return f"{first % 62 * 4 + 10:02x}:{second:02x}"
