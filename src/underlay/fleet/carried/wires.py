"""Which of hosts' NICs are on one wire: by the addresses that they have, or as it is stated.

Two NICs whose addresses, or those of their sub-interfaces in one VLAN, are in one subnet are on
one segment. Where a NIC has no address, the subnet of the container networks that sit on it
tells as much, and that is said. What neither tells has to be asked for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

from underlay.errors import BadInput, Spot, did_you_mean, listed, nearest
from underlay.fleet.carried.values import NoLab
from underlay.fleet.host import Host, Link, Network, Subnet
from underlay.plan.naming import nic_and_tag

HINT = "--segment NAME=HOST:NIC,HOST:NIC says which NICs are on one wire"
# Smaller subnets are no LAN's: a point-to-point link or a single address.
LONGEST = {4: 30, 6: 126}

# A NIC of a host, by the host's name and its own.
Port = tuple[str, str]
# What tells a wire: a VLAN, or none, and a subnet in it.
Mark = tuple[int | None, Subnet]


@dataclass(frozen=True)
class Uplink:
    """Where a network sits on its host: the NIC, the VLAN there, and the sub-interface's name.

    ``made`` says that no file makes the sub-interface.
    """

    network: Network
    nic: str
    vlan: int | None = None
    through: str = ""
    made: bool = False

    @property
    def port(self) -> Port:
        """The host and its NIC."""
        return self.network.host, self.nic


@dataclass
class Wire:
    """The NICs that are on one segment. ``stated`` is the name that the user gave it.

    ``marks`` are subnets that its NICs have addresses in, each with a line that says so.
    """

    ports: list[Port] = field(default_factory=list)
    marks: dict[Mark, Spot] = field(default_factory=dict)
    stated: str = ""
    # What joined NICs that have no addresses in common: a network's name and its line.
    joined: list[tuple[Port, str, Spot]] = field(default_factory=list)

    @property
    def nic(self) -> str:
        """What most of its hosts call the NIC; of names as frequent, the first."""
        return Counter(nic for _, nic in self.ports).most_common(1)[0][0]


def uplink_of(host: Host, network: Network) -> Uplink:
    """Return where ``network`` sits; raise BadInput for a parent that the host doesn't have."""
    name = network.parent
    found = _links(host, name)
    vlan = network.tag
    link = next((one for one in found if one.vlan is not None), None)
    if link is not None and vlan is None:
        lower = next((one.lower for one in found if one.lower), "")
        return Uplink(network, lower or nic_and_tag(name, ())[0], link.vlan, name)
    base, tag = nic_and_tag(name, ())
    if not found and tag and (not host.links or _links(host, base)):
        # Docker makes it itself (moby, macvlan_setup.go, createVlanLink).
        return Uplink(
            network, base, int(tag), name, bool(host.links) and network.runtime != "docker"
        )
    if not found and host.links:
        names = [word for one in host.links for word in one.name.split()]
        choice = nearest(name, names)
        raise NoLab(
            network.spot("master"),
            f"{network.name or 'the network'} sits on {name!r}, expected"
            f" an interface of {host.name}: {listed(dict.fromkeys(names))}",
            hint=did_you_mean(choice) or "name one of these, or add the file that makes it",
        )
    return Uplink(network, name, vlan)


def _links(host: Host, name: str) -> list[Link]:
    exact = [link for link in host.links if link.name == name]
    return exact or [link for link in host.links if link.fits(name)]


@dataclass(frozen=True)
class Built:
    """A bond or bridge of a host: what it is made of, and its mode."""

    kind: str
    mode: str
    members: tuple[str, ...]
    spot: Spot


def built(host: Host, name: str) -> Built | None:
    """Return what the device called ``name`` is built of; None where no file says that."""
    found = [link for link in host.links if link.name == name and link.kind]
    if not found:
        return None
    below = [word for link in host.links if link.master == name for word in link.name.split()]
    below += [member for link in found for member in link.members]
    mode = next((link.bond_mode for link in found if link.bond_mode), "")
    return Built(found[0].kind, mode, tuple(dict.fromkeys(below)), found[0].spot)


def marks_of(host: Host, nic: str) -> Iterator[tuple[Mark, Spot]]:
    """Yield what tells the wire of a NIC: subnets of its addresses, and of its VLANs'."""
    over = {link.name for link in host.links if nic in link.members}
    over |= {link.master for link in host.links if nic in link.name.split() and link.master}
    tags = {link.name: link.vlan for link in host.links if link.vlan is not None}
    lower = {link.name: link.lower for link in host.links if link.lower}
    for link in host.links:
        if link.name in (nic, *over) or (link.name not in tags and link.fits(nic)):
            vlan = None
        elif link.name in tags and lower.get(link.name, nic_and_tag(link.name, ())[0]) == nic:
            vlan = tags[link.name]
        else:
            continue
        for interface, spot in link.addresses:
            subnet = interface.network
            if subnet.prefixlen <= LONGEST[subnet.version] and not subnet.is_link_local:
                yield (vlan, subnet), spot


def wires(
    hosts: Sequence[Host], uplinks: Sequence[Uplink], stated: dict[str, list[Port]]
) -> list[Wire]:
    """Return the segments of all NICs that ``uplinks`` are on; those ``stated`` are as they are.

    Raises BadInput where the files don't tell, or say that two NICs of a host are on one.
    """
    found = [_stated(hosts, name, ports) for name, ports in stated.items()]
    taken = {port for wire in found for port in wire.ports}
    by_name = {host.name: host for host in hosts}
    for port in dict.fromkeys(uplink.port for uplink in uplinks):
        if port not in taken:
            marks = dict(marks_of(by_name[port[0]], port[1]))
            found.append(Wire([port], marks))
    found = _met(found)
    found = _met_by_networks(found, uplinks)
    for wire in found:
        _refuse_two(wire, by_name)
    _refuse_untold(found, uplinks, hosts)
    for host in hosts:
        _beside(found, host)
    return sorted(found, key=lambda wire: _natural(wire.nic))


