"""Faults brought about by plain commands, as anybody could, and how each is put right.

These are the default lab's; those of other labs stand in the modules beside this one.

Nothing here comes from src/, and src/ doesn't import this: the explanation of what these
commands do must come from what they leave behind. An entry with ``other`` uses another
mechanism than the catalogue's own.
"""

from __future__ import annotations

from cluster.faults_of_carriers import CARRIERS
from cluster.faults_of_docker_vlan import DOCKER_VLAN
from cluster.faults_of_drivers import IPVLAN_MODES, ONE_OF_EACH, ROUTED
from cluster.faults_of_dual_stack import DUAL_STACK
from cluster.faults_of_filters import OF_FILTERS
from cluster.faults_of_finding import FINDING
from cluster.faults_of_podman import PODMAN_DHCP
from cluster.faults_of_policies import POLICIES
from cluster.faults_of_seen import SEEN
from cluster.faults_of_slaac import SLAAC
from cluster.faults_of_two_networks import TWO_NETWORKS
from cluster.faults_of_unread_filters import UNREAD
from cluster.hand import BY_NFT, NO_NFT, NO_TC_IN, NO_TC_OUT, TC_IN, TC_OUT, one

# networkd takes a downed link's addresses away and gives them back once it is up again.
ETH1_UP = """
ip link set eth1 up
tries=0
until ip route show 20.1.1.0/24 | grep -q 'dev eth1'; do
    tries=$((tries + 1)); test $tries -lt 100; sleep 0.1
done
"""
# Run in a container, with its node's tools: its interface is born in the shell's namespace.
LANNET_2A = "02:75:10:02:00:01 20.1.1.129/24"


def child(parent: str, mode: str = "bridge", mac_and_address: str = LANNET_2A) -> str:
    mac, address = mac_and_address.split()
    return f"""
on_node="nsenter --target 1 --net --"
ip link delete eth0 2>/dev/null || :
$on_node ip link add link {parent} name born address {mac} netns $$ type macvlan mode {mode}
ip link set born name eth0
ip address add {address} dev eth0
ip link set eth0 up
ip route replace default dev eth0
"""


def ipvlan(parent: str, words: str) -> str:
    return f"""
ip link add link {parent} name passing type ipvlan mode {words}
ip link delete passing
"""


ADDRESS = "ip address add 20.1.1.129/24 dev eth0; ip route replace default dev eth0"

