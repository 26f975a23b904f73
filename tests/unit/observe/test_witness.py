"""What a probe's witness says of a phase is of that phase alone, in a real namespace."""

from __future__ import annotations

from own_network import printed

# Nothing is read between two phases, as on a node that has no time.
SCRIPT = """
import json, socket, subprocess
from underlay.observe.on_node.station import Station
from underlay.observe.on_node.witness import Witness

subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)
station = Station({
    "nonce": "ab", "port": 7777, "cells": [], "values": {}, "pace": 1, "families": [4],
    "protocols": ["tcp"], "spaces": [["", "node", "/proc/self/ns/net"]],
})
station.open()
(space,) = station.spaces
witness = Witness(station)

def send(to):
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        made.connect((to, 7777))

def left():
    station.loop.turn(0)
    found = {socket.inet_ntoa(row[1]) for row in witness.left[""] if row[2] == 6 and row[3] == 7777}
    return sorted(found)

witness.turn("together")
witness.begin()
send("127.0.0.2")
witness.turn("again-0")
witness.begin()
late = left()
send("127.0.0.3")
syns = [row.detail.split()[2:] for row in space.received["syn"]]
print(json.dumps([late, left(), syns]))
station.close()
"""


def test_what_was_not_read_yet_is_of_the_phase_before() -> None:
    late, after, syns = printed(SCRIPT)
    assert late == []
    # The twin: what leaves in the phase itself is seen.
    assert after == ["127.0.0.3"]
    assert syns == [["127.0.0.2", "together"]]
