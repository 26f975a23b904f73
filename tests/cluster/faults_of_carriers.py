"""Faults by hand of what carries an overlay: settings, entries, ports and outer neighbours."""

from __future__ import annotations

from cluster.hand import one

LAB = "overlay-vxlan"
GROUPED = """
ip link delete vx-grouped
ip link add vx-grouped type vxlan id 200 dstport 4789 local 192.168.70.12 dev eth1 group {}
ip link set vx-grouped mtu 1450 master br-grouped up
"""
LISTED = """
ip link delete vx-listed
ip link add vx-listed type vxlan id 100 dstport 4789 local 192.168.70.12 dev eth1 {}
ip link set vx-listed mtu 1450 master br-listed up
for peer in 192.168.70.11 192.168.70.13; do
    bridge fdb append 00:00:00:00:00:00 dev vx-listed dst $peer
done
"""
# A container's port of the bridge: the node's end of its cable.
PORT = """
number=$(cat /sys/class/net/eth0/iflink)
on_node="nsenter --target 1 --net --"
port=$($on_node ip -o link show | sed -n "s/^$number: \\([^:@]*\\).*/\\1/p")
"""

CARRIERS = (
    one(
        "tunnel-settings", "core-02, vx-grouped", "core-02", GROUPED.format("239.9.9.10"),
        GROUPED.format("239.9.9.9"), lab=LAB,
    ),
    one(
        "tunnel-settings", "core-02, vx-listed", "core-02", LISTED.format("proxy"),
        LISTED.format(""), other=True, lab=LAB, word="proxy",
    ),
    one(
        "vxlan-entry-wrong", "core-02, vx-listed", "core-02",
        "bridge fdb replace 02:75:10:01:00:01 dev vx-listed dst 192.168.70.13 self permanent",
        "bridge fdb delete 02:75:10:01:00:01 dev vx-listed dst 192.168.70.13 self", lab=LAB,
    ),
    one(
        "outer-neighbour", "core-02, eth1", "core-02",
        "ip neighbour replace 192.168.70.11 lladdr 02:00:00:00:00:42 dev eth1 nud permanent",
        "ip neighbour delete 192.168.70.11 dev eth1", lab=LAB,
    ),
    one(
        "node-port-closed", "core-02, vx-listed", "core-02",
        "bridge link set dev vx-listed state 0", "bridge link set dev vx-listed state 3", lab=LAB,
    ),
    one(
        "node-port-closed", "core-02, vx-listed", "core-02",
        "bridge link set dev vx-listed learning off locked on;"
        " bridge fdb flush dev br-listed brport vx-listed dynamic",
        "bridge link set dev vx-listed learning on locked off", other=True, lab=LAB, word="locked",
    ),
    one(
        "node-fdb-wrong-port", "core-02, vx-listed", "core-02",
        "bridge fdb replace 02:75:10:02:00:01 dev vx-listed master static sticky",
        "bridge fdb delete 02:75:10:02:00:01 dev vx-listed master", lab=LAB,
    ),
    one(
        "node-drops", "core-02, eth1", "core-02",
        "iptables -I INPUT -i eth1 -p udp -m udp --dport 4789 -m length --length 60:300 -j DROP",
        "iptables -D INPUT -i eth1 -p udp -m udp --dport 4789 -m length --length 60:300 -j DROP",
        other=True, lab=LAB, word="length",
    ),
    one(
        "xfrm-blocks", "core-02", "core-02",
        "ip xfrm policy add dir out src 0.0.0.0/0 dst 192.168.70.11 proto udp action block",
        "ip xfrm policy delete dir out src 0.0.0.0/0 dst 192.168.70.11 proto udp", other=True,
        lab=LAB,
    ),
    one(
        "node-arp-off", "core-02, eth1", "core-02", "ip link set eth1 arp off",
        "ip link set eth1 arp on", lab=LAB,
    ),
    one(
        "node-ports-isolated", "core-02, vx-listed and vp-5e80fc25", "listed-2a",
        f"{PORT}$on_node bridge link set dev $port isolated on;"
        " $on_node bridge link set dev vx-listed isolated on",
        f"{PORT}$on_node bridge link set dev $port isolated off;"
        " $on_node bridge link set dev vx-listed isolated off", lab=LAB, other=True,
    ),
    one(
        "packets-altered", "listed-2a, eth0", "listed-2a",
        "tc qdisc add dev eth0 clsact; tc filter add dev eth0 egress protocol ip matchall action"
        " pedit ex munge ip dst set 192.0.2.1", "tc qdisc delete dev eth0 clsact", lab=LAB,
    ),
    one(
        "bpf-program", "listed-2a, eth0", "listed-2a",
        "tc qdisc add dev eth0 clsact; tc filter add dev eth0 ingress protocol ip bpf da bytecode"
        " '1,6 0 0 2'", "tc qdisc delete dev eth0 clsact", lab=LAB,
    ),
)  # fmt: skip
