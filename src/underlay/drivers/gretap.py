"""Ethernet over GRE: frames travel in GRE packets, by a tunnel between each two nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.drivers.driver import Driver, Overlay, OverlaySettings, Tunnel
from underlay.drivers.overlay import BROADCAST, reach

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def _tunnels(settings: OverlaySettings, local: str, peers: Mapping[int, str]) -> Iterator[Tunnel]:
    """A tunnel has two ends, so there is one for each peer."""
    key = {} if settings.key is None else {"key": settings.key}
    for peer, remote in peers.items():
        yield Tunnel(peer, {"local": local, "remote": remote, **key})


DRIVER = Driver(
    name="gretap",
    title="GRE (gretap)",
    position=60,
    attach="port",
    own_mac=True,
    reach=reach(
        "gretap",
        "Frames travel in GRE with the network's key, by a tunnel between each two nodes.",
        "RFC 2890; RFC 7637, 3.2; Linux net/ipv4/ip_gre.c, gre_tap_xmit",
    ),
    broadcast=BROADCAST,
    keys=("key",),
    # main/bridge of containernetworking/plugins plugs into a bridge that the node has made.
    runtimes=("cni", "iproute2"),
    overlay=Overlay(
        outer="gre",
        # IP 20, GRE 4, and the inner Ethernet header 14; the key is 4 more (RFC 2890).
        overhead=38,
        overhead_of={"key": 4},
        letters="gt",
        tunnels=_tunnels,
    ),
)
