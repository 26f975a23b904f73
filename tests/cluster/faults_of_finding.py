"""Faults by hand that keep an end from being found, and nothing else."""

from __future__ import annotations

from cluster.hand import BY_NFT, NO_NFT, one

FINDING = (
    one(
        "arp-ignored", "lannet-2a, eth0", "lannet-2a", "sysctl -qw net.ipv4.conf.eth0.arp_ignore=8",
        "sysctl -qw net.ipv4.conf.eth0.arp_ignore=0",
    ),
    one(
        "arp-ignored", "lannet-2a, eth0", "lannet-2a", "sysctl -qw net.ipv4.conf.all.arp_ignore=8",
        "sysctl -qw net.ipv4.conf.all.arp_ignore=0", other=True,
    ),
    one(
        "neighbours-suppressed", "switch, lan-2", "switch",
        """
for one in lan-1 lan-2 lan-3; do bridge link set dev $one neigh_suppress on; done
ip neighbour replace 20.1.1.129 lladdr 02:00:00:00:00:42 dev br-lan nud permanent
""",
        """
for one in lan-1 lan-2 lan-3; do bridge link set dev $one neigh_suppress off; done
ip neighbour delete 20.1.1.129 dev br-lan
""",
    ),
    one(
        "switch-drops", "switch, lan-2", "switch",
        BY_NFT.format(rule='oifname "lan-2" arp operation request counter drop'), NO_NFT,
        other=True, word="arp",
    ),
    one(
        "switch-drops", "switch, lan-2", "switch",
        BY_NFT.format(rule='iifname "lan-2" ether type arp counter drop'), NO_NFT, other=True,
        word="arp-both",
    ),
    one(
        "nd-dropped", "lannet-2a, eth0", "lannet-2a",
        "ip6tables -I INPUT -p ipv6-icmp --icmpv6-type neighbour-solicitation -j DROP",
        "ip6tables -D INPUT -p ipv6-icmp --icmpv6-type neighbour-solicitation -j DROP",
        lab="dual-stack", other=True, word="asked",
    ),
    one(
        "switch-drops", "switch, lan-2", "switch",
        BY_NFT.format(rule='oifname "lan-2" icmpv6 type nd-neighbor-solicit counter drop'), NO_NFT,
        lab="dual-stack", other=True, word="nd",
    ),
)  # fmt: skip
