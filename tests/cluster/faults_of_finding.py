"""Faults by hand that keep an end from being found, and nothing else.

In labs that ask for ARP and ND as well, whose cells show it a second time. By other mechanisms
than the catalogue's they are narrower than what they are named by, so the cells are written out:
who asks whom in vain.
"""

from __future__ import annotations

from typing import Any

from cluster.hand import BY_NFT, NO_NFT, OVER_IPV4, OVER_IPV6, one

SEEN, OVERLAY = "seen", "seen-overlay"
EVERYBODY = "00:00:00:00:00:00"
# What checks of a family show of the receiver they send as the kernel does: whoever has been asked
# meanwhile knows its asker.
NOT_FOUND: dict[str, Any] = {
    "over": (*OVER_IPV4, "arp"), "perhaps": ("source", "pmtu", "macs"), "one_way": True,
}  # fmt: skip
NOT_FOUND6: dict[str, Any] = {
    "over": (*OVER_IPV6, "nd6"), "perhaps": ("source6", "pmtu6", "macs6"), "one_way": True,
}  # fmt: skip
FOR_OWN_2A = ("own-1a own-2a", "own-1b own-2a", "own-2b own-2a", "core-01 own-2a")
# A container and the node below it don't hear each other, faults or not.
BEHIND_LAN_2 = (
    "own-1a own-2a", "own-1b own-2a", "core-01 own-2a",
    "own-1a own-2b", "own-1b own-2b", "core-01 own-2b",
    "own-1a core-02", "own-1b core-02",
)  # fmt: skip
OUT_OF_CORE_02 = tuple(
    f"{asker} {asked}" for asker in ("vx-2a", "vx-2b") for asked in ("vx-1a", "vx-1b", "core-01")
)

FINDING = (
    one(
        "arp-ignored", "own-2a, eth0", "own-2a", "sysctl -qw net.ipv4.conf.eth0.arp_ignore=8",
        "sysctl -qw net.ipv4.conf.eth0.arp_ignore=0", lab=SEEN,
    ),
    one(
        "arp-ignored", "own-2a, eth0", "own-2a", "sysctl -qw net.ipv4.conf.all.arp_ignore=8",
        "sysctl -qw net.ipv4.conf.all.arp_ignore=0", other=True, lab=SEEN, word="all",
        pairs=FOR_OWN_2A, **NOT_FOUND,
    ),
    one(
        "switch-drops", "switch, lan-2", "switch",
        BY_NFT.format(rule='oifname "lan-2" arp operation request counter drop'), NO_NFT,
        other=True, lab=SEEN, word="arp", pairs=BEHIND_LAN_2, **NOT_FOUND,
    ),
    one(
        "nd-dropped", "own-2a, eth0", "own-2a",
        "ip6tables -I INPUT -p ipv6-icmp --icmpv6-type neighbour-solicitation -j DROP",
        "ip6tables -D INPUT -p ipv6-icmp --icmpv6-type neighbour-solicitation -j DROP",
        other=True, lab=SEEN, word="asked", pairs=FOR_OWN_2A, **NOT_FOUND6,
    ),
    one(
        "switch-drops", "switch, lan-2", "switch",
        BY_NFT.format(rule='oifname "lan-2" icmpv6 type nd-neighbor-solicit counter drop'), NO_NFT,
        other=True, lab=SEEN, word="nd", pairs=BEHIND_LAN_2, **NOT_FOUND6,
    ),
    one(
        "arp-ignored", "vx-2a, eth0", "vx-2a", "sysctl -qw net.ipv4.conf.eth0.arp_ignore=8",
        "sysctl -qw net.ipv4.conf.eth0.arp_ignore=0", lab=OVERLAY,
    ),
    one(
        "vxlan-listed-one-way", "core-02, vx-vx", "core-02",
        f"bridge fdb delete {EVERYBODY} dev vx-vx dst 192.168.70.11",
        f"bridge fdb append {EVERYBODY} dev vx-vx dst 192.168.70.11", lab=OVERLAY,
    ),
    one(
        "node-port-quiet", "core-02, vx-vx", "core-02",
        "bridge link set dev vx-vx bcast_flood off mcast_flood off",
        "bridge link set dev vx-vx bcast_flood on mcast_flood on", lab=OVERLAY,
    ),
    one(
        "node-port-quiet", "core-02, vx-vx", "core-02",
        "bridge link set dev vx-vx bcast_flood off",
        "bridge link set dev vx-vx bcast_flood on", other=True, lab=OVERLAY,
        pairs=OUT_OF_CORE_02, beside=("vx-2a vx broadcast", "vx-2b vx broadcast"), **NOT_FOUND,
    ),
)  # fmt: skip
