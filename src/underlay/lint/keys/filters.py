"""Packet filters that lead nowhere or can't be held, and ports that can't be asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from underlay.lab import Filter
from underlay.lab.text import Place, Problem
from underlay.lint.keys.parts import Parts
from underlay.plan.filters import is_name
from underlay.plan.naming import PROBE_PORT

# What these checks send is not predicted behind a filter.
UNFILTERED = ("source", "pmtu", "broadcast", "multicast", "macs")
# Where the probe itself answers, and the nodes' way in.
TAKEN = {PROBE_PORT: "the probe's own: plain tcp and udp ask there", 22: "the nodes' own ssh"}


def filters(parts: Parts) -> Iterator[Problem]:
    """A filter's names are known ones, and its keys fit each other."""
    for number, one in parts.filters.items():
        place: Place = ("filters", number)
        names = [one.on] if isinstance(one.on, str) else one.on
        for position, name in enumerate(names):
            spot: Place = (*place, "on") if isinstance(one.on, str) else (*place, "on", position)
            if not _named(parts, name):
                yield from parts.unknown(spot, name, _choices(parts))
        for key, whom in (("from", one.from_), ("to", one.to)):
            if whom and is_name(whom) and not _named(parts, whom):
                yield from parts.unknown((*place, key), whom, _choices(parts))
        yield from _keys(parts, place, one)
        yield from _nodes_alone(parts, place, one, names)


def _keys(parts: Parts, place: Place, one: Filter) -> Iterator[Problem]:
    if one.port is not None and one.protocol not in ("tcp", "udp"):
        yield parts.text.problem(
            (*place, "port"),
            f"a port with the protocol {one.protocol or 'left out'}",
            "protocol: tcp or protocol: udp beside it",
            at_key=True,
        )
    if one.action == "reject" and one.direction != "in":
        yield parts.text.problem(
            (*place, "action"),
            f"reject of what goes {one.direction}",
            "direction: in, or drop",
            "who sends it would tell itself that it can't",
        )
    if one.bridged and one.direction != "forward":
        yield parts.text.problem(
            (*place, "bridged"),
            f"bridged with the direction {one.direction}",
            "direction: forward beside it",
            "a bridge asks the node's forward chain",
            at_key=True,
        )


def _nodes_alone(parts: Parts, place: Place, one: Filter, names: list[str]) -> Iterator[Problem]:
    others = [name for name in names if name not in parts.node_names]
    if one.bridged and others and parts.node_names:
        yield parts.text.problem(
            (*place, "bridged"),
            f"bridged on {others[0]}",
            "nodes only: they have the bridges",
            at_key=True,
        )
    overlaid = [name for name, n in parts.networks.items() if n.traits.overlay]
    if one.state and overlaid and len(others) < len(names):
        yield parts.text.problem(
            (*place, "state"),
            f"a state on a node, which has the overlay {overlaid[0]}",
            "filters without state there",
            "a tunnel's packets of both ways are no connection",
            at_key=True,
        )
    serving = [name for name in names if name in parts.hosts and parts.hosts[name].serves]
    if serving and one.action != "accept" and one.protocol in (None, "udp") and not one.port:
        yield parts.text.problem(
            (*place, "on"),
            f"{serving[0]}, whose DHCP or router advertisements it would take",
            "a protocol and a port",
        )


def filters_and_checks(parts: Parts) -> Iterator[Problem]:
    """What is seen behind a filter isn't predicted: its lab asks for reachability, ARP and ND."""
    asked = parts.text.data.get("checks")
    for position, check in enumerate(asked if parts.filters and isinstance(asked, list) else ()):
        if check in UNFILTERED:
            yield parts.text.problem(
                ("checks", position),
                f"{check} in a lab with filters",
                "arp, nd, or a lab of its own for it",
                "its packets would meet the filters, and what they show isn't predicted",
            )


def chosen_port(parts: Parts) -> Iterator[Problem]:
    """A port of one's choice is nobody else's, and each stands once."""
    asked = parts.text.data.get("protocols")
    lists: list[tuple[Place, Any]] = [(("protocols",), asked)]
    lists += [(("containers", n, "listens"), g.listens) for n, g in parts.containers.items()]
    lists += [(("hosts", n, "listens"), h.listens) for n, h in parts.hosts.items()]
    for place, words in lists:
        for position, word in enumerate(words if isinstance(words, list) else ()):
            port = str(word).partition(":")[2]
            if port.isdigit() and int(port) in TAKEN:
                yield parts.text.problem(
                    (*place, position), f"the port {port}", f"another: it is {TAKEN[int(port)]}"
                )
            if word in words[:position]:
                yield parts.text.problem((*place, position), f"{word} a second time", "it once")


def _choices(parts: Parts) -> list[str]:
    """Return every name that may stand in a filter."""
    groups = [group.name for group in parts.loose_groups.values() if group.name]
    return [*dict.fromkeys((*groups, *parts.network_names, *parts.node_names, *parts.hosts))]


def _named(parts: Parts, name: str) -> bool:
    """Whether ``name`` may be a container's: its group's or network's, and which of them it is."""
    stem, _, which = name.rpartition("-")
    return stem in _choices(parts) and re.fullmatch("[0-9]+[a-z]+", which) is not None
