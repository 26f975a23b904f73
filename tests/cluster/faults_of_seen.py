"""Faults by hand in the lab seen, which only its checks show: of sizes, hearers, MAC addresses."""

from __future__ import annotations

from cluster.hand import one

LAB = "seen"

SEEN = (
    one(
        "broadcast-off", "switch, lan-2", "switch", "bridge link set dev lan-2 bcast_flood off",
        "bridge link set dev lan-2 bcast_flood on", lab=LAB,
    ),
    one(
        "mtu-too-small", "own-2a, eth0", "own-2a", "ip link set eth0 mtu 1400",
        "ip link set eth0 mtu 1500", lab=LAB,
    ),
    one(
        "mtu-too-small", "switch, lan-2", "switch", "ip link set lan-2 mtu 1400",
        "ip link set lan-2 mtu 1500", lab=LAB, word="switch",
    ),
    one(
        "other-mac", "own-2a, eth0", "own-2a", "ip link set eth0 address 06:00:00:00:00:2a",
        "ip link set eth0 address 02:75:10:02:00:01", lab=LAB,
    ),
)  # fmt: skip
