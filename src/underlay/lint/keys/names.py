"""Names that lead nowhere, are taken, or give two devices one name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_interface

from underlay.errors import did_you_mean
from underlay.lab import Containers, HostPort
from underlay.lab.text import Place, Problem, quoted
from underlay.lint.keys.parts import Parts
from underlay.plan import MANAGEMENT_SEGMENT, SWITCH
from underlay.plan.naming import bridge_name, second_port_name
from underlay.plan.naming import port_name as node_port_name
from underlay.plan.statements import CONTAINERS, HOSTS, NODES

# What a node can't be called, and whose name it is.
NODE_NAMES = {
    "all": "`on: all` means every node",
    "localhost": "each machine is that to itself",
    SWITCH: "the switch has it",
}
# moby refuses to make networks of these names: `IsPreDefinedNetwork`.
DOCKER_NAMES = ("bridge", "host", "none", "default")
# `podman network create`: `conflicts with a valid network mode`, and its own network's name. A file
# of such a name is read; measured with 5.4, `--network bridge` then is podman's own network all
# the same, and `--network host` the node's namespace.
PODMAN_NAMES = (
    "bridge", "container", "default", "host", "none", "ns", "pasta", "podman", "private",
    "slirp4netns",
)  # fmt: skip
# Taken as modes, but refused only as a further network (pkg/specgen, ParseNetworkFlag).
PODMAN_MODES = ("pod", "path")
RESERVED = {"docker": ("Docker", DOCKER_NAMES), "podman": ("podman", PODMAN_NAMES)}


def groups(parts: Parts) -> Iterator[Problem]:
    """Groups of containers name networks and nodes that exist, each once, of one runtime."""
    for index, group in parts.loose_groups.items():
        place: Place = ("containers", index, "networks")
        yield from parts.repeated(place, group.networks, "the network")
        for position, name in enumerate(group.networks):
            yield from parts.unknown((*place, position), name, parts.network_names)
        runtimes: dict[str, str] = {}
        for position, name in enumerate(group.networks):
            network = parts.loose_networks.get(name)
            if network is None:
                continue
            runtimes.setdefault(network.runtime, name)
            if len(runtimes) > 1:
                first = next(iter(runtimes))
                found = f"{name} of runtime {network.runtime}"
                expected = f"networks of runtime {first} only, as {runtimes[first]} is"
                yield parts.text.problem((*place, position), found, expected)
                break
            if network.runtime == "podman" and position and name in PODMAN_MODES:
                expected = "it first, or another name: podman takes a further one for a mode"
                hint = did_you_mean(_free(name, parts.network_names))
                yield parts.text.problem((*place, position), quoted(name), expected, hint)


def node_name(parts: Parts) -> Iterator[Problem]:
    """Nodes have names of their own, which stand beside no count and no prefix."""
    written = parts.text.data.get("nodes")
    in_full = isinstance(written, dict)
    for key in ("count", "prefix"):
        if in_full and "names" in written and key in written:
            expected = "names alone: they say it already"
            yield parts.text.problem(("nodes", key), f"{key} beside names", expected, at_key=True)
    if not parts.nodes or not parts.nodes.names:
        return
    place: Place = ("nodes", "names") if in_full else ("nodes",)
    yield from parts.repeated(place, parts.nodes.names, "the node")
    for position, name in enumerate(parts.nodes.names):
        if name in NODE_NAMES:
            expected = f"another: {NODE_NAMES[name]}"
            yield parts.text.problem((*place, position), quoted(name), expected)


def nodes(parts: Parts) -> Iterator[Problem]:
    """Groups of containers name nodes that exist, each once."""
    for index, group in parts.loose_groups.items():
        place: Place = ("containers", index, "on")
        if not parts.nodes or group.on == "all":
            continue
        if isinstance(group.on, str):
            yield from parts.unknown(place, group.on, ["all", *parts.node_names])
            continue
        yield from parts.repeated(place, group.on, "the node")
        for position, node in enumerate(group.on):
            yield from parts.unknown((*place, position), node, parts.node_names)


def names(parts: Parts) -> Iterator[Problem]:
    """Names that were cut to the kernel's 15 characters are still different."""
    taken: dict[str, str] = {}
    for name in parts.segment_names:
        if name == MANAGEMENT_SEGMENT:
            yield parts.text.problem(
                ("segments", name), quoted(name), "another name: eth0's segment has it", at_key=True
            )
        count = parts.nodes.count if parts.nodes else 0
        made = [bridge_name(name), *(node_port_name(name, i) for i in range(1, count + 1))]
        if name in parts.segments and parts.segments[name].bond:
            made += [second_port_name(name, i) for i in range(1, count + 1)]
        clash = next((m for m in made if m in taken), "")
        if clash:
            found = f"a name that gives the interface {clash}"
            yield parts.text.problem(
                ("segments", name),
                found,
                f"another one: {taken[clash]} gives it too",
                "the first 10 characters of a segment's name tell its interfaces apart",
                at_key=True,
            )
        taken.update(dict.fromkeys(made, name))
    for name, network in parts.loose_networks.items():
        runtime, reserved = RESERVED.get(network.runtime, ("", ()))
        if name in reserved:
            expected = f"a name that {runtime} has not reserved"
            hint = did_you_mean(_free(name, parts.network_names))
            yield parts.text.problem(("networks", name), quoted(name), expected, hint, at_key=True)


