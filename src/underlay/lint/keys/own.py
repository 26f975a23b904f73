"""What nodes' own interfaces are given, and the nodes that a fleet's hosts are."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_interface

from underlay.errors import did_you_mean, nearest
from underlay.lab.text import Place, Problem, quoted
from underlay.lint.keys.interfaces import made_on_nodes
from underlay.lint.keys.parts import Parts
from underlay.plan import family_of


def fleet_node(parts: Parts) -> Iterator[Problem]:
    """Every host of a fleet is a node."""
    for host in parts.text.data.get("fleet") or ():
        yield from parts.unknown(("fleet", host), host, parts.node_names, at_key=True)


def fleet_nics(parts: Parts) -> Iterator[Problem]:
    """Which NIC of which host is plugged in where is asked of a fleet alone."""
    if parts.text.data.get("fleet"):
        return
    for name, segment in parts.segments.items():
        if segment.nics:
            place: Place = ("segments", name, "nics")
            expected = "`interface`, which says what the NIC is called on every node"
            yield parts.text.problem(place, "nics without a fleet", expected, at_key=True)


def node_interfaces(parts: Parts) -> Iterator[Problem]:
    """Nodes' interfaces that are given addresses are there, and each address is one's alone.

    What two hosts' files say the same of, the rules about hosts find.
    """
    if parts.nodes is None:
        return
    made = list(dict.fromkeys(made_on_nodes(parts)))
    taken: dict[str, str] = {}
    for node, interfaces in parts.nodes.interfaces.items():
        here: Place = ("nodes", "interfaces", node)
        yield from parts.unknown(here, node, parts.node_names, at_key=True)
        for name, one in interfaces.items():
            place: Place = (*here, name)
            if name not in made:
                hint = did_you_mean(nearest(name, made))
                expected = f"an interface of the nodes: {', '.join(made)}"
                yield parts.text.problem(place, quoted(name), expected, hint, at_key=True)
            families: set[int] = set()
            for position, text in enumerate(one.addresses):
                spot: Place = (*place, "addresses", position)
                address, family = str(ip_interface(text).ip), family_of(text)
                if family in families:
                    yield parts.text.problem(spot, text, f"one IPv{family} address")
                elif address in taken and spot not in parts.text.elsewhere:
                    yield parts.text.problem(spot, text, f"another: {taken[address]} has it")
                families.add(family)
                taken.setdefault(address, f"{node}'s {name}")
