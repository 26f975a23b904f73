"""Faults by hand that keep an end from being found, and nothing else.

In labs that ask for ARP and ND as well, whose cells show it a second time.
"""

from __future__ import annotations

from cluster.hand import BY_NFT, NO_NFT, one

SEEN, OVERLAY = "seen", "seen-overlay"
EVERYBODY = "00:00:00:00:00:00"

FINDING = (
    one(
        "arp-ignored", "own-2a, eth0", "own-2a", "sysctl -qw net.ipv4.conf.eth0.arp_ignore=8",
        "sysctl -qw net.ipv4.conf.eth0.arp_ignore=0", lab=SEEN,
    ),
    one(
        "arp-ignored", "own-2a, eth0", "own-2a", "sysctl -qw net.ipv4.conf.all.arp_ignore=8",
        "sysctl -qw net.ipv4.conf.all.arp_ignore=0", other=True, lab=SEEN, word="all",
    ),
    one(
        "switch-drops", "switch, lan-2", "switch",
        BY_NFT.format(rule='oifname "lan-2" arp operation request counter drop'), NO_NFT,
        other=True, lab=SEEN, word="arp",
    ),
    one(
        "nd-dropped", "own-2a, eth0", "own-2a",
        "ip6tables -I INPUT -p ipv6-icmp --icmpv6-type neighbour-solicitation -j DROP",
        "ip6tables -D INPUT -p ipv6-icmp --icmpv6-type neighbour-solicitation -j DROP",
        other=True, lab=SEEN, word="asked",
    ),
    one(
        "switch-drops", "switch, lan-2", "switch",
        BY_NFT.format(rule='oifname "lan-2" icmpv6 type nd-neighbor-solicit counter drop'), NO_NFT,
        other=True, lab=SEEN, word="nd",
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
    ),
)  # fmt: skip
