"""Faults by hand in the lab two-networks: packets that come in otherwise than answers leave."""

from __future__ import annotations

from cluster.hand import one

LAB = "two-networks"
STRICT = "sysctl -qw net.ipv4.conf.{}.rp_filter={}"

TWO_NETWORKS = (
    one(
        "rp-filter", "red-2a, eth0", "red-2a", STRICT.format("eth0", 1), STRICT.format("eth0", 0),
        lab=LAB,
    ),
    one(
        "rp-filter", "core-02, eth2", "core-02", STRICT.format("eth2", 1),
        STRICT.format("eth2", 0), lab=LAB, word="node",
    ),
    one(
        "rp-filter", "red-2a, all", "red-2a", STRICT.format("all", 1), STRICT.format("all", 0),
        other=True, lab=LAB,
        pairs=("core-01 red-2a@red", "red-1a@blue red-2a@red", "red-1a@red red-2a@blue"),
    ),
)  # fmt: skip
