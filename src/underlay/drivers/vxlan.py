"""VXLAN: frames travel in UDP packets, from one device of each node to those of all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.drivers.driver import Driver, Overlay, OverlaySettings, Tunnel
from underlay.drivers.overlay import BROADCAST, reach

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def _tunnels(settings: OverlaySettings, local: str, peers: Mapping[int, str]) -> Iterator[Tunnel]:
    """One device leads to all peers: by the multicast group, or by a list of them."""
    to = {"group": settings.group} if settings.group else {"fdb": list(peers.values())}
    yield Tunnel(0, {"id": settings.vni, "dstport": settings.port, "local": local, **to})


DRIVER = Driver(
    name="vxlan",
    title="VXLAN",
    position=50,
    attach="port",
    own_mac=True,
    reach=reach(
        "vxlan",
        "Frames travel in UDP between the nodes' underlay addresses; broadcasts go to every node "
        "that is listed, or to the multicast group.",
        "RFC 7348, 4.1 and 4.2; Linux drivers/net/vxlan/vxlan_core.c, vxlan_xmit",
    ),
    broadcast=BROADCAST,
    keys=("vni", "port", "group"),
    needed={"vni": "vni: 100"},
    # main/bridge of containernetworking/plugins plugs into a bridge that the node has made.
    runtimes=("cni", "iproute2"),
    overlay=Overlay(
        outer="udp",
        # IP 20, UDP 8, VXLAN 8, and the inner Ethernet header 14 (RFC 7348).
        overhead=50,
        letters="vx",
        tunnels=_tunnels,
    ),
)
