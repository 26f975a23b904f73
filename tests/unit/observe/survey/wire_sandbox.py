"""Machines on switches of every policy, as namespaces of this machine's kernel, for real frames.

Run as root inside a user, network, mount and PID namespace of its own:

    python wire_sandbox.py POLICIES

where POLICIES is a JSON mapping of a switch's name to commands of a shell, run where the switch
is. Each switch has three machines, whose NICs are called eth1; its ports are NAME1 to NAME3. All
are surveyed at once, and the survey is printed as JSON, with what is another than
before on the machines.
"""

from __future__ import annotations

import difflib
import json
import subprocess
import sys

from underlay.observe.survey.surveying import Wanted, survey

LISTING = """
for space in $(ls /run/netns); do
    ip -n $space -details address; ip -n $space maddress; ip -n $space neighbour; ip -n $space route
done
"""
BUILD = """
ip netns add {machine}
ip link add {port} type veth peer name eth1 netns {machine}
ip link set {port} master {switch} up
ip -n {machine} link set eth1 addrgenmode none
ip -n {machine} link set lo up
ip -n {machine} link set eth1 address 02:00:00:00:{octet:02x}:0{number}
ip -n {machine} address add 192.168.{octet}.{number}/24 dev eth1
ip -n {machine} address add fe80::{octet}:{number}/64 dev eth1 nodad
ip -n {machine} link set eth1 up
"""


def shell(script: str) -> str:
    done = subprocess.run(
        ["sh", "-euc", script], check=True, timeout=30, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def build(policies: dict[str, str]) -> dict[str, list[tuple[str, str]]]:
    """Return the segments, as ``--segment`` would name them."""
    shell("mount -t tmpfs none /run")
    segments: dict[str, list[tuple[str, str]]] = {}
    for octet, (switch, script) in enumerate(policies.items(), 1):
        shell(f"ip link add {switch} type bridge mcast_snooping 0; ip link set {switch} up")
        for number in (1, 2, 3):
            place = {"machine": f"{switch}-{number}", "port": f"{switch}{number}"}
            shell(BUILD.format(**place, switch=switch, octet=octet, number=number))
            segments.setdefault(switch, []).append((f"{switch}-{number}", "eth1"))
        shell(script.format(switch=switch, octet=f"{octet:02x}") or ":")
    return segments


def start(name: str, arguments: list[str], _: bool) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["ip", "netns", "exec", name, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def main() -> int:
    segments = build(json.loads(sys.argv[1]))
    names = [machine for ports in segments.values() for machine, _ in ports]
    before = shell(LISTING)
    found = survey(start, names, Wanted(segments=segments, send=True))
    after = shell(LISTING)
    changes = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0))
    print(json.dumps({"survey": found.model_dump(mode="json"), "changes": changes}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
