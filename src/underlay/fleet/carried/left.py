"""Which files and keys of a host a lab doesn't say: each is named, none is passed over.

Keys are compared as paths with slashes, in which lists count as their entries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from underlay.errors import Spot
from underlay.fleet.carried.bearing import file_matters, key_matters, link_matters
from underlay.fleet.carried.given import put_given
from underlay.fleet.carried.shims import shim_names
from underlay.fleet.carried.values import Carried
from underlay.fleet.carried.wires import Uplink, Wire
from underlay.fleet.document import Document, listed, mapping, word
from underlay.fleet.formats import (
    cloud_config,
    cni,
    ifupdown,
    ignition,
    inspected,
    nspawn,
    script,
)
from underlay.fleet.formats.ini import settings
from underlay.fleet.host import Address, Host, Link
from underlay.lab.text import Place, dotted
from underlay.plan.naming import node_address

_RANGE = "subnet|rangeStart|rangeEnd|gateway"
_WIDE = "range|range_start|range_end|exclude"
_POOL = "Subnet|IPRange|Gateway|AuxiliaryAddresses(/.*)?"
_OPTIONS = r"parent|macvlan_mode|ipvlan_mode|ipvlan_flag|com\.docker\.network\.driver\.mtu"
_DEVICE = "addresses|mtu|id|link|match(/(name|macaddress))?|set-name|interfaces|parameters(/mode)?"
# What `docker network inspect` says beside the configuration.
_SEEN = (
    "Id|Created|Scope|ConfigFrom(/Network)?|ConfigOnly|Attachable|Ingress"
    "|(Containers|Labels|Peers|Status)(/.*)?"
)

# The keys that a lab says in its own words, by the kind of file.
CARRIED = {
    kind: re.compile(pattern)
    for kind, pattern in {
        "cni": "cniVersion|name|plugins|(plugins/)?(type|master|bridge|mode|mtu|vlanId|ipMasq"
        f"|isGateway|mac|ipam(/(type|{_RANGE}|routes(/.*)?|addresses(/(address|gateway))?"
        f"|({_WIDE})|ipRanges(/({_WIDE}))?|ranges(/({_RANGE}))?))?)",
        "networkd": "Match/Name|Network/(Address|VLAN|MACVLAN|IPVLAN|Bond|Bridge|Description)"
        "|Address/Address|Link/MTUBytes|NetDev/(Name|Kind|MTUBytes|Description)|VLAN/Id|Bond/Mode"
        "|(MACVLAN|IPVLAN)/Mode",
        "netplan": "(network/)?(version|renderer|[a-z-]+"
        f"|(ethernets|vlans|bonds|bridges)/[^/]+(/({_DEVICE}))?)|network",
        "keyfile": "connection/.*|(ethernet|802-3-ethernet|vlan|bond|bridge)/(mtu|id|parent|mode"
        "|flags|interface-name)|ipv[46]/(method|addresse?s?[0-9]*)|.*/(uuid|mac-address)",
        "docker": f"Name|Driver|Internal|EnableIPv[46]|IPAM(/(Driver|Options|Config(/({_POOL}))?))?"
        f"|Options(/({_OPTIONS}))?|{_SEEN}",
        "inspect": ".*",
        "podman": "name|id|driver|network_interface|created|ipv6_enabled|internal|containers(/.*)?"
        "|subnets(/(subnet|gateway|lease_range(/(start_ip|end_ip))?))?|ipam_options(/driver)?"
        "|routes(/(destination|gateway))?|options(/(mode|mtu|no_default_route))?",
        "compose": "version|name|include(/.*)?|services"
        "|services/[^/]+(/(image|container_name|mac_address|scale|network_mode|profiles"
        "|extends(/(file|service))?"
        "|deploy(/replicas)?"
        "|networks(/[^/]+(/(ipv4_address|ipv6_address|mac_address))?)?))?"
        "|networks|networks/[^/]+(/(name|driver|external|internal|enable_ipv[46]"
        f"|driver_opts(/({_OPTIONS}))?|ipam(/(driver|config(/(subnet|ip_range|gateway"
        "|aux_addresses(/.*)?))?))?))?",
        "quadlet": "Unit/.*|Install/.*|Service/.*|Network/(NetworkName|Driver|Subnet|Gateway"
        "|IPRange|Options|IPv6|Internal|IPAMDriver)|Container/(Image|ContainerName|Network|IP|IP6)"
        "|Pod/(PodName|Network|IP|IP6)",
        "cloud_config": "hostname|preserve_hostname|manage_etc_hosts|write_files(/.*)?"
        "|coreos(/units(/.*)?)?",
        "attachment": "apiVersion|kind|metadata(/(name|namespace))?|spec(/config)?",
        "ignition": "ignition(/version)?|storage(/files(/.*)?)?",
        "ifupdown": "address|netmask|mtu|vlan-raw-device|vlan-id|bridge-ports|bond-(slaves|mode)",
        "networkd_dropin": "",
        "nspawn": "Network/(MACVLAN|IPVLAN|Bridge|Interface|Zone|VirtualEthernet(Extra)?|Private"
        "|Port)",
        "machine": "Match/Name|Network/(Address|Gateway)|Address/Address"
        "|Route/(Gateway|GatewayOnLink)",
    }.items()
}
INI = ("networkd", "keyfile", "quadlet", "networkd_dropin", "nspawn", "machine")
# What a file says of an interface; keys of one without a container network aren't told one by one.
INTERFACES = ("networkd", "keyfile", "netplan", "ifupdown")
UNREAD = "no reader for this file"
EMPTY = "it is empty"
IN_POD = "it shares the network of {pod}, which is the lab's one container for all in that pod"
KUBE = "what a Kubernetes file says isn't read, and on a node it isn't started"
NO_MACHINE = "no .nspawn file is called as the container in whose root it lies"
# Files that their own programs act on, on nodes that boot with them.
ACTING = ("cni", "compose", "networkd", "networkd_dropin", "quadlet")
ACTED = "on a node its program acts on it, and no prediction knows of it"
# What of user-data cloud-init does on a node: see ansible/module_utils/underlay_node/user_data.py.
DONE = ("bootcmd", "runcmd", "users", "groups", "timezone")
OWN = "a lab's nodes have their own"
WHY = {
    "cni": "a lab's networks have no such key",
    **dict.fromkeys((*INTERFACES, "networkd_dropin"), OWN),
    **dict.fromkeys(("docker", "podman"), "a lab's networks have no such key"),
    "compose": "a lab's containers and networks have no such key",
    "quadlet": "a lab's containers and networks have no such key",
    "attachment": "a lab has no Kubernetes",
    **dict.fromkeys(("nspawn", "machine"), "a lab's containers have no such key"),
    "cloud_config": "it doesn't run on a lab's nodes",
    "ignition": "Ignition puts it on nodes of `config: ignition`, and no cell is told by it",
}
# What every node does: to say it again is nothing that could be lost.
USUAL = re.compile(
    ".*/(dhcp[46]|accept-ra|optional|link-local|DHCP|IPv6AcceptRA|LinkLocalAddressing)"
)

# Keys of hosts' own routes, which nodes with the hosts' files have.
ROUTES = re.compile(
    r"Network/Gateway|Route/(Destination|Gateway|Metric)|.*/(routes|gateway[46])(/.*)?"
    r"|[^/]+/gateway|ipv[46]/(gateway|route[0-9]*)"
)


def put_left(
    carried: Carried, host: Host, number: int, uplinks: Sequence[Uplink], found: Sequence[Wire]
) -> None:
    """Note every file of ``host`` that wasn't read, and every key that the lab doesn't say.

    ``uplinks`` are where its networks sit in the lab, ``found`` the segments, and ``number`` is
    its node's, from 1.
    """
    for file in host.ignored:
        why = EMPTY if file in host.empty else UNREAD
        carried.leave(Spot(file), "the file", why, matters=file_matters(file))
    for path, spot in host.passed_over:
        if spot.file not in host.ignored:
            carried.leave(spot, f"the file {path}", UNREAD, matters=file_matters(path))
    used, shims = _used(host, uplinks, found), shim_names(carried)
    node = carried.lab["nodes"]["names"][number - 1]
    used |= set(carried.lab["nodes"].get("interfaces", {}).get(node, {})) & set(host.vlans())
    below = {"lo", *(m for link in host.links for m in link.members if link.name in used)}
    for link in host.links:
        idle_here = not any(link.fits(name) or link.name == name for name in used)
        if idle_here and not link.master and link.name not in {*below, *shims}:
            carried.leave(
                link.spot,
                f"the interface {link.name}",
                "no network of the lab sits on it",
                matters=link_matters(host, link),
            )
    idle = {link.spot.file for link in host.links} - {
        link.spot.file
        for link in host.links
        for name in used
        if link.fits(name) or link.master or link.name in shims
    }
    inner = {document.target for document in host.documents}
    for document in host.documents:
        for report in document.reports:
            carried.leave(report.spot, "what stands there", report.message)
        if document.kind not in INTERFACES or document.file not in idle:
            _put_keys(carried, host, document, used, shims)
        if document.kind == "script":
            _put_script(carried, document)
        if document.kind == "inspect":
            for spot, what, matters in inspected.unsaid(document):
                carried.leave(spot, what, "a lab's containers have no such key", matters=matters)
        if document.kind == "nspawn":
            for spot, what, why in nspawn.unsaid(document, host.links):
                carried.leave(spot, what, why)
        if document.kind == nspawn.INSIDE and not _has_machine(host, document):
            carried.leave(document.spot(), f"the unit {document.name}", NO_MACHINE)
        for path, spot in _written(document):
            if path not in inner:
                carried.leave(spot, f"the file {path}", UNREAD, matters=file_matters(path))
    put_given(carried, host, number, found)
    if not carried.real:
        _put_addresses(carried, host, number, used, found)


def _has_machine(host: Host, unit: Document) -> bool:
    names = (nspawn.name_of(one) for one in host.documents if one.kind == "nspawn")
    return nspawn.machine_of(unit) in names


def _used(host: Host, uplinks: Sequence[Uplink], found: Sequence[Wire]) -> set[str]:
    """Return the interfaces of ``host`` that the lab has: NICs and sub-interfaces."""
    nics = {nic for wire in found for name, nic in wire.ports if name == host.name}
    own = {
        uplink.through for uplink in uplinks if uplink.network.host == host.name and uplink.through
    }
    bridges = {one.network.bridge for one in uplinks if one.network.host == host.name}
    return nics | own | (bridges - {""})


def _put_keys(
    carried: Carried, host: Host, document: Document, used: set[str], shims: set[str]
) -> None:
    shim = document.kind == "networkd" and settings(document).value("Match", "Name") in shims
    if document.kind == "quadlet" and document.name.endswith(".kube"):
        carried.leave(document.spot(), f"the unit {document.name}", KUBE)
        return
    made = {(one.file, one.target) for one in host.documents}
    for place, spot, value in _keys(document):
        # A script of its own, of which each line that isn't read is named.
        if place == ("runcmd",) and (document.file, cloud_config.RUNCMD) in made:
            continue
        if shim and place == ("Route", "Destination"):
            continue
        if document.kind in ("netplan", "ifupdown") and not used & {str(s) for s in place}:
            continue
        path = "/".join(step for step in place if isinstance(step, str))
        if carried.real and ROUTES.fullmatch(path):
            continue
        if USUAL.fullmatch(path) and value in (False, [], "no", "false", True):
            continue
        matters = key_matters(host, document, place, value)
        told = document.kind == "cloud_config" and place[0] in DONE
        acted = carried.acting and (document.kind in ACTING or told)
        why = ACTED if acted else WHY.get(document.kind, OWN)
        if document.kind == "quadlet" and place[:2] == ("Container", "Pod"):
            why = IN_POD.format(pod=value)
        carried.leave(spot, dotted(place), why, matters=matters)


def _keys(document: Document) -> Iterator[tuple[Place, Spot, Any]]:
    """Yield each key that a lab doesn't say, the outermost only."""
    pattern = CARRIED.get(document.kind)
    if pattern is None:
        return
    if document.kind == "ifupdown":
        for name, _, options in ifupdown.blocks(document):
            for key, _, line in options:
                if not pattern.fullmatch(key):
                    yield (name, key), document.at(line), None
    elif document.kind in INI:
        for entry in settings(document).entries:
            if not pattern.fullmatch(f"{entry.section}/{entry.key}"):
                yield (entry.section, entry.key), document.at(entry.line), entry.value.lower()
    elif document.kind == "cni":
        chained = [p for p, plugin in cni.plugins(document) if plugin.get("type") not in cni.MAIN]
        for place in chained:
            what = f"the plugin {word(document.value(place).get('type'))}"
            yield (what,), document.spot(place), None
        for place, spot, value in _inside(document, document.data, (), pattern):
            if place[:2] not in chained:
                yield place, spot, value
    else:
        yield from _inside(document, document.data, (), pattern)


