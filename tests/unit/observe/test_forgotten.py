"""Nothing waits for a neighbour any more once a probe has emptied the tables."""

from __future__ import annotations

from own_network import printed

# A node looks for addresses that nobody has, as a container asked for them, and can't tell it that:
# it answers no ARP. So it is with an ipvlan l3 child, which not every kernel can make.
SCRIPT = """
import json, socket, subprocess, sys
from underlay.observe.on_node import rtnetlink
from underlay.observe.on_node.station import Station

def ip(words):
    subprocess.run(["ip", *words.split()], check=True, timeout=10)

subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True, timeout=10)
ip("netns add child")
ip("link add far type veth peer name nic")
ip("link add gate address 02:00:00:00:00:01 type veth peer name eth0 netns child")
for name in ("lo", "far", "nic", "gate"):
    ip(f"link set {name} up")
ip("address add 192.168.70.11/24 dev nic")
ip("address add 10.3.0.1/24 dev gate")
with open("/proc/sys/net/ipv4/ip_forward", "w") as setting:
    setting.write("1")
ip("-n child address add 10.3.0.65/24 dev eth0")
ip("-n child link set eth0 up")
ip("-n child neighbour add 10.3.0.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent")
ip("-n child route add default via 10.3.0.1")
silent = "echo 8 > /proc/sys/net/ipv4/conf/all/arp_ignore"
subprocess.run(["ip", "netns", "exec", "child", "sh", "-c", silent], check=True, timeout=10)
station = Station({
    "nonce": "abcd", "port": 7777, "cells": [], "values": {}, "pace": 1, "families": [4],
    "protocols": ["udp"], "spaces": [
        ["", "node", "/proc/self/ns/net"], ["child", "container", "/run/netns/child"],
    ],
})
station.open()
node, child = station.spaces
with child:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for last in range(100, 110):
    made.sendto(b"anybody?", (f"192.168.70.{last}", 9))

def sought():
    every = rtnetlink.neighbours(node.netlink)
    return [socket.inet_ntoa(address) for _, address in every if len(address) == 4]

before = len(sought())
station.forget()
found = sought()
station.close()
print(json.dumps([before, found]))
"""


def test_what_a_node_cannot_say_does_not_wait() -> None:
    """It would wait in the socket by which the node's kernel answers everybody's echo requests."""
    before, found = printed(SCRIPT, mounts=True)
    assert before >= 10
    assert found == []
