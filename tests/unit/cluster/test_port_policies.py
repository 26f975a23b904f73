"""A locked switch port, on this machine's kernel: what it learned before it was locked is gone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from underlay.cluster.port_policies import policies
from underlay.lint.read import read_lab
from underlay.plan import make_plan

LAB = """\
name: locked
nodes: 2
segments:
  lan: {subnet: 192.168.60.0/24, locked: true}
networks:
  plain: {driver: macvlan, segment: lan, subnet: 10.1.1.0/24, runtime: iproute2}
containers:
  - {on: all, networks: [plain]}
"""
ALONE = ["unshare", "--user", "--map-root-user", "--net"]
# Frames of the node's NIC and of a container enter by one port; printed is what leaves by the
# other, before the ports' policies and after them.
WIRE = """
import json, socket, subprocess, sys

bridge, ports, macs, commands = json.loads(sys.argv[1])

def run(words, text=""):
    subprocess.run(words, input=text, text=True, check=True, timeout=20)

run(["ip", "link", "add", bridge, "up", "type", "bridge", "mcast_snooping", "0"])
sockets = []
for number, port in enumerate(ports):
    run(["ip", "link", "add", port, "type", "veth", "peer", "name", f"nic{number}"])
    for name in (port, f"nic{number}"):
        run(["ip", "link", "set", name, "addrgenmode", "none", "up"])
    run(["ip", "link", "set", port, "master", bridge])
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
    made.bind((f"nic{number}", 0x88B5))
    made.settimeout(0.5)
    sockets.append(made)

def heard():
    found = []
    for mac in macs:
        said = bytes.fromhex("ff" * 6 + mac.replace(":", "")) + bytes.fromhex("88b5") + bytes(50)
        sockets[0].send(said)
        try:
            found.append(sockets[1].recv(100) == said)
        except TimeoutError:
            found.append(False)
    return found

before = heard()
for words, text in commands:
    run(words, text)
print(json.dumps([before, heard()]))
"""


def test_what_a_port_learned_before_it_was_locked_is_not_let_in(tmp_path: Path) -> None:
    file = tmp_path / "locked.yml"
    file.write_text(LAB)
    plan = make_plan(read_lab(file))
    (segment,) = plan.segments
    own = plan.nodes[0].nics[0].mac
    container = next(one for one in plan.containers if one.node == plan.nodes[0].name)
    said = [
        segment.bridge,
        [segment.ports[node.name] for node in plan.nodes],
        [own, container.attachments[0].mac],
        policies(plan, plan.nodes),
    ]
    done = subprocess.run(
        [*ALONE, sys.executable, "-P", "-c", WIRE, json.dumps(said)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[True, True], [True, False]]
