"""Tunnels of a lab that was just made are rid of the errors that they had while it was made.

A GRE tunnel whose other end isn't there yet gets ICMP errors for what it sends. For 30 s it tells
the senders of its next packets, one for each error, that the other end is out of reach, and sends
the packets all the same: a connection that a node begins or takes then is reset (Linux
net/ipv4/ip_tunnel.c, ip_tunnel_xmit, err_count; IPTUNNEL_ERR_TIMEO). Nodes make their tunnels one
sooner, one later. Once all are there, frames that nobody minds use up those errors.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from underlay.cluster import ssh
from underlay.cluster.process import run

if TYPE_CHECKING:
    from pathlib import Path

    from underlay.plan import Plan

KIND = "gretap"
DEADLINE = 60.0
# To the address of IEEE 802.3's pause frames, which no bridge passes on (802.1Q, 8.6.3; Linux
# net/bridge/br_input.c, br_handle_frame), with the ethertype for experiments (802, 9.2.3).
SCRIPT = """\
import contextlib, socket, sys
for name in sys.argv[1:]:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with made, contextlib.suppress(OSError):  # it is down, or somebody has removed it
        made.bind((name, 0))
        head = bytes.fromhex("0180c2000001") + made.getsockname()[4] + bytes.fromhex("88b5")
        for _ in range(200):
            made.send(head + bytes(46))
"""


def quieten(plan: Plan, state: Path) -> None:
    """Have no tunnel of the running ``plan`` tell of errors from before its other end was there.

    ``state`` is the lab's state folder, with ssh_config. Raises Infrastructure where a node can't
    be reached.
    """
    tunnels = {
        node.name: [link.interface for link in node.links if link.kind == KIND]
        for node in plan.nodes
    }
    asked = [
        ssh.command(state / "ssh_config", node, ["sudo", "-n", "python3", "-ISc", SCRIPT, *names])
        for node, names in tunnels.items()
        if names
    ]
    if asked:
        with ThreadPoolExecutor(len(asked)) as pool:
            list(pool.map(lambda command: run(command, deadline=DEADLINE), asked))
