"""What puts a fault right, as steps with real names: read off the evidence or off the plan.

What discards packets is removed by the words in which it was printed. What a namespace has lost
is given back as planned, each line on its own, so that it can be pasted and read.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from underlay.faults.step import Step
from underlay.plan import family_of, own_addresses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.faults.scene import Child, Scene
    from underlay.faults.step import Proof

COUNTER = re.compile(r"counter packets \d+ bytes \d+")
COUNTED_RULE = re.compile(r"^\[\d+:\d+\] -A (.*)$")
POLICY = re.compile(r"^:(\S+) DROP ")
# A rule has a handle, by which alone nft deletes it, and prints it only when asked.
NFT_DELETE = """\
nft -a list $1 | sed "s/counter packets [0-9]* bytes [0-9]*/counter/" | while read -r line; do
    case $line in
        chain*) chain=${line#chain }; chain=${chain%% *} ;;
        "$2 # handle "*) nft delete rule ${1#table } "$chain" handle "${line##* }" ;;
    esac
done"""
NFT_POLICY = """\
nft list $1 | while read -r line; do
    case $line in
        chain*) chain=${line#chain }; chain=${chain%% *} ;;
        "$2") nft chain ${1#table } "$chain" "{ policy accept; }" ;;
    esac
done"""


def removing(target: str, proof: Proof) -> Iterator[Step]:
    """Yield what removes the rule, filter or queue of ``proof``, which discards packets."""
    lines, words = proof.lines, proof.command.split()
    if words[0] in ("iptables-save", "ip6tables-save") and lines:
        # The nodes' own iptables is the legacy one, whose rules iptables-legacy-save shows.
        program = words[0].replace("-save", "-legacy")
        table = lines[0].removeprefix("*")
        chosen = [] if table == "filter" else ["-t", table]
        if policy := POLICY.match(lines[-1]):
            yield Step(target, shlex.join([program, "-w", "5", *chosen, "-P", policy[1], "ACCEPT"]))
        elif rule := COUNTED_RULE.match(lines[-1]):
            deleted = [*chosen, "-D", *shlex.split(rule[1])]
            yield Step(target, shlex.join([program, "-w", "5", *deleted]))
    elif words[:4] == ["tc", "-s", "filter", "show"]:
        device, side = words[5:7]
        header = " ".join(lines).split()
        if "pref" in header:
            number = header[header.index("pref") + 1]
            yield Step(target, f"tc filter delete dev {device} {side} pref {number}")
    elif words[:4] == ["tc", "-s", "qdisc", "show"]:
        yield Step(target, f"tc qdisc delete dev {words[5]} root")
    elif words[0] == "nft" and len(lines) == 2:
        table, line = lines
        if " hook " in line:
            yield Step(target, NFT_POLICY, (table, line))
        else:
            yield Step(target, NFT_DELETE, (table, COUNTER.sub("counter", line)))


def removed(target: str, proofs: tuple[Proof, ...]) -> list[Step]:
    """Return what removes all that ``proofs`` show to discard packets."""
    return [step for proof in proofs for step in removing(target, proof)]


def given_back(scene: Scene, target: str, device: str = "") -> list[Step]:
    """Return what gives a container or node its planned addresses and routes, of a device or all.

    A container's default route comes last, a node's routes after its addresses.
    """
    lines: list[str] = []
    for child in scene.children:
        if child.container == target and device in ("", child.interface):
            lines += _of_child(child)
    for node in scene.plan.nodes:
        if node.name != target:
            continue
        for interface, addresses in own_addresses(node).items():
            if interface == device:
                lines += [_address(str(address), device) for address in addresses]
        for route in node.routes:
            if route.interface == device:
                by = f" via {route.via}" if route.via else ""
                lines.append(f"ip{_six(route.to)} route replace {route.to}{by} dev {device}")
    return [Step(target, line) for line in lines]


def _of_child(child: Child) -> Iterator[str]:
    network, device = child.network, child.interface
    if child.address:
        yield _address(f"{child.address}/{child.prefix}", device)
    subnet6 = network.pool_of(child.address6).subnet
    # What is in no subnet, or advertised, the kernel makes by itself.
    if subnet6 and not network.slaac:
        yield _address(f"{child.address6}/{subnet6.rpartition('/')[2]}", device)
    for route in network.routes:
        by = f"via {route.via} " if route.via else ""
        yield f"ip{_six(route.to)} route replace {route.to} {by}dev {device}"
    for family, own in ((4, child.address), (6, child.address6)):
        if not own or (family == 6 and network.slaac):
            continue
        gateway = network.pool_of(own).gateway
        words = "ip -6 route replace" if family == 6 else "ip route replace"
        if network.default_route == "gateway" and gateway:
            yield f"{words} default via {gateway} dev {device}"
        elif network.default_route == "on-link":
            yield f"{words} default dev {device}"


def _address(address: str, device: str) -> str:
    # A duplicate of its own would be found where a packet of before still travels.
    quick = " nodad" if ":" in address else ""
    return f"ip address replace {address} dev {device}{quick}"


def _six(network: str) -> str:
    return " -6" if family_of(network) == 6 else ""
