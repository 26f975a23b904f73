"""A survey of machines, and what packets say to its sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cluster.commands import Done
from cluster.running import Checkout, Matrix
from foreign import USER, Foreign

ROOT_RIGHTS = f"{USER} ALL=(root) NOPASSWD: ALL"
# Networks by what may sit on one parent: macvlan and ipvlan children can't share one.
KINDS = {
    "mac": {"bri": "driver: macvlan", "vep": "driver: macvlan, mode: vepa"},
    "ip": {"ipl": "driver: ipvlan"},
    "ipv": {"ipv": "driver: ipvlan, flag: vepa"},
}
# A sentence's name by network, and whom of the cells it is about.
ABOUT = {
    "bri": {"macvlan-bridge-between": "between", "macvlan-bridge-beside": "beside"},
    "vep": {"macvlan-vepa-between": "between", "macvlan-vepa-beside": "beside"},
    "ipl": {"ipvlan-l2-between": "between", "ipvlan-l2-beside": "beside"},
    "ipv": {"ipvlan-l2-vepa-beside": "beside"},
}
SURVEY_DEADLINE = 300.0
# Interfaces with who listens there, groups, addresses, neighbours, routes, sockets and processes.
LOOKS = r"""
ip -details link | sed -E 's/(state|qlen|group) .*//'
ip maddress
ip address | grep -v valid_lft
ip neighbour | awk '{print $1, $2, $3, $4, $5}' | grep -v eth0 | sort
ip route; ip -6 route | sed -E 's/expires [0-9]+sec//' | sort
awk 'NR > 1 {print $3, $4, $5}' /proc/net/packet | sort
lsmod | awk '{print $1}' | sort
ps -eo user=,args= | grep -c python3 || true
"""

ENDING = "for _ in $(seq 100); do pgrep -x 'python3.*' > /dev/null || exit 0; sleep 0.2; done"


def words(machines: Foreign, segments: Mapping[str, object], *more: str) -> tuple[str, ...]:
    """Return the command's words, with each segment's NIC by name."""
    nics = [f"--segment={name}=eth{number}" for number, name in enumerate(segments, 1)]
    return ("survey", "-i", str(machines.inventory), *nics, *more)


def survey(here: Checkout, machines: Foreign, segments: Mapping[str, object], *more: str) -> Done:
    return here.underlay(*words(machines, segments, "--json", *more), deadline=SURVEY_DEADLINE)


def verdicts(document: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    return {(one["segment"], one["id"]): one["verdict"] for one in document["sentences"]}


def lies(
    document: Mapping[str, Any], matrix: Matrix, parts: Mapping[str, tuple[str, str]]
) -> tuple[list[str], int]:
    """Return sentences that packets contradict, and how many were held against packets."""
    found, held = [], 0
    said = verdicts(document)
    for segment, (kind, _) in parts.items():
        for short in KINDS[kind]:
            for ident, where in ABOUT[short].items():
                seen = reached(matrix, f"{segment}-{short}", where)
                assert seen, f"no cell for {ident} in {segment}"
                wanted = {"works": {True}, "fails": {False}}[said[segment, ident]]
                held += 1
                if seen != wanted:
                    found.append(f"{segment}: {ident}: said {said[segment, ident]}, seen {seen}")
    return found, held


def reached(matrix: Matrix, network: str, where: str, asked: str = "icmp") -> set[bool]:
    """Return whether containers of a network reached each other, pair by pair."""
    seen = set()
    for (source, destination, protocol), cell in matrix.cells.items():
        pair = [re.fullmatch(rf"{network}-(\d)[a-z]", end) for end in (source, destination)]
        if protocol != asked or None in pair or source == destination:
            continue
        nodes = [one[1] for one in pair if one]
        if (nodes[0] == nodes[1]) == (where == "beside"):
            silent = cell["observed"] == "not_measured" and cell["reason"]
            assert cell["observed"] in ("reachable", "unreachable") or silent, cell
            seen.add(cell["observed"] == "reachable")
    return seen


def looks(machines: Foreign) -> dict[str, str]:
    """Return what a survey could change, and time alone doesn't, of ``listed`` machines."""
    return {name: machines.root(name, LOOKS) for name in machines.listed}


def looks_before(machines: Foreign) -> dict[str, str]:
    """Return the same once whatever another test had run there has ended."""
    for name in machines.listed:
        machines.root(name, ENDING)
    return looks(machines)
