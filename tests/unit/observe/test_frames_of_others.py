"""Whose MAC address a frame has is known on a busy node, too: others' frames take no room."""

from __future__ import annotations

from own_network import printed

# Nothing is read while the datagrams come, as on a node that has no time.
SCRIPT = """
import json, socket, subprocess
from underlay.observe.on_node.hearing import watch
from underlay.observe.on_node.packets import token
from underlay.observe.on_node.station import Station

subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)
station = Station({
    "nonce": "abcd", "port": 7777, "cells": [], "values": {}, "pace": 1, "families": [4, 6],
    "protocols": ["udp"], "spaces": [["", "node", "/proc/self/ns/net"]],
})
station.open()
watch(station)
for family, here in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    with socket.socket(family, socket.SOCK_DGRAM) as made:
        for number in range(600):
            made.sendto(bytes(1000), (here, 7777))
            made.sendto(token(b"other", 1000 + number, "macs", 0), (here, 7777))
        for number in range(600):
            made.sendto(token(b"abcd", family, "macs", number), (here, 7777))
station.loop.turn(0)
rows = station.spaces[0].received.get("macs frame", [])
print(json.dumps([len({row.attempt for row in rows if row.number == one}) for one in (2, 10)]))
station.close()
"""


def test_frames_of_others_take_no_room() -> None:
    assert printed(SCRIPT) == [600, 600]