def _inside(
    document: Document, value: Any, place: Place, pattern: re.Pattern[str]
) -> Iterator[tuple[Place, Spot, Any]]:
    if isinstance(value, list):
        for position, entry in enumerate(value):
            yield from _inside(document, entry, (*place, position), pattern)
    elif isinstance(value, dict):
        for key, inner in value.items():
            here: Place = (*place, key)
            if pattern.fullmatch("/".join(step for step in here if isinstance(step, str))):
                yield from _inside(document, inner, here, pattern)
            else:
                yield here, document.spot(here), inner


def _put_script(carried: Carried, document: Document) -> None:
    for body in listed(document.data):
        position = document.data.index(body)
        for option in body["Unknown"]:
            carried.leave(document.spot((position,)), option, "a lab's networks have no such key")
    for line in script.unread_lines(document):
        carried.leave(document.at(line), "the line", "a quote is open at its end")
    for line, owner, option in script.unread_addresses(document):
        what = f"{option} of {owner}"
        carried.leave(document.at(line), what, "it is no address as it stands: the plan gives one")
    for line, option in script.other_options(document):
        carried.leave(document.at(line), option, "a lab's containers have no such key")
    for line, text in script.other_lines(document):
        carried.leave(document.at(line), f"the line `{text}`", "it isn't read, nor run")


