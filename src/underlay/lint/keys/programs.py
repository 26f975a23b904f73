"""Programs of the user's own in containers: where they can run, and the ports that they have."""

from __future__ import annotations

from collections.abc import Iterator

from underlay.lab.text import Place, Problem
from underlay.lint.keys.filters import TAKEN
from underlay.lint.keys.parts import Parts

WHOLE = "runtime: cni, docker or podman"


def program(parts: Parts) -> Iterator[Problem]:
    """A program of the user's own runs where a runtime starts containers as a whole."""
    lean = parts.nodes is not None and parts.nodes.profile == "lean"
    for index, group in parts.loose_groups.items():
        key = "image" if group.image else "command" if group.command else ""
        if not key:
            continue
        place: Place = ("containers", index, key)
        for name in group.networks[:1]:
            network = parts.loose_networks.get(name)
            if network and network.runtime == "iproute2":
                yield parts.text.problem(
                    place,
                    f"{key} on {name} of runtime iproute2",
                    f"{WHOLE} of that network",
                    "what ip makes is a network namespace, and no container runs in it",
                    at_key=True,
                )
            elif lean:
                yield parts.text.problem(
                    place,
                    f"{key} on lean nodes",
                    "profile: full below nodes",
                    "a lean node has no runtime: of a container it holds the namespace alone",
                    at_key=True,
                )


def program_ports(parts: Parts) -> Iterator[Problem]:
    """A port of a program of the user's own is nobody else's, and stands once."""
    for index, group in parts.loose_groups.items():
        place: Place = ("containers", index, "ports")
        for position, port in enumerate(group.ports):
            if port in TAKEN:
                found, expected = f"the port {port}", f"another: it is {TAKEN[port]}"
                yield parts.text.problem((*place, position), found, expected)
            elif port in group.ports[:position]:
                yield parts.text.problem((*place, position), f"{port} a second time", "it once")
            elif f"tcp:{port}" in group.listens:
                yield parts.text.problem(
                    (*place, position),
                    f"{port}, which `listens` names as well",
                    "it once: `ports` where the program listens, `listens` where Underlay does",
                )