def _natural(name: str) -> list[tuple[int, str]]:
    """Return what sorts names as people count them: eth2 before eth10."""
    return [
        (int(part), "") if part.isdigit() else (-1, part) for part in re.split("([0-9]+)", name)
    ]


def _stated(hosts: Sequence[Host], name: str, ports: list[Port]) -> Wire:
    known = {host.name: host for host in hosts}
    wire = Wire(stated=name)
    for host, nic in ports:
        if host not in known:
            raise BadInput(
                f"--segment {name}: found the host {host!r}, expected one of {listed(known)}",
                hint=did_you_mean(nearest(host, known)) or HINT,
            )
        wire.ports.append((host, nic))
        wire.marks.update(dict(marks_of(known[host], nic)))
    return wire


def _met(apart: list[Wire]) -> list[Wire]:
    """Return the wires with those made one that have a mark in common."""
    found: list[Wire] = []
    for wire in apart:
        near = [] if wire.stated else [one for one in found if _share(one, wire)]
        whole = wire
        for other in near:
            found.remove(other)
            whole = _joined(other, whole)
        found.append(whole)
    return found


def _share(one: Wire, other: Wire) -> bool:
    return not one.stated and bool(one.marks.keys() & other.marks.keys())


def _joined(first: Wire, second: Wire) -> Wire:
    return Wire(
        [*first.ports, *second.ports],
        {**second.marks, **first.marks},
        "",
        [*first.joined, *second.joined],
    )


def _met_by_networks(apart: list[Wire], uplinks: Sequence[Uplink]) -> list[Wire]:
    """Return the wires with those joined that carry one network, where one lacks an address."""
    found: list[Wire] = []
    for wire in apart:
        whole = wire
        for other in list(found):
            shared = _one_network(other, whole, uplinks)
            if shared is not None:
                first, second = shared
                found.remove(other)
                whole = _joined(other, whole)
                spot = second.network.pools[0].spot
                whole.joined.append((second.port, first.network.name, spot))
        found.append(whole)
    return found


def _one_network(one: Wire, other: Wire, uplinks: Sequence[Uplink]) -> tuple[Uplink, Uplink] | None:
    """Return where the two carry one network's subnet in one VLAN, if nothing keeps them apart."""
    both = {host for host, _ in one.ports} & {host for host, _ in other.ports}
    if one.stated or other.stated or both or _apart(one, other):
        return None
    pairs = product(
        (uplink for uplink in uplinks if uplink.port in one.ports),
        (uplink for uplink in uplinks if uplink.port in other.ports),
    )
    return next(
        (
            (first, second)
            for first, second in pairs
            if first.vlan == second.vlan and _one_subnet(first.network, second.network)
        ),
        None,
    )


def _apart(first: Wire, second: Wire) -> bool:
    """Whether both have addresses in one VLAN, which are not in one subnet."""
    return bool({vlan for vlan, _ in first.marks} & {vlan for vlan, _ in second.marks})


def _one_subnet(one: Network, two: Network) -> bool:
    mine = {pool.subnet for pool in one.pools}
    return bool(mine & {pool.subnet for pool in two.pools})


def _refuse_two(wire: Wire, hosts: dict[str, Host]) -> None:
    count = Counter(host for host, _ in wire.ports)
    host = next((name for name, times in count.items() if times > 1), "")
    if host:
        nics = [nic for name, nic in wire.ports if name == host]
        spots = [str(spot) for nic in nics for _, spot in marks_of(hosts[host], nic)][:2]
        where = f" ({' and '.join(spots)})" if spots else ""
        raise BadInput(
            f"{host}: {' and '.join(nics)} are both in one subnet{where}: expected one NIC of a"
            " host in each segment",
            hint=HINT,
        )


def _refuse_untold(found: list[Wire], uplinks: Sequence[Uplink], hosts: Sequence[Host]) -> None:
    """Raise BadInput where a NIC tells nothing of its wire, and another host might be on it."""
    for wire in found:
        here = [uplink for uplink in uplinks if uplink.port in wire.ports]
        told = wire.stated or wire.marks or any(uplink.network.pools for uplink in here)
        others = {host.name for host in hosts} - {host for host, _ in wire.ports}
        if told or not here or not others:
            continue
        uplink = here[0]
        named = listed(f"{host}:{nic}" for host, nic in dict.fromkeys(s.port for s in uplinks))
        raise NoLab(
            uplink.network.spot("master"),
            f"which other hosts are on the wire of {uplink.nic} of"
            f" {uplink.network.host}? No file gives it an address, and {uplink.network.name} has no"
            " subnet",
            hint=f"{HINT}; the NICs under container networks are {named}",
        )


def _beside(found: list[Wire], host: Host) -> None:
    """Add the NIC of a host without such a network that has an address on a wire."""
    for wire in found:
        if wire.stated or host.name in {name for name, _ in wire.ports}:
            continue
        untagged = {mark for mark in wire.marks if mark[0] is None}
        for link in host.links:
            one_name = link.name.isprintable() and not any(c in link.name for c in "*?[! ")
            if one_name and link.vlan is None and link.kind in ("", "bond", "bridge"):
                marks = dict(marks_of(host, link.name))
                if marks.keys() & untagged:
                    wire.ports.append((host.name, link.name))
                    break
