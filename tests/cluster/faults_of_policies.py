"""Faults by hand of what a lab has at its switch's ports: locked, isolated and reflecting ones."""

from __future__ import annotations

from cluster.hand import one

FAULT, PORT = "port-policy-gone", "switch, lan-2"

POLICIES = (
    one(
        FAULT, PORT, "switch", "bridge link set dev lan-2 locked off learning on",
        "bridge link set dev lan-2 locked on learning off; ip link set lan-2 type bridge_slave"
        " fdb_flush", lab="switch-locked",
    ),
    one(
        FAULT, PORT, "switch", "bridge fdb add 02:75:10:02:00:01 dev lan-2 master static",
        "bridge fdb delete 02:75:10:02:00:01 dev lan-2 master", other=True, lab="switch-locked",
    ),
    one(
        FAULT, PORT, "switch", "bridge link set dev lan-2 isolated off",
        "bridge link set dev lan-2 isolated on", lab="macvlan-isolated",
    ),
    one(
        FAULT, PORT, "switch", "bridge link set dev lan-2 hairpin off",
        "bridge link set dev lan-2 hairpin on", lab="macvlan-hairpin",
    ),
)  # fmt: skip
