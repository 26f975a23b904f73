"""Faults by hand in the lab dual-stack: those that only IPv6 has."""

from __future__ import annotations

from cluster.hand import NO_TC_IN, OVER_IPV6, TC_IN, Hand, one

LAB = "dual-stack"
OWN, TWIN = "fd00:1::8000:0:0:1", "fd00:1::4000:0:0:1"
BACK = f"""
ip -6 address replace {OWN}/64 dev eth0 nodad
ip -6 route replace default dev eth0
"""
AGAIN = f"""
ip -6 address delete {OWN}/64 dev eth0
ip -6 address add {OWN}/64 dev eth0
tries=0
until ip -6 address show dev eth0 | grep -q dadfailed; do
    tries=$((tries + 1)); test $tries -lt 100; sleep 0.1
done
"""
RENEW = f"ip -6 address delete {OWN}/64 dev eth0\n{BACK}"

DUAL_STACK = (
    one(
        "ipv6-disabled", "mac-2a, eth0", "mac-2a", "sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1",
        f"sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0\n{BACK}", lab=LAB,
    ),
    one(
        "ipv6-disabled", "mac-2a, eth0", "mac-2a", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1",
        f"sysctl -qw net.ipv6.conf.all.disable_ipv6=0\n{BACK}", other=True, lab=LAB,
    ),
    one(
        "ipv6-address-missing", "mac-2a, eth0", "mac-2a",
        f"ip address delete {OWN}/64 dev eth0", BACK, lab=LAB,
    ),
    one(
        "ipv6-address-missing", "mac-2a, eth0", "mac-2a",
        "ip -6 address flush dev eth0 scope global", BACK, other=True, lab=LAB,
    ),
    Hand(
        "dad-failed", "mac-2a, eth0",
        (("mac-1a", f"ip address add {OWN}/128 dev eth0 nodad"), ("mac-2a", AGAIN)),
        (("mac-1a", f"ip address delete {OWN}/128 dev eth0"), ("mac-2a", RENEW)),
        lab=LAB,
    ),
    Hand(
        "dad-failed", "mac-2a, eth0",
        (("core-01", f"ip address add {OWN}/128 dev eth1 nodad"), ("mac-2a", AGAIN)),
        (("core-01", f"ip address delete {OWN}/128 dev eth1"), ("mac-2a", RENEW)),
        other=True, lab=LAB,
    ),
    one(
        "ipv6-default-route-missing", "mac-2a, eth0", "mac-2a", "ip -6 route delete default",
        "ip -6 route add default dev eth0", lab=LAB,
    ),
    one(
        "nd-dropped", "mac-2a, eth0", "mac-2a",
        """
ip6tables -I INPUT -p icmpv6 --icmpv6-type neighbour-advertisement -j DROP
ip6tables -I INPUT -p icmpv6 --icmpv6-type neighbour-solicitation -j DROP
""",
        """
ip6tables -D INPUT -p icmpv6 --icmpv6-type neighbour-advertisement -j DROP
ip6tables -D INPUT -p icmpv6 --icmpv6-type neighbour-solicitation -j DROP
""",
        lab=LAB,
    ),
    one(
        "container-drops-incoming", "mac-2b, eth0", "mac-2b",
        TC_IN.format("eth0", "protocol ipv6 matchall"), NO_TC_IN.format("eth0"),
        other=True, lab=LAB,
    ),
    one(
        "multicast-off", "switch, br-lan", "switch",
        "for port in lan-1 lan-2; do bridge link set dev $port mcast_flood off; done",
        "for port in lan-1 lan-2; do bridge link set dev $port mcast_flood on; done", lab=LAB,
    ),
    one(
        "node-address-missing", "core-02, eth1", "core-02",
        "ip address delete fd00:70::c/64 dev eth1",
        "ip address add fd00:70::c/64 dev eth1 nodad; ip -6 route replace fd00:1::/64 dev eth1",
        lab=LAB, pairs=("core-02 mac-1a", "core-02 mac-1b"), over=OVER_IPV6,
    ),
    one(
        "blackhole-route", "mac-2a", "mac-2a", f"ip -6 route add blackhole {TWIN}",
        f"ip -6 route delete blackhole {TWIN}", lab=LAB, word="ipv6",
        pairs=("mac-2a mac-1a",), over=OVER_IPV6,
    ),
    one(
        "blackhole-route", "ip-2a", "ip-2a", "ip -6 route add unreachable fd00:2::4000:0:0:2",
        "ip -6 route delete unreachable fd00:2::4000:0:0:2", other=True, lab=LAB,
        pairs=("ip-2a ip-1b",), over=OVER_IPV6,
    ),
    one(
        "static-neighbour", "mac-2a, eth0", "mac-2a",
        f"ip neighbour replace {TWIN} lladdr 02:00:00:00:00:42 dev eth0 nud permanent",
        f"ip neighbour delete {TWIN} dev eth0", lab=LAB, pairs=("mac-2a mac-1a",), over=OVER_IPV6,
    ),
)  # fmt: skip