def _written(document: Document) -> Iterator[tuple[str, Spot]]:
    """Yield the path of each file that cloud-config or Ignition puts on the host."""
    if document.kind == "cloud_config":
        for i, entry in enumerate(listed(mapping(document.data).get("write_files"))):
            yield word(mapping(entry).get("path")), document.spot(("write_files", i))
    elif document.kind == "ignition":
        for place, entry in ignition.files(document):
            yield word(entry.get("path")), document.spot(place)


def _put_addresses(
    carried: Carried, host: Host, number: int, used: set[str], found: Sequence[Wire]
) -> None:
    """Name the host's own addresses where the lab's node has others.

    A node's address in its segment is the plan's: the subnet's eleventh for the first node.
    """
    subnets = {subnet for wire in found for _, subnet in wire.marks}
    for link in host.links:
        if not any(link.fits(name) or link.name == name for name in used):
            continue
        for interface, spot in link.addresses:
            subnet = interface.network
            planned = _planned(carried, link, subnet, number)
            if planned is None or subnet not in subnets:
                what = f"the address {interface} of {host.name} on {link.name}"
                carried.leave(spot, what, OWN)
            elif planned[0] != interface.ip:
                text = (
                    f"{host.name} has {planned[0]} in {subnet}, where its file says {interface.ip}"
                )
                carried.assume(planned[1], text, spot, kind="a node's own address")


def _planned(
    carried: Carried, link: Link, subnet: Any, number: int
) -> tuple[Address, Place] | None:
    """Return the address that the plan gives a node in ``subnet``, and the key that says so."""
    if subnet.num_addresses < 12 + number:
        return None
    if link.vlan is None:
        for name, entry in carried.lab["segments"].items():
            if str(subnet) in (entry.get("subnet"), entry.get("subnet6")):
                return node_address(subnet, number), ("segments", name)
        return None
    for name, entry in carried.lab["networks"].items():
        said = [entry.get("subnet"), entry.get("subnet6")]
        said += [one["subnet"] for one in entry.get("subnets", [])]
        if entry.get("vlan") == link.vlan and str(subnet) in said:
            return node_address(subnet, number), ("networks", name)
    return None
