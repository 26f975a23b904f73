"""What nodes' own interfaces are given, and the nodes that a fleet's hosts are."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_interface

from underlay.errors import did_you_mean, nearest
from underlay.lab import Network
from underlay.lab.model import NodeInterface
from underlay.lab.text import Place, Problem, quoted
from underlay.lint.keys.interfaces import made_on_nodes, taken_on_nodes
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


def node_vlans(parts: Parts) -> Iterator[Problem]:
    """A node's VLAN sub-interfaces: its own are each of one VLAN, and what it lacks nobody needs.

    A second one of the same NIC and VLAN the kernel refuses: Linux net/8021q/vlan.c,
    vlan_check_real_dev.
    """
    for node, interfaces in parts.nodes.interfaces.items() if parts.nodes else ():
        tags = _tags(parts, interfaces)
        seen: dict[tuple[str, int], str] = {}
        for name, tag in tags.items():
            first = seen.setdefault(tag, name)
            if first != name:
                written = name if name in interfaces else first
                place: Place = ("nodes", "interfaces", node, written)
                expected = (
                    f"one name for VLAN {tag[1]} of {tag[0]}, of {' and '.join((first, name))}"
                )
                hint = f"absent: true, for the one that {node} hasn't"
                yield parts.text.problem(place, quoted(written), expected, hint, at_key=True)
        for name, one in interfaces.items():
            yield from _own_vlan(parts, ("nodes", "interfaces", node, name), one)
            yield from _lacked(parts, node, name, one)


def _tags(parts: Parts, interfaces: dict[str, NodeInterface]) -> dict[str, tuple[str, int]]:
    """Return the NIC and the VLAN of each sub-interface of a node, by name."""
    found = _of_networks(parts)
    for name, one in interfaces.items():
        nic = parts.uplinks.nics.get(one.segment or "")
        if one.absent:
            found.pop(name, None)
        elif nic is not None and one.vlan is not None:
            found[name] = (nic, one.vlan)
    return found


def _of_networks(parts: Parts) -> dict[str, tuple[str, int]]:
    """Return the NIC and the VLAN of each sub-interface that networks sit on, by name."""
    return {
        parts.uplink(network): (parts.interface(network), vlan)
        for network in parts.loose_networks.values()
        if (vlan := parts.vlan(network)) is not None and _is_made(network)
    }


def _is_made(network: Network) -> bool:
    return not network.is_closed and network.traits.attach != "moved"


def _own_vlan(parts: Parts, place: Place, one: NodeInterface) -> Iterator[Problem]:
    """A sub-interface of a node's own has a segment and a VLAN, and a name that is free."""
    if one.segment is None and one.vlan is None:
        return
    if one.segment is None or one.vlan is None:
        key, lacking = ("vlan", "segment") if one.segment is None else ("segment", "vlan")
        found = f"{key} without {lacking}"
        yield parts.text.problem((*place, key), found, f"{lacking} beside it", at_key=True)
        return
    yield from parts.unknown((*place, "segment"), one.segment, parts.segment_names)
    name = str(place[-1])
    who = taken_on_nodes(parts).get(name)
    if who:
        expected = f"another name: {who}"
        yield parts.text.problem(place, quoted(name), expected, at_key=True)


def _lacked(parts: Parts, node: str, name: str, one: NodeInterface) -> Iterator[Problem]:
    """What a node lacks is a VLAN's, and none of its own containers or devices sit on it."""
    place: Place = ("nodes", "interfaces", node, name)
    tag = _of_networks(parts).get(name)
    nic = parts.uplinks.nics.get(one.segment or "")
    other = one.vlan is not None and tag is not None and (nic, one.vlan) != tag
    if one.absent and (one.addresses or one.routes or one.vlan is not None):
        expected = "nothing beside it: what isn't there has neither"
        yield parts.text.problem((*place, "absent"), "absent", expected, at_key=True)
    if one.absent and tag is None:
        expected = "a VLAN's sub-interface that a network sits on"
        yield parts.text.problem((*place, "absent"), "absent", expected, at_key=True)
    if not (one.absent or other):
        return
    for label, network in parts.loose_networks.items():
        if parts.uplink(network) != name or not _is_made(network):
            continue
        needs = "containers of" if parts.used(label).get(node) else ""
        needs = needs or ("the tunnels of" if network.traits.overlay else "")
        if needs:
            key = "absent" if one.absent else "vlan"
            expected = (
                f"VLAN {tag[1] if tag else ''} of {tag[0] if tag else ''}: {needs} {label} need it"
            )
            yield parts.text.problem((*place, key), f"{key}", expected, at_key=True)


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
            if one.segment is None and one.vlan is None and name not in made:
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
