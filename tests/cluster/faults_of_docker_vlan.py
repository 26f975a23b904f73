"""Faults by hand in the lab docker-vlan: Docker, and VLANs on a trunk."""

from __future__ import annotations

from cluster.hand import BY_NFT, BY_NFT_AT, NO_NFT, NO_NFT_AT, Hand, one

LAB = "docker-vlan"
MAC70_2A = "02:75:10:02:00:01 192.168.70.129/24"
# networkd gives a VLAN its address back once it is up.
VLAN_UP = """
ip link set {0} up
tries=0
until ip -4 address show dev {0} | grep -q 'inet 192'; do
    tries=$((tries + 1)); test $tries -lt 100; sleep 0.1
done
"""


def child(parent: str, mac_and_address: str = MAC70_2A) -> str:
    """Return the script that makes a container's interface again on a parent of its node."""
    mac, address = mac_and_address.split()
    return f"""
on_node="nsenter --target 1 --net --"
ip link delete eth0 2>/dev/null || :
$on_node ip link add link {parent} name born address {mac} netns $$ type macvlan mode bridge
ip link set born name eth0
ip address add {address} dev eth0
ip link set eth0 up
ip route replace default dev eth0
"""


TWIN = child("eth1.70", "02:75:10:02:00:02 192.168.70.130/24")
ANEW = """
ip link delete eth1.70
ip link add link eth1 name eth1.70 type vlan id {}
ip link set eth1.70 up
ip address replace 192.168.70.12/24 dev eth1.70
"""
# The kernel has taken the children with their parent: Docker makes them again.
EACH_AGAIN = """
ip link add link eth1 name eth1.80 type vlan id 80
ip link set eth1.80 up
ip address replace 192.168.80.12/24 dev eth1.80
for name in ip80-2a ip80-2b; do
    docker restart --time 0 $name >/dev/null
    pid=$(docker inspect --format '{{.State.Pid}}' $name)
    nsenter --target $pid --net ip route replace default dev eth0
done
"""
STARTED = """
docker start {0} >/dev/null
pid=$(docker inspect --format '{{{{.State.Pid}}}}' {0})
nsenter --target $pid --net ip route replace default dev eth0
"""
DOCKER_BACK = """
systemctl start docker.socket docker.service
for name in mac70-2a mac70-2b ip80-2a ip80-2b; do docker start $name >/dev/null; done
for name in mac70-2a mac70-2b ip80-2a ip80-2b; do
    pid=$(docker inspect --format '{{.State.Pid}}' $name)
    nsenter --target $pid --net ip route replace default dev eth0
done
"""
DOCKER_VLAN = (
    Hand(
        "wrong-vlan", "mac70-2a, eth0",
        (
            ("core-02", "ip link add link eth1 name eth1.90 type vlan id 90"),
            ("core-02", "ip link set eth1.90 up"),
            ("mac70-2a", child("eth1.90")),
        ),
        (("mac70-2a", child("eth1.70")), ("core-02", "ip link delete eth1.90")),
        lab=LAB,
    ),
    one(
        "vlan-not-on-trunk", "switch, trunk-2", "switch",
        BY_NFT.format(rule='iifname "trunk-2" vlan id 70 counter drop'), NO_NFT, lab=LAB,
    ),
    one(
        "vlan-not-on-trunk", "switch, trunk-2", "switch",
        BY_NFT_AT.format(port="trunk-2", rule="vlan id 80 counter drop"), NO_NFT_AT,
        other=True, lab=LAB,
    ),
    one(
        "parent-down", "core-02, eth1.80", "core-02", "ip link set eth1.80 down",
        VLAN_UP.format("eth1.80"), lab=LAB,
    ),
    one(
        "parent-down", "core-02, eth1.70", "core-02", "networkctl down eth1.70",
        VLAN_UP.format("eth1.70"), other=True, lab=LAB,
    ),
    one(
        "container-stopped", "mac70-2a", "core-02", "docker stop --time 0 mac70-2a >/dev/null",
        STARTED.format("mac70-2a"), lab=LAB,
    ),
    one(
        "container-stopped", "ip80-2b", "core-02",
        'kill -9 "$(docker inspect --format "{{.State.Pid}}" ip80-2b)"; sleep 1',
        STARTED.format("ip80-2b"), other=True, lab=LAB,
    ),
    Hand(
        "vlan-id", "core-02, eth1.70",
        (("core-02", ANEW.format(71)), ("mac70-2a", child("eth1.70")), ("mac70-2b", TWIN)),
        (("core-02", ANEW.format(70)), ("mac70-2a", child("eth1.70")), ("mac70-2b", TWIN)),
        lab=LAB,
    ),
    one(
        "parent-missing", "core-02, eth1.80", "core-02", "ip link delete eth1.80", EACH_AGAIN,
        other=True, lab=LAB,
    ),
    one(
        "docker-down", "core-02", "core-02", "systemctl stop docker.socket docker.service",
        DOCKER_BACK, lab=LAB,
    ),
    one(
        "docker-down", "core-02", "core-02",
        "systemctl mask --runtime docker.service 2>/dev/null; systemctl stop docker.socket;"
        " systemctl kill --signal=KILL docker.service; sleep 1",
        f"systemctl unmask --runtime docker.service 2>/dev/null\n{DOCKER_BACK}", other=True,
        lab=LAB,
    ),
    one(
        "macvlan-private", "mac70-2b, eth0", "mac70-2b",
        "ip link set eth0 type macvlan mode private", "ip link set eth0 type macvlan mode bridge",
        lab=LAB,
    ),
    one(
        "container-drops-protocol", "ip80-2a", "ip80-2a",
        "iptables -t mangle -I PREROUTING -p tcp -j DROP",
        "iptables -t mangle -D PREROUTING -p tcp -j DROP", other=True, lab=LAB,
    ),
    one(
        "cable-cut", "switch, trunk-3", "switch", "bridge link set dev trunk-3 state 0",
        "bridge link set dev trunk-3 state 3", lab=LAB,
    ),
    one(
        "duplicate-address", "ip80-2a, eth0", "ip80-2a",
        "ip address add 192.168.80.65/32 dev eth0", "ip address delete 192.168.80.65/32 dev eth0",
        lab=LAB,
    ),
)  # fmt: skip
