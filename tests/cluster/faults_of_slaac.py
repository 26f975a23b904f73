"""Faults by hand in the lab slaac: router advertisements refused, lost, and sent by a rogue."""

from __future__ import annotations

from cluster.hand import BY_NFT, NO_NFT, NO_TC_IN, OVER_IPV6, TC_IN, Hand, one

LAB = "slaac"
CONTAINERS = ("own-1a", "own-1b", "plain-1a", "own-2a", "own-2b", "plain-2a")
FLUSH = "ip -6 address flush dev eth0 scope global"
# Nobody solicits a router again by itself; the detection of duplicates takes a second more.
ADDRESSED = """
tries=0
until ip -6 -oneline address show dev eth0 scope global | grep inet6 | grep -qv tentative; do
    tries=$((tries + 1)); test $tries -lt 30
    python3 -c '
import socket
asker = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
asker.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
asker.sendto(bytes([133, *bytes(7)]), ("ff02::2", 0, 0, socket.if_nametoindex("eth0")))
'
    sleep 1
done
"""
SERVER = """
for process in /proc/[0-9]*; do
    test "$(readlink $process/ns/net)" = "$(readlink /proc/self/ns/net)" || continue
    grep -qx dnsmasq $process/comm 2>/dev/null && kill -{} ${{process#/proc/}} || :
done
"""
# Type 134, hop limit 64, preference high, the lifetime, and whose MAC address it is.
ADVERTISE = """
python3 -c '
import socket
sender = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
said = bytes([134, 0, 0, 0, 64, 8, *({0}).to_bytes(2, "big"), *bytes(8), 1, 1])
said += bytes.fromhex("{1}")
sender.sendto(said, ("ff02::1", 0, 0, socket.if_nametoindex("{2}")))
'
"""
FOR_OWN_2A = ("own-1a", "own-1b", "own-2b", "plain-1a", "core-01", "router")
ON_CORE_02 = ("own-2a", "own-2b", "plain-2a")
FOR_CORE_02 = ("own-1a", "own-1b", "plain-1a", "core-01", "router")
ROGUE = "027510010002", "eth0"

SLAAC = (
    one(
        "ra-ignored", "own-2a, eth0", "own-2a",
        f"sysctl -qw net.ipv6.conf.eth0.accept_ra=0; {FLUSH}",
        f"sysctl -qw net.ipv6.conf.eth0.accept_ra=1; {ADDRESSED}", lab=LAB,
    ),
    one(
        "ra-ignored", "plain-2a, eth0", "plain-2a",
        f"sysctl -qw net.ipv6.conf.eth0.forwarding=1; {FLUSH}",
        f"sysctl -qw net.ipv6.conf.eth0.forwarding=0; {ADDRESSED}", other=True, lab=LAB,
    ),
    Hand(
        "ra-lost", "router, eth0",
        (("router", SERVER.format("STOP")), *((name, FLUSH) for name in CONTAINERS)),
        (("router", SERVER.format("CONT")), *((name, ADDRESSED) for name in CONTAINERS)),
        lab=LAB,
    ),
    Hand(
        "ra-lost", "own-2a, eth0",
        (
            ("switch", BY_NFT.format(rule="icmpv6 type nd-router-advert counter drop")),
            ("own-2a", FLUSH),
        ),
        (("switch", NO_NFT), ("own-2a", ADDRESSED)),
        other=True, lab=LAB, over=OVER_IPV6,
        pairs=tuple(f"own-2a {end}" for end in FOR_OWN_2A),
    ),
    Hand(
        "ra-lost", "core-02, eth1",
        (
            ("core-02", TC_IN.format("eth1", "protocol ipv6 flower ip_proto icmpv6 type 134")),
            *((name, FLUSH) for name in ON_CORE_02),
        ),
        (("core-02", NO_TC_IN.format("eth1")), *((name, ADDRESSED) for name in ON_CORE_02)),
        other=True, lab=LAB, word="node", over=OVER_IPV6,
        pairs=(
            "own-2a own-2b",
            *(f"{one} {other}" for one in ON_CORE_02 for other in FOR_CORE_02),
        ),
    ),
    one(
        "rogue-ra", "own-1b, eth0", "own-1b", ADVERTISE.format(1800, *ROGUE),
        ADVERTISE.format(0, *ROGUE), lab=LAB,
    ),
)  # fmt: skip
