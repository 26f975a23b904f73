"""A lab file that mirrors what a survey found, so that the same network can be tried on nodes.

Pure: a survey goes in, text comes out. Its segments have the policies that the switch showed, and
each has a network whose containers reach each other there, if any driver's do. What no lab can say
stands in comments at the beginning.
"""

from __future__ import annotations

import io
import ipaddress
import re
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from underlay.errors import BadInput
from underlay.lint.loaded import load_bytes
from underlay.observe.survey.wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from underlay.observe.survey.model import Machine, Port, Survey

LARGEST, LEAST = 1500, 576  # what a lab's segment takes
MOST_NODES, MOST_SEGMENTS = 20, 8
SIBLINGS = 2
HEAD = "Made by `underlay survey -o`: segments of machines that exist, and what their switch does."
# Where a segment's own subnet can't be had, and where containers get addresses: RFC 1918.
SEGMENTS, CONTAINERS = "192.168.{}.0/24", "10.{}.0.0/24"


@dataclass
class _Lab:
    """The lab under way, and what it can't say."""

    nodes: dict[str, str]
    segments: dict[str, dict[str, Any]] = field(default_factory=dict)
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    interfaces: dict[str, dict[str, Any]] = field(default_factory=dict)
    unsaid: list[str] = field(default_factory=list)
    taken: list[IPv4Network] = field(default_factory=list)


def lab_text(survey: Survey, name: str) -> str:
    """Return the text of a lab called ``name`` that mirrors ``survey``.

    Raises BadInput where there is nothing to mirror: frames say what a switch does.
    """
    if not survey.sent:
        raise BadInput(
            "a lab of the machines' segments needs --send: only frames show what a switch does"
        )
    for own_addresses in (True, False):
        text = _text(survey, name, own_addresses=own_addresses)
        loaded = load_bytes(Path(f"{name}.yml"), f"{name}.yml", text.encode())
        if not loaded.errors or not own_addresses:
            break
    return text


def _text(survey: Survey, name: str, *, own_addresses: bool) -> str:
    machines = [one for one in survey.machines if not one.failed]
    lab = _Lab(_node_names(machines[:MOST_NODES]))
    if len(machines) > MOST_NODES:
        lab.unsaid.append(f"{len(machines) - MOST_NODES} more machines")
    if not own_addresses:
        lab.unsaid.append("the machines' own addresses, which lint would refuse in a lab")
    for number, group in enumerate(survey.groups, 1):
        wiring = Wiring(survey, group)
        if len(wiring.machines) > 1 and wiring.ports:
            if len(lab.segments) < MOST_SEGMENTS:
                _add(lab, wiring, number, own_addresses=own_addresses)
            else:
                lab.unsaid.append(f"the segment {group.name}, as it would be one too many")
    if not lab.segments:
        raise BadInput("no two machines have NICs in one segment: there is no network to mirror")
    document: dict[str, Any] = {"name": _word(name, "rack"), "nodes": _nodes(lab)}
    document |= {"segments": lab.segments}
    if lab.networks:
        count = SIBLINGS if len(lab.nodes) <= MOST_NODES // 2 else 1
        document["networks"] = lab.networks
        document["containers"] = [
            {"on": "all", "count": count, "networks": [each]} for each in lab.networks
        ]
    comments = [HEAD, *([_unsaid(lab)] if lab.unsaid else [])]
    return "".join(f"# {line}\n" for line in comments) + _yaml(document)


def _unsaid(lab: _Lab) -> str:
    return f"What a lab can't say: {'; '.join(dict.fromkeys(lab.unsaid))}."


def _nodes(lab: _Lab) -> dict[str, Any]:
    found: dict[str, Any] = {"names": list(lab.nodes.values()), "profile": "lean"}
    if lab.interfaces:
        found["interfaces"] = lab.interfaces
    return found


def _add(lab: _Lab, wiring: Wiring, number: int, *, own_addresses: bool) -> None:
    """Add a segment with its policies, and a network on it that works there."""
    name = _unlike(_word(wiring.group.name, f"seg{number}"), lab.segments)
    nics = _nics(lab, wiring)
    absent = [machine for machine in lab.nodes if machine not in nics]
    if absent:
        lab.unsaid.append(f"{', '.join(absent)} has no NIC in {name}")
    subnet = _subnet(lab, wiring, own_addresses=own_addresses)
    segment: dict[str, Any] = {"subnet": str(subnet), **_policies(lab, wiring, name)}
    interface = _interface(lab, nics, name)
    if interface:
        segment["interface"] = interface
    ports = _ports(lab, wiring, nics)
    if ports:
        segment["ports"] = ports
    lab.segments[name] = segment
    if own_addresses:
        _addresses(lab, wiring, nics, subnet, interface or f"eth{len(lab.segments)}")
    _add_network(lab, wiring, name, number)