def _free(name: str, taken: Sequence[str]) -> str:
    """Return a name like ``name`` that is nobody's."""
    return next(one for one in (f"{name}-net", f"{name}-network", f"my-{name}") if one not in taken)


def container_name(parts: Parts) -> Iterator[Problem]:
    """Names of containers, nodes and hosts are all different."""
    taken = dict.fromkeys(parts.node_names, "a node") | {SWITCH: "the switch"}
    for index, group in parts.containers.items():
        if group.name is None:
            continue
        place: Place = ("containers", index, "name")
        if group.name in taken:
            yield parts.text.problem(
                place, quoted(group.name), f"another: {taken[group.name]} has it"
            )
        elif len(group.name) == 1 and _by_docker(parts, group):
            expected = "two characters or more: Docker takes no shorter name"
            yield parts.text.problem(place, quoted(group.name), expected)
    taken |= {group.name: "a container" for group in parts.containers.values() if group.name}
    for name in parts.hosts:
        if name in taken:
            expected = f"another: {taken[name]} has it"
            yield parts.text.problem(("hosts", name), quoted(name), expected, at_key=True)


def labels(parts: Parts) -> Iterator[Problem]:
    """A label is the name of nothing else, so that statements mean the same to all."""
    taken = dict.fromkeys(parts.node_names, "a node") | dict.fromkeys(
        parts.network_names, "a network"
    )
    taken |= dict.fromkeys(parts.hosts, "an external host")
    taken |= {group.name: "a group" for group in parts.loose_groups.values() if group.name}
    taken |= dict.fromkeys((NODES, HOSTS, CONTAINERS), "the word for all of a kind")
    for index, group in parts.loose_groups.items():
        place: Place = ("containers", index, "labels")
        yield from parts.repeated(place, group.labels, "the label")
        for position, name in enumerate(group.labels):
            if name in taken:
                expected = f"another label: {taken[name]} is called so"
                yield parts.text.problem((*place, position), quoted(name), expected)


def _by_docker(parts: Parts, group: Containers) -> bool:
    networks = (parts.loose_networks.get(name) for name in group.networks)
    return any(network and network.runtime == "docker" for network in networks)


def hosts(parts: Parts) -> Iterator[Problem]:
    """External hosts sit in segments that exist, once in each VLAN, at addresses of their own."""
    seen: dict[str, str] = {}
    for name, host in parts.hosts.items():
        for segment, on in host.on.items():
            place: Place = ("hosts", name, "on", segment)
            yield from parts.unknown(place, segment, parts.segment_names, at_key=True)
            vlans: set[int | None] = set()
            for position, port in enumerate(host.ports(segment)):
                spot: Place = (*place, position) if isinstance(on, list) else place
                yield from _host_vlan(parts, spot, port, vlans)
                vlans.add(port.vlan)
                for number, address in enumerate(port.addresses):
                    own = str(ip_interface(address).ip)
                    if own in seen:
                        at: Place = (*spot, "addresses", number)
                        yield parts.text.problem(at, address, f"another: {seen[own]} has it")
                    seen[own] = name


def _host_vlan(
    parts: Parts, place: Place, port: HostPort, taken: set[int | None]
) -> Iterator[Problem]:
    """A sub-interface has addresses of its own: the segment's subnet is the untagged one's."""
    if port.vlan is None:
        if None in taken:
            expected = "a vlan of its own: the NIC itself is named already"
            yield parts.text.problem(place, "a second port without a vlan", expected)
        return
    if port.vlan in taken:
        spot: Place = (*place, "vlan")
        yield parts.text.problem(spot, f"the VLAN {port.vlan} a second time", "it once")
    if not port.addresses:
        expected = "addresses beside it, of a network in that VLAN"
        found = f"the VLAN {port.vlan} without an address"
        yield parts.text.problem((*place, "vlan"), found, expected, at_key=True)


def port_name(parts: Parts) -> Iterator[Problem]:
    """A port is named by the node or host that is plugged in there."""
    for name, segment in parts.segments.items():
        hosts = [host for host, value in parts.hosts.items() if name in value.on]
        choices = [*parts.node_names, *hosts]
        for station in segment.ports if parts.nodes else ():
            place: Place = ("segments", name, "ports", station)
            yield from parts.unknown(place, station, choices, at_key=True)