LINKS = (
    one("parent-down", "core-02, eth1", "core-02", "ip link set eth1 down", ETH1_UP),
    one(
        "parent-down", "core-02, eth1", "core-02", "networkctl down eth1",
        ETH1_UP, other=True,
    ),
    one(
        "child-down", "lannet-2a, eth0", "lannet-2a", "ip link set eth0 down",
        "ip link set eth0 up; ip route replace default dev eth0",
    ),
    one(
        "child-missing", "lannet-2a, eth0", "lannet-2a", "ip link delete eth0", child("eth1"),
    ),
    one(
        "child-missing", "lannet-2a, eth0", "lannet-2a",
        "ip link set eth0 down; ip link set eth0 name gone; ip link set gone netns 1",
        f"nsenter --target 1 --net ip link delete gone{child('eth1')}", other=True,
    ),
    one(
        "cable-cut", "switch, lan-2", "switch", "bridge link set dev lan-2 state 0",
        "bridge link set dev lan-2 state 3",
    ),
    one(
        "cable-cut", "switch, lan-2", "switch", "ip link set lan-2 nomaster",
        "ip link set lan-2 master br-lan", other=True,
    ),
)  # fmt: skip
DRIVERS = (
    one(
        "macvlan-private", "lannet-2a, eth0", "lannet-2a",
        "ip link set eth0 type macvlan mode private", "ip link set eth0 type macvlan mode bridge",
    ),
    one(
        "macvlan-vepa", "lannet-2a, eth0", "lannet-2a", child("eth1", "vepa"), child("eth1"),
        other=True,
    ),
    one(
        "macvlan-source", "lannet-2a, eth0", "lannet-2a",
        "ip link set eth0 type macvlan mode source", "ip link set eth0 type macvlan mode bridge",
    ),
    one(
        "ipvlan-mode-l3", "core-02, eth2", "core-02", ipvlan("eth2", "l3"),
        ipvlan("eth2", "l2 bridge"),
    ),
    one(
        "ipvlan-mode-l3", "core-02, eth2", "ipnet-2b", "ip link set eth0 type ipvlan mode l3",
        "ip link set eth0 type ipvlan mode l2 bridge", other=True,
    ),
    one(
        "ipvlan-private", "core-02, eth2", "core-02", ipvlan("eth2", "l2 private"),
        ipvlan("eth2", "l2 bridge"),
    ),
    one(
        "ipvlan-vepa", "core-02, eth2", "ipnet-2a", "ip link set eth0 type ipvlan mode l2 vepa",
        "ip link set eth0 type ipvlan mode l2 bridge", other=True,
    ),
    one("wrong-master", "lannet-2a, eth0", "lannet-2a", child("eth0"), child("eth1")),
)  # fmt: skip
SWITCH = (
    one(
        "port-isolated", "switch, lan-1 and lan-2", "switch",
        "bridge link set dev lan-1 isolated on; bridge link set dev lan-2 isolated on",
        "bridge link set dev lan-1 isolated off; bridge link set dev lan-2 isolated off",
    ),
    one(
        "fdb-wrong-port", "switch, lan-2", "switch",
        "bridge fdb replace 02:75:10:01:00:01 dev lan-2 master static sticky",
        "bridge fdb delete 02:75:10:01:00:01 dev lan-2 master",
    ),
    one(
        "hairpin", "switch, lan-2", "switch", "bridge link set dev lan-2 hairpin on",
        "bridge link set dev lan-2 hairpin off",
    ),
    one(
        "wrong-segment", "switch, lan-2", "switch", "ip link set lan-2 master br-wan",
        "ip link set lan-2 master br-lan",
    ),
    one(
        "segment-down", "switch, br-lan", "switch", "ip link set br-lan down",
        "ip link set br-lan up",
    ),
    one(
        "mac-policy", "switch, lan-2", "switch",
        """
bridge link set dev lan-2 learning off locked on
bridge fdb flush dev br-lan brport lan-2 dynamic
bridge fdb replace 02:75:01:02:00:00 dev lan-2 master static
""",
        """
bridge link set dev lan-2 learning on locked off
bridge fdb delete 02:75:01:02:00:00 dev lan-2 master
""",
    ),
    one(
        "mac-policy", "switch, lan-2", "switch",
        BY_NFT.format(rule='iifname "lan-2" ether saddr != 02:75:01:02:00:00 counter drop'),
        NO_NFT, other=True,
    ),
    one(
        "port-security", "switch, lan-2", "switch",
        BY_NFT.format(rule='iifname "lan-2" ether saddr 02:75:10:02:00:02 counter drop'),
        NO_NFT, other=True,
    ),
    one(
        "switch-drops", "switch, lan-2", "switch",
        BY_NFT.format(rule='iifname "lan-2" ip protocol udp counter drop'), NO_NFT,
    ),
)  # fmt: skip
ADDRESSES = (
    one(
        "address-missing", "lannet-2a, eth0", "lannet-2a",
        "ip address delete 20.1.1.129/24 dev eth0", ADDRESS,
    ),
    one(
        "address-missing", "lannet-2a, eth0", "lannet-2a", "ip -4 address flush dev eth0",
        ADDRESS, other=True,
    ),
    one(
        "wrong-address", "lannet-2a, eth0", "lannet-2a",
        "ip address delete 20.1.1.129/24 dev eth0; ip address add 20.1.1.180/24 dev eth0",
        f"ip address delete 20.1.1.180/24 dev eth0; {ADDRESS}",
    ),
    one(
        "duplicate-address", "lannet-2a, eth0", "lannet-2a",
        "ip address add 20.1.1.65/24 dev eth0", "ip address delete 20.1.1.65/24 dev eth0",
    ),
    one(
        "node-has-address", "core-02, eth1", "core-02",
        "ip address add 20.1.1.65/32 dev eth1", "ip address delete 20.1.1.65/32 dev eth1",
    ),
    one(
        "node-has-address", "core-03, rogue", "core-03",
        """
ip link add link eth1 name rogue type macvlan mode bridge
ip address add 20.1.1.65/32 dev rogue
ip link set rogue up
""",
        "ip link delete rogue", other=True,
    ),
    one(
        "duplicate-mac", "lannet-2a, eth0", "lannet-2a",
        "ip link set eth0 address 02:75:10:01:00:01", "ip link set eth0 address 02:75:10:02:00:01",
    ),
    one(
        "node-address-missing", "core-02, eth1", "core-02",
        "ip address delete 192.168.70.12/24 dev eth1",
        "ip address add 192.168.70.12/24 dev eth1; ip route replace 20.1.1.0/24 dev eth1",
    ),
)  # fmt: skip
NEIGHBOURS = (
    one(
        "static-neighbour", "lannet-2a, eth0", "lannet-2a",
        "ip neighbour replace 20.1.1.65 lladdr 02:00:00:00:00:42 dev eth0 nud permanent",
        "ip neighbour delete 20.1.1.65 dev eth0",
    ),
    one(
        "arp-off", "lannet-2a, eth0", "lannet-2a", "ip link set eth0 arp off",
        "ip link set eth0 arp on",
    ),
)  # fmt: skip
ROUTES = (
    one(
        "default-route-missing", "lannet-2a, eth0", "lannet-2a", "ip route delete default",
        "ip route add default dev eth0",
    ),
    one(
        "default-route-missing", "lannet-2a, eth0", "lannet-2a",
        "ip link set eth0 down; ip link set eth0 up", "ip route add default dev eth0", other=True,
    ),
    one(
        "blackhole-route", "lannet-2a", "lannet-2a", "ip route add blackhole 20.1.1.65",
        "ip route delete blackhole 20.1.1.65",
    ),
    one(
        "blackhole-route", "lannet-2a", "lannet-2a", "ip route add prohibit 20.1.1.65",
        "ip route delete prohibit 20.1.1.65", other=True,
    ),
    one(
        "wrong-next-hop", "lannet-2a, eth0", "lannet-2a",
        "ip route add 20.1.1.65 via 20.1.1.190 dev eth0", "ip route delete 20.1.1.65",
    ),
    one(
        "wrong-device", "lannet-2a, lo", "lannet-2a", "ip route add 20.1.1.65 dev lo",
        "ip route delete 20.1.1.65", pairs=("lannet-2a lannet-1a",),
    ),
    one(
        "policy-rule", "lannet-2a", "lannet-2a", "ip rule add to 20.1.1.65 priority 100 blackhole",
        "ip rule delete priority 100",
    ),
    one(
        "policy-rule", "lannet-2a", "lannet-2a",
        """
ip route replace blackhole default table 77
ip rule add to 20.1.1.65 priority 100 table 77
""",
        "ip rule delete priority 100; ip route flush table 77", other=True,
    ),
    one(
        "node-route-missing", "core-02, eth1", "core-02", "ip route delete 20.1.1.0/24 dev eth1",
        "ip route add 20.1.1.0/24 dev eth1",
    ),
)  # fmt: skip
FILTERS = (
    one(
        "container-drops-incoming", "lannet-2a", "lannet-2a", "iptables -I INPUT -j DROP",
        "iptables -D INPUT -j DROP",
    ),
    one(
        "container-drops-incoming", "lannet-2a, eth0", "lannet-2a",
        TC_IN.format("eth0", "protocol all matchall"), NO_TC_IN.format("eth0"), other=True,
    ),
    one(
        "container-drops-outgoing", "ipnet-2b", "ipnet-2b", "iptables -P OUTPUT DROP",
        "iptables -P OUTPUT ACCEPT",
    ),
    one(
        "container-drops-outgoing", "ipnet-2b, eth0", "ipnet-2b",
        "tc qdisc add dev eth0 root netem loss 100%", "tc qdisc delete dev eth0 root", other=True,
    ),
    one(
        "container-drops-protocol", "lannet-2a", "lannet-2a", "iptables -I INPUT -p icmp -j DROP",
        "iptables -D INPUT -p icmp -j DROP",
    ),
    one(
        "container-drops-protocol", "lannet-2a, eth0", "lannet-2a",
        TC_IN.format("eth0", "protocol ip flower ip_proto icmp"), NO_TC_IN.format("eth0"),
        other=True,
    ),
    one(
        "container-drops-protocol-out", "lannet-2a", "lannet-2a",
        "iptables -t raw -I OUTPUT -p udp -j DROP", "iptables -t raw -D OUTPUT -p udp -j DROP",
        other=True,
    ),
    one(
        "container-refuses", "lannet-2a", "lannet-2a",
        "iptables -I INPUT -p tcp --dport 27007 -j REJECT",
        "iptables -D INPUT -p tcp --dport 27007 -j REJECT",
    ),
    one(
        "node-drops", "core-02, eth1", "core-02", "iptables -I INPUT -i eth1 -j DROP",
        "iptables -D INPUT -i eth1 -j DROP",
    ),
    one(
        "node-drops", "core-02, eth1", "core-02", "iptables -t raw -I PREROUTING -i eth1 -j DROP",
        "iptables -t raw -D PREROUTING -i eth1 -j DROP", other=True,
    ),
    one("echo-ignored", "lannet-2a", "lannet-2a",
        "echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all",
        "echo 0 > /proc/sys/net/ipv4/icmp_echo_ignore_all",
    ),
    one(
        "parent-drops-incoming", "core-02, eth1", "core-02",
        TC_IN.format("eth1", "protocol all matchall"), NO_TC_IN.format("eth1"),
    ),
    one(
        "parent-drops-outgoing", "core-02, eth1", "core-02",
        TC_OUT.format("eth1", "protocol all matchall"), NO_TC_OUT.format("eth1"),
    ),
    one(
        "parent-drops-outgoing", "core-02, eth1", "core-02",
        "tc qdisc add dev eth1 root netem loss 100%", "tc qdisc delete dev eth1 root", other=True,
    ),
)  # fmt: skip
# The kernel's own processes alone: it panics where one that it traces is stopped.
HANG = """
for process in /proc/[0-9]*; do
    tr '\\0' '\\n' < $process/cmdline 2>/dev/null | grep -qx umid=core-02 || continue
    grep -q '^TracerPid:[[:space:]]*0$' $process/status || continue
    kill -{} ${{process#/proc/}}
done
"""
ATTACH = """
pid=$(crun state lannet-2a | sed -n 's/.*"pid": *\\([0-9]*\\).*/\\1/p')
ip netns attach lannet-2a "$pid"
"""
MACHINES = (
    one("node-hung", "core-02", "switch", HANG.format("STOP"), HANG.format("CONT")),
    one(
        "namespace-gone", "lannet-2a", "core-02", "ip netns delete lannet-2a",
        ATTACH,
    ),
    one(
        "neighbour-table-full", "core-02", "core-02",
        "for n in 1 2 3; do sysctl -qw net.ipv4.neigh.default.gc_thresh$n=4; done",
        "sysctl -qw net.ipv4.neigh.default.gc_thresh3=16384 net.ipv4.neigh.default.gc_thresh2=8192"
        " net.ipv4.neigh.default.gc_thresh1=4096",
    ),
)  # fmt: skip
COREOS = (*LINKS, *DRIVERS, *SWITCH, *ADDRESSES, *NEIGHBOURS, *ROUTES, *FILTERS, *MACHINES)
SHIM_AGAIN = """
ip link add link eth1 name sh-mac address 02:75:10:02:00:00 type macvlan mode bridge
ip address add 10.1.1.12/32 dev sh-mac
ip link set sh-mac up
ip route add 10.1.1.64/26 dev sh-mac
ip route add 10.1.1.128/26 dev sh-mac
"""
SHIMS = (
    one(
        "shim-missing", "core-02, sh-mac", "core-02", "ip link delete sh-mac",
        SHIM_AGAIN, lab="shim",
    ),
)  # fmt: skip

BY_HAND = (
    *COREOS,
    *DOCKER_VLAN,
    *IPVLAN_MODES,
    *DUAL_STACK,
    *ONE_OF_EACH,
    *ROUTED,
    *TWO_NETWORKS,
    *OF_FILTERS,
    *SLAAC,
    *SEEN,
    *UNREAD,
    *CARRIERS,
    *FINDING,
    *PODMAN_DHCP,
    *POLICIES,
    *SHIMS,
)
