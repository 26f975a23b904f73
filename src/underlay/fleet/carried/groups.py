"""The containers of a lab: those that hosts' files name, and one for each network without any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from underlay.errors import Spot
from underlay.fleet.carried.nets import Group
from underlay.fleet.carried.values import INSTEAD, Carried, LeftOut, container_of
from underlay.fleet.document import Document
from underlay.fleet.host import Address, Container, Host

# Networks of engines that are no network of a file's: what stands for no network of its own.
MODES = ("host", "none", "bridge", "default", "private", "pasta", "slirp4netns")


# Networks that are another container's.
SHARED = ("service:", "container:")


# What is called so in a lab already.
MACHINES = ("switch", "dhcp-server", "all")


@dataclass
class Entry:
    """A group of containers as the lab has it: see lab/model.py, Containers."""

    on: list[str]
    networks: list[str]
    spot: Spot
    name: str = ""
    count: int = 1
    four: dict[str, str] = field(default_factory=dict)
    six: dict[str, str] = field(default_factory=dict)
    macs: dict[str, str] = field(default_factory=dict)
    note: str = ""
    # Where the file says an address, by the key and the network that it is under.
    places: dict[tuple[str, str], Spot] = field(default_factory=dict)
    # The file that starts it, by node, where one does.
    documents: dict[str, Document] = field(default_factory=dict)

    @property
    def is_fixed(self) -> bool:
        """Whether something in it is one container's alone."""
        return bool(self.four or self.six or self.macs)

    def words(self, nodes: Sequence[str]) -> dict[str, Any]:
        """Return the entry in the lab's words; ``nodes`` are all that the lab has."""
        on: object = "all" if self.on == list(nodes) and len(nodes) > 1 else self.on
        said: dict[str, Any] = {"on": on[0] if isinstance(on, list) and len(on) == 1 else on}
        said |= {"name": self.name} if self.name else {}
        said |= {"count": self.count} if self.count > 1 else {}
        said["networks"] = self.networks
        found = (("addresses", self.four), ("addresses6", self.six), ("macs", self.macs))
        return said | {key: value for key, value in found if value}


def put_containers(
    carried: Carried, groups: Sequence[Group], hosts: Sequence[Host], nodes: dict[str, str]
) -> None:
    """Say the lab's containers; ``nodes`` are the lab's names by host."""
    entries = _joined(
        [
            *(entry for host in hosts for entry in _of_files(carried, groups, host, nodes)),
            *(entry for group in groups for entry in _assumed(groups, group, hosts, nodes)),
        ]
    )
    carried.put(("containers",), [entry.words(list(nodes.values())) for entry in entries])
    for position, entry in enumerate(entries):
        place = ("containers", position)
        carried.origins[place] = entry.spot
        for node, document in entry.documents.items():
            carried.starters[position, node] = document
        for (key, network), spot in entry.places.items():
            carried.origins[(*place, key, network)] = spot
        if entry.note:
            carried.assume(place, entry.note, entry.spot)
    _same_names(carried, entries)


def fixed_addresses(groups: Sequence[Group], hosts: Sequence[Host]) -> dict[str, set[Address]]:
    """Return the addresses that files give to containers, by the lab's network."""
    found: dict[str, set[Address]] = {group.name: set() for group in groups}
    for host in hosts:
        for one in host.fixed:
            if one.address is not None:
                group = _group(groups, host.name, one.network)
                found.setdefault(group.name if group else "", set()).add(one.address)
        for container in host.containers:
            for network, addresses, _ in container.networks:
                group = _group(groups, host.name, network, container.runtime)
                found.setdefault(group.name if group else "", set()).update(addresses)
    return found


def _group(
    groups: Sequence[Group],
    host: str,
    name: str,
    runtime: str = "",
    document: Document | None = None,
) -> Group | None:
    """Return the lab's network that files of ``host`` call ``name``, by that or as its alias.

    Of several the one counts that ``document`` itself makes.
    """
    runtime = INSTEAD.get(runtime, runtime)
    found: Group | None = None
    for group in groups:
        for uplink in group.uplinks:
            one = uplink.network
            names = (one.alias, one.name, one.engine_name) if one.alias else (one.name,)
            if one.host == host and name in names and runtime in ("", one.runtime):
                if one.document is document:
                    return group
                found = found or group
    return found


