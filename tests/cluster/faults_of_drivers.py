"""Faults by hand in labs of several drivers: ipvlan's modes, bridges, overlays and routers."""

from __future__ import annotations

from cluster.hand import NO_TC_IN, NO_TC_OUT, TC_IN, TC_OUT, Hand, one

MODES, EACH, ROUTER = "basics-ipvlan", "one-of-each", "router-segments"
# What the node sends for its l3 children: those of one network, to all that isn't on the node.
TO_OTHERS = tuple(
    f"{one} {other}" for one in ("l3-2a", "l3-2b") for other in ("l3-1a", "l3-1b", "core-01")
)

IPVLAN_MODES = (
    one(
        "node-route-missing", "core-02, eth2", "core-02", "ip route delete 10.2.2.64/26",
        "ip route add 10.2.2.64/26 via 192.168.80.11 dev eth2", lab=MODES,
    ),
    one(
        "node-drops", "core-02", "core-02", "iptables -I OUTPUT -s 10.2.2.0/24 -j DROP",
        "iptables -D OUTPUT -s 10.2.2.0/24 -j DROP", lab=MODES, pairs=TO_OTHERS,
    ),
    one(
        "parent-drops-incoming", "core-02, eth2", "core-02",
        TC_IN.format("eth2", "protocol ip matchall"), NO_TC_IN.format("eth2"), lab=MODES,
    ),
    one(
        "parent-drops-outgoing", "core-02, eth2", "core-02",
        TC_OUT.format("eth2", "protocol ip flower src_ip 10.2.2.128/26"),
        NO_TC_OUT.format("eth2"), other=True, lab=MODES,
    ),
    one(
        "cable-cut", "switch, far-2", "switch", "bridge link set dev far-2 state 0",
        "bridge link set dev far-2 state 3", lab=MODES,
    ),
    one(
        "child-down", "l3-2a, eth0", "l3-2a", "ip link set eth0 down",
        "ip link set eth0 up; ip route replace default dev eth0", lab=MODES,
    ),
    one(
        "ipvlan-private", "core-02, eth1", "l2-2a",
        "ip link set eth0 type ipvlan mode l2 private",
        "ip link set eth0 type ipvlan mode l2 bridge", other=True, lab=MODES,
    ),
    one(
        "echo-ignored", "l3-2b", "l3-2b", "echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all",
        "echo 0 > /proc/sys/net/ipv4/icmp_echo_ignore_all", lab=MODES,
    ),
)  # fmt: skip
PORT = """
number=$(cat /sys/class/net/eth0/iflink)
on_node="nsenter --target 1 --net --"
port=$($on_node ip -o link show | sed -n "s/^$number: \\([^:@]*\\).*/\\1/p")
"""
VX = (
    "ip link delete vx-vx; ip link add vx-vx type vxlan id {} dstport {} local 192.168.70.12"
    " dev eth1; ip link set vx-vx mtu 1450 master br-vx up;"
    " bridge fdb append 00:00:00:00:00:00 dev vx-vx dst 192.168.70.11"
)
GRE = (
    "ip link delete gt1-gre; ip link add gt1-gre type gretap key {} local 192.168.70.12"
    " remote 192.168.70.11 dev eth1; ip link set gt1-gre mtu 1458 master br-gre up;"
    " bridge link set dev gt1-gre isolated on"
)
NAT = "POSTROUTING -s 10.3.2.0/24 ! -o br-nat -j MASQUERADE"
# Back, where a cure hasn't put it back already.
NAT_BACK = f"iptables -t nat -C {NAT} || iptables -t nat -A {NAT}"
UNLIST = "bridge fdb {} 00:00:00:00:00:00 dev vx-vx dst {}"
ONE_OF_EACH = (
    one("vxlan-vni", "core-02, vx-vx", "core-02", VX.format(101, 4789), VX.format(100, 4789),
        lab=EACH),
    one("vxlan-port", "core-02, vx-vx", "core-02", VX.format(100, 8472), VX.format(100, 4789),
        lab=EACH),
    Hand(
        "vxlan-not-listed", "core-01, vx-vx",
        (
            ("core-01", UNLIST.format("delete", "192.168.70.12")),
            ("core-02", UNLIST.format("delete", "192.168.70.11")),
        ),
        (
            ("core-01", UNLIST.format("append", "192.168.70.12")),
            ("core-02", UNLIST.format("append", "192.168.70.11")),
        ),
        lab=EACH,
    ),
    one("gre-key", "core-02, gt1-gre", "core-02", GRE.format(9), GRE.format(7), lab=EACH),
    one(
        "tunnel-down", "core-02, vx-vx", "core-02", "ip link set vx-vx down",
        "ip link set vx-vx up", lab=EACH,
    ),
    one(
        "tunnel-unplugged", "core-02, gt1-gre", "core-02", "ip link set gt1-gre nomaster",
        "ip link set gt1-gre master br-gre; bridge link set dev gt1-gre isolated on", lab=EACH,
    ),
    one(
        "node-drops", "core-02, eth1", "core-02",
        "iptables -I INPUT -i eth1 -p udp --dport 4789 -j DROP",
        "iptables -D INPUT -i eth1 -p udp --dport 4789 -j DROP", other=True, lab=EACH,
    ),
    one(
        "bridge-uplink-missing", "core-02, eth3", "core-02", "ip link set eth3 nomaster",
        "ip link set eth3 master br-eth3", lab=EACH,
    ),
    one(
        "bridge-port-missing", "br-2a, eth0", "br-2a", f"{PORT}$on_node ip link set $port nomaster",
        f"{PORT}$on_node ip link set $port master br-eth3", lab=EACH,
    ),
    one(
        "bridge-port-missing", "vx-2a, eth0", "vx-2a", f"{PORT}$on_node ip link set $port down",
        f"{PORT}$on_node ip link set $port up", other=True, lab=EACH,
    ),
    one(
        "bridge-netfilter", "core-02", "core-02",
        # The module may be there already, and a cure have told it to ask nobody.
        "modprobe br_netfilter; sysctl -qw net.bridge.bridge-nf-call-iptables=1;"
        " iptables -P FORWARD DROP",
        "iptables -P FORWARD ACCEPT; sysctl -qw net.bridge.bridge-nf-call-iptables=0",
        other=True, lab=EACH,
    ),
    one(
        "masquerade-missing", "core-02, br-nat", "core-02", f"iptables -t nat -D {NAT}",
        NAT_BACK, lab=EACH,
    ),
    one(
        "masquerade-missing", "core-02, br-nat", "core-02", "iptables -t nat -F POSTROUTING",
        NAT_BACK, other=True, lab=EACH,
    ),
    one(
        "forwarding-off", "core-02", "core-02", "sysctl -qw net.ipv4.ip_forward=0",
        "sysctl -qw net.ipv4.ip_forward=1", lab=EACH,
    ),
    one(
        "node-drops", "core-02, br-nat", "core-02", "iptables -I FORWARD -i br-nat -j DROP",
        "iptables -D FORWARD -i br-nat -j DROP", other=True, lab=EACH, word="forward",
    ),
    one(
        "mac-policy", "switch, lan-2", "switch",
        "bridge link set dev lan-2 learning off locked on;"
        " bridge fdb flush dev br-lan brport lan-2 dynamic;"
        " bridge fdb replace 02:75:01:02:00:00 dev lan-2 master static",
        "bridge link set dev lan-2 learning on locked off;"
        " bridge fdb delete 02:75:01:02:00:00 dev lan-2 master",
        lab=EACH,
    ),
    one(
        "parent-drops-outgoing", "core-02, eth1", "core-02",
        TC_OUT.format("eth1", "protocol 802.1q flower vlan_id 50"), NO_TC_OUT.format("eth1"),
        other=True, lab=EACH,
    ),
)  # fmt: skip
MASK = """
ip address delete 10.1.1.129/{} dev eth0
ip address add 10.1.1.129/{} dev eth0
ip route replace default via 10.1.1.1 dev eth0
"""
ROUTED = (
    one(
        "forwarding-off", "router", "router", "sysctl -qw net.ipv4.ip_forward=0",
        "sysctl -qw net.ipv4.ip_forward=1", lab=ROUTER,
    ),
    one(
        "forwarding-off", "router, eth1", "router", "sysctl -qw net.ipv4.conf.eth1.forwarding=0",
        "sysctl -qw net.ipv4.conf.eth1.forwarding=1", other=True, lab=ROUTER,
    ),
    one(
        "default-route-missing", "red-2a, eth0", "red-2a", "ip route delete default",
        "ip route add default via 10.1.1.1 dev eth0", lab=ROUTER,
    ),
    one(
        "wrong-mask", "red-2a, eth0", "red-2a", MASK.format(24, 14), MASK.format(14, 24),
        lab=ROUTER,
    ),
    one(
        "wrong-mask", "red-1a, eth0", "red-1a", "ip address add 10.1.1.65/8 dev eth0",
        "ip address delete 10.1.1.65/8 dev eth0", other=True, lab=ROUTER,
        pairs=tuple(f"red-1a {blue}" for blue in ("blue-1a", "blue-1b", "blue-2a", "blue-2b")),
    ),
)  # fmt: skip