def _nics(lab: _Lab, wiring: Wiring) -> dict[str, str]:
    """Return the NIC by which each machine is in a segment: a lab has one."""
    found: dict[str, str] = {}
    for machine, nic in wiring.nics():
        if machine.name in found:
            lab.unsaid.append(f"{machine.name} is in {wiring.group.name} by {nic} as well")
        elif machine.name in lab.nodes:
            found[machine.name] = nic
    return found


def _policies(lab: _Lab, wiring: Wiring, name: str) -> dict[str, Any]:
    """Return what the switch does, in the words of a lab's segment."""
    found: dict[str, Any] = {}
    if wiring.sizes and wiring.sizes[0] < LARGEST:
        found["mtu"] = max(LEAST, wiring.sizes[0])
    if wiring.sizes and wiring.sizes[0] > LARGEST:
        lab.unsaid.append(f"packets of {wiring.sizes[0]} bytes in {name}")
    if "works" in (wiring.reflects.verdict, wiring.reflects_own.verdict):
        found["hairpin"] = True
    if wiring.group.stated and not _passing(wiring):
        found["isolated"] = True
    asked = [port.sources for port in wiring.ports if port.sources is not None]
    if asked and min(passed for passed, _ in asked) < max(sent for _, sent in asked):
        found["locked"] = True
        if any(passed for passed, _ in asked):
            lab.unsaid.append(f"a limit of MAC addresses in {name}: locked takes none but a node's")
    elif any(port.returned and port.returned[0] < port.returned[1] for port in wiring.ports):
        # As on macvtap, whose NIC is handed what is for its own address alone.
        found["locked"] = True
        lab.unsaid.append(
            f"in {name} what other MAC addresses send gets out, and only answers to them are lost:"
            " locked takes neither"
        )
    multicast = _multicast(wiring)
    if "unknown_multicast" in multicast and found.pop("hairpin", False):
        lab.unsaid.append(f"ports that reflect in {name}, where unknown multicast is dropped, too")
    return found | multicast


def _multicast(wiring: Wiring) -> dict[str, Any]:
    heard = [wiring.hears(family, members=True) for family in (4, 6)]
    if any(one is not None and one[0] < one[1] for one in heard):
        return {"snooping": True, "unknown_multicast": "drop"}
    others = [wiring.hears(family, members=False) for family in (4, 6)]
    if any(one is not None and one[0] < one[1] for one in others):
        return {"snooping": True, "querier": True}
    return {}


def _passing(wiring: Wiring) -> bool:
    """Whether any frame passes between its ports, with or without a tag."""
    return any(port.reaches or any(port.vlans.values()) for port in wiring.ports)


def _ports(lab: _Lab, wiring: Wiring, nics: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return the VLANs of a switch's ports, by node; nothing where it passes every tag asked."""
    tags = wiring.group.vlans
    carried = all(wiring.carries(tag).verdict == "works" for tag in tags)
    if not tags or not _passing(wiring) or (carried and wiring.tag is None):
        return {}
    by_name = {port.name: port for port in wiring.ports}
    found = {}
    for machine, nic in nics.items():
        port = by_name.get(f"{machine}:{nic}")
        if port is not None:
            found[lab.nodes[machine]] = _port_vlans(port, wiring.ports, tags)
    return found


def _port_vlans(port: Port, ports: Sequence[Port], tags: Sequence[int]) -> dict[str, Any]:
    """Return whether a port is a trunk, and of which tags, or has one VLAN without a tag."""
    # What leaves a trunk has a tag; what leaves an access port never has.
    every = [end for one in ports for ends in one.vlans.values() for end in ends]
    trunk = {tag for tag in tags if f"{port.name}={tag}" in every}
    # What it sends without a tag arrives elsewhere with one, or the other way round.
    untagged = [int(end.partition("=")[2]) for end in port.vlans.get(0, [])]
    for one in ports:
        untagged += [tag for tag in tags if f"{port.name}=none" in one.vlans.get(tag, [])]
    plain = bool(port.reaches) or bool(untagged)
    native = Counter(untagged).most_common(1)[0][0] if untagged else 1
    if not trunk:
        return {"access": native}
    # A native VLAN is one of a trunk's own.
    return {"trunk": sorted(trunk | ({native} if plain else set()))} | (
        {"native": native} if plain else {}
    )


def _interface(lab: _Lab, nics: dict[str, str], name: str) -> str:
    """Return what all machines call their NIC there, where that isn't what a lab calls it."""
    names = set(nics.values())
    if len(names) > 1:
        told = ", ".join(f"{machine}:{nic}" for machine, nic in nics.items())
        lab.unsaid.append(f"the NICs of {name} have several names ({told})")
        return ""
    own = next(iter(names), "")
    used = {segment.get("interface") for segment in lab.segments.values()}
    able = re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_.-]{0,14}", own) is not None
    reserved = own == "eth0" or re.fullmatch(r"eth[0-9]+", own) is not None
    if own == f"eth{len(lab.segments) + 1}" or own in used:
        return ""
    if not able or reserved:
        lab.unsaid.append(f"the NICs of {name} are called {own}")
        return ""
    return own