def _of_files(
    carried: Carried, groups: Sequence[Group], host: Host, nodes: dict[str, str]
) -> Iterator[Entry]:
    for container in host.containers:
        if container.count < 1 or container.idle:
            why = container.idle or "no replica of it is started"
            carried.leave(container.spot, container.name, why)
            one = LeftOut(container.spot, container.name, why)
            carried.lost.setdefault(container.name, one)
            continue
        node = nodes[host.name]
        entry = Entry([node], [], container.spot, count=container.count)
        if container.runtime not in INSTEAD:
            entry.documents[node] = container.document.starter
        entry.name = container_of(container.name)
        if entry.name in {*nodes.values(), *MACHINES}:
            entry.name = f"{entry.name}-container"
        if entry.name != container.name:
            entry.note = f"{container.name!r} of {host.name} is called {entry.name} here"
        lost: LeftOut | None = None
        for network, addresses, mac in container.networks:
            group = _group(groups, host.name, network, container.runtime, container.document)
            if group is None:
                what = f"{container.name} in {network or 'no network of its own'}"
                shared = network.startswith(SHARED)
                why = "it has that one's networks" if shared else "the lab has no such network"
                # Such a one has its host's addresses, which nobody meets any other way for it.
                own = network in ("none", "host")
                why = "it has its host's own network" if network == "host" else why
                matters = not own and not shared
                lost = LeftOut(container.spot, what, why, matters)
                carried.leave(lost.spot, what, why, matters=matters)
                continue
            if group.name in entry.networks:
                continue
            entry.networks.append(group.name)
            if container.runtime in INSTEAD:
                entry.note = _not_given(container, group, addresses) or entry.note
            for address in addresses:
                family = entry.four if address.version == 4 else entry.six
                if group.name in family:
                    what = f"the address {address} of {container.name}"
                    known = family[group.name]
                    why = f"a lab's container has one of each family in a network: {known}"
                    spots = (one.spot for one in host.fixed if one.address == address)
                    carried.leave(next(spots, container.spot), what, why)
                    continue
                family[group.name] = str(address)
                key = "addresses" if address.version == 4 else "addresses6"
                spots = (one.spot for one in host.fixed if one.address == address)
                entry.places[key, group.name] = next(spots, container.spot)
            if mac:
                entry.macs[group.name] = mac.lower().replace("-", ":")
        if entry.networks:
            yield entry
        elif lost is not None:
            carried.lost.setdefault(container.name, lost)


def _not_given(container: Container, group: Group, addresses: Sequence[Address]) -> str:
    """Say which addresses the lab gives a container whose own files give it none."""
    lacking = {pool.subnet.version for uplink in group.uplinks for pool in uplink.network.pools}
    lacking -= {address.version for address in addresses}
    if not lacking or group.first.ipam != "static":
        return ""
    which = " and ".join(f"IPv{version}" for version in sorted(lacking))
    return (
        f"no file gives {container.name} of {container.host} an {which} address in {group.name}:"
        " the lab does"
    )


def _assumed(
    groups: Sequence[Group], group: Group, hosts: Sequence[Host], nodes: dict[str, str]
) -> Iterator[Entry]:
    """Yield a container on each host of a network in which no file names one."""
    known = {host.name: host for host in hosts}
    for name in group.hosts:
        host = known[name]
        used = (
            _group(groups, name, network, container.runtime, container.document)
            for container in host.containers
            for network, _, _ in container.networks
        )
        if any(one is group for one in used):
            continue
        network = next(s.network for s in group.uplinks if s.network.host == name)
        entry = Entry([nodes[name]], [group.name], network.spot())
        entry.note = f"no file names a container of {group.name}: one on each of its hosts"
        for fixed in host.fixed:
            if fixed.network == network.name and network.runtime == "cni":
                if fixed.address is not None:
                    family = entry.four if fixed.address.version == 4 else entry.six
                    family[group.name] = str(fixed.address)
                if fixed.mac:
                    entry.macs[group.name] = fixed.mac.lower().replace("-", ":")
        yield entry


def _joined(apart: Sequence[Entry]) -> list[Entry]:
    """Return the entries with those of several nodes made one that are alike."""
    found: list[Entry] = []
    for entry in apart:
        alike = (
            one
            for one in found
            if (one.name, one.networks, one.count) == (entry.name, entry.networks, entry.count)
            and not one.is_fixed
            and not entry.is_fixed
            and entry.on[0] not in one.on
        )
        if (other := next(alike, None)) is not None:
            other.on += entry.on
            other.documents |= entry.documents
        else:
            found.append(entry)
    return found


def _same_names(carried: Carried, entries: Sequence[Entry]) -> None:
    """Say that containers of one name on several hosts have a number and a letter in a lab."""
    count: dict[str, int] = {}
    for entry in entries:
        count[entry.name] = count.get(entry.name, 0) + entry.count * len(entry.on)
    said: set[str] = set()
    for position, entry in enumerate(entries):
        if entry.name and count[entry.name] > 1 and entry.name not in said:
            said.add(entry.name)
            text = (
                f"{count[entry.name]} containers are called {entry.name}: a lab's have the"
                f" number of their node and a letter behind it, such as {entry.name}-1a"
            )
            kind = "containers of one name"
            carried.assume(("containers", position), text, entry.spot, kind=kind)