def _subnet(lab: _Lab, wiring: Wiring, *, own_addresses: bool) -> IPv4Network:
    """Return the subnet of most of a segment's machines, or a free one."""
    counted: Counter[IPv4Network] = Counter()
    for machine, nic in wiring.nics():
        for interface in _own(machine, nic):
            if isinstance(interface, ipaddress.IPv4Interface) and interface.network.prefixlen < 31:
                counted[interface.network] += 1
    for network, _ in counted.most_common() if own_addresses else ():
        if not any(network.overlaps(other) for other in lab.taken):
            lab.taken.append(network)
            return network
    return _free(lab, SEGMENTS, range(70, 250))


def _own(machine: Machine, nic: str) -> Iterator[ipaddress.IPv4Interface | ipaddress.IPv6Interface]:
    link = machine.link(nic)
    above = machine.link(link.master) if link and link.master else None
    for text in (link.addresses if link else []) or (above.addresses if above else []):
        yield ipaddress.ip_interface(text)


def _addresses(
    lab: _Lab, wiring: Wiring, nics: dict[str, str], subnet: IPv4Network, interface: str
) -> None:
    for machine, nic in nics.items():
        mine = [str(one) for one in _own(wiring.survey.machine(machine), nic) if one.ip in subnet]
        if mine:
            lab.interfaces.setdefault(lab.nodes[machine], {})[interface] = {"addresses": mine[:1]}


def _add_network(lab: _Lab, wiring: Wiring, name: str, number: int) -> None:
    """Add the network that works there: macvlan where ports pass MAC addresses, else ipvlan."""
    passes = wiring.takes_sources.verdict != "fails"
    network: dict[str, Any] = {
        "driver": "macvlan" if passes else "ipvlan",
        "segment": name,
        "subnet": str(_free(lab, CONTAINERS, range(100 + number, 250))),
        "runtime": "iproute2",
    }
    if wiring.tag:
        network["vlan"] = wiring.tag
    lab.networks[_unlike(_word(f"{name}-net", f"net{number}"), lab.networks)] = network


def _free(lab: _Lab, form: str, octets: Iterable[int]) -> IPv4Network:
    for octet in octets:
        network = IPv4Network(form.format(octet))
        if not any(network.overlaps(other) for other in lab.taken):
            lab.taken.append(network)
            return network
    raise BadInput("the machines' networks leave no subnet for containers")


def _node_names(machines: Sequence[Machine]) -> dict[str, str]:
    """Return what each machine is called in a lab, where names are a label of small letters."""
    found: dict[str, str] = {}
    for number, machine in enumerate(machines, 1):
        label = machine.name.lower().partition(".")[0]
        label = re.sub(r"[^a-z0-9-]+", "-", label).strip("-")[:60] or f"node-{number}"
        found[machine.name] = _unlike(label, found.values())
    return found


def _word(text: str, otherwise: str) -> str:
    """Return ``text`` as a lab's word: small letters, digits and single hyphens."""
    word = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:18].strip("-")
    return word if re.match("[a-z]", word) else otherwise


def _unlike(word: str, others: Iterable[str]) -> str:
    """Return ``word``, with a number behind it where one of ``others`` is called so."""
    known = set(others)
    if word not in known:
        return word
    return next(name for i in range(2, 1000) if (name := f"{word[:16]}-{i}") not in known)


def _yaml(document: dict[str, Any]) -> str:
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 4096
    made = io.StringIO()
    yaml.dump(document, made)
    return made.getvalue()
