"""Rules about Docker's and podman's networks: Compose files and the Engine's own documents."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from underlay.drivers import DRIVERS
from underlay.errors import nearest
from underlay.fleet.document import Document, listed, mapping, word
from underlay.fleet.host import Network, as_subnet, meet, within
from underlay.lab.text import Place
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import (
    COMPOSE,
    DOCKER_IPVLAN,
    DOCKER_MACVLAN,
    Hosts,
    networks,
    repeated,
    rule,
    unknown,
)
from underlay.lint.hosts.rules_cni import MODES

SETUP = "moby, daemon/libnetwork/drivers/macvlan/macvlan_setup.go"
APART = "give one of them a VLAN of its own, or make them one network"
FLAGS = DRIVERS["ipvlan"].flags
OPTIONS = {
    "macvlan": ("parent", "macvlan_mode"),
    "ipvlan": ("parent", "ipvlan_mode", "ipvlan_flag"),
}


def _docker(hosts: Hosts) -> Iterator[Network]:
    yield from (n for _, n in networks(hosts, "macvlan", "ipvlan") if n.runtime == "docker")


def _options(network: Network) -> tuple[Place, dict[str, Any]]:
    """Return a Docker network's driver options and where they are."""
    place = network.keys["master"][:-1]
    return place, mapping(network.document.value(place))


def _borrowed(network: Network) -> bool:
    """Whether a swarm's network takes its settings from one that each node has: config-only."""
    body = mapping(network.document.value(network.place))
    return bool(mapping(body.get("ConfigFrom")).get("Network"))


def _services(hosts: Hosts) -> Iterator[tuple[Document, str, dict[str, Any]]]:
    for host in hosts:
        for document in host.documents:
            if document.kind == "compose":
                for name, entry in mapping(mapping(document.data).get("services")).items():
                    yield document, name, mapping(entry)


@rule("docker-parent-missing", "error", DOCKER_MACVLAN + "; moby/libnetwork#1298")
def docker_parent_missing(hosts: Hosts) -> Iterator[Hit]:
    """Without parent Docker makes a dummy device: no container reaches another host."""
    for network in _docker(hosts):
        if not (network.parent or network.internal or _borrowed(network)):
            message = f"{network.name} names no parent, and is cut off from the wire"
            yield Hit(network.spot("master"), message, "parent: eth1")


@rule(
    "docker-internal-parent",
    "warning",
    "moby, daemon/libnetwork/drivers/macvlan/macvlan_network.go: parseNetworkOptions",
)
def docker_internal_parent(hosts: Hosts) -> Iterator[Hit]:
    """An internal network sits on a dummy of Docker's, whatever parent it names: it has no wire."""
    for network in _docker(hosts):
        if network.internal and network.parent and not network.on_dummy:
            message = (
                f"{network.name} is internal: Docker takes no notice of its parent"
                f" {network.parent}, and no container leaves the host"
            )
            cure = "leave `internal` out for a network on the wire, else `parent`"
            yield Hit(network.spot("master"), message, cure)


@rule("docker-parent-invalid", "error", SETUP + ": parseVlan")
def docker_parent_invalid(hosts: Hosts) -> Iterator[Hit]:
    """A parent with a dot is NAME.VLAN, with a VLAN from 1 to 4094; Docker refuses any other."""
    for network in _docker(hosts):
        if "." not in network.parent or unknown(network.parent):
            continue
        parts = re.fullmatch(r"[^.]+\.([0-9]{1,4})", network.parent)
        if parts is None or not 1 <= int(parts[1]) <= 4094:
            message = f"{network.parent!r} is no NAME.VLAN"
            yield Hit(network.spot("master"), message, "write eth1.70, say")


@rule("docker-mode-unknown", "error", f"{DOCKER_MACVLAN}; {DOCKER_IPVLAN}")
def docker_mode_unknown(hosts: Hosts) -> Iterator[Hit]:
    """Docker refuses a mode that isn't the driver's: `requested macvlan mode is not valid`."""
    for network in _docker(hosts):
        modes = MODES[network.driver]
        if network.mode and network.mode not in modes and not unknown(network.mode):
            cure = f"one of {', '.join(modes)}"
            yield Hit(
                network.spot("mode"), f"{network.mode!r} is no mode of {network.driver}", cure
            )
        if network.flag and network.flag not in FLAGS:
            message = f"{network.flag!r} is no flag of ipvlan"
            yield Hit(network.spot("mode"), message, f"one of {', '.join(FLAGS)}")


@rule("docker-option-unknown", "warning", f"{DOCKER_MACVLAN}; {DOCKER_IPVLAN}")
def docker_option_unknown(hosts: Hosts) -> Iterator[Hit]:
    """Drivers pass over options that they don't know: a misspelt one has no effect, no error."""
    for network in _docker(hosts):
        place, options = _options(network)
        known = OPTIONS[network.driver]
        for key in options:
            if key not in known and not key.startswith("com.docker.network."):
                meant = nearest(key, known)
                cure = f"did you mean {meant}?" if meant else "leave it out"
                message = f"{network.driver} knows no option {key!r}"
                yield Hit(network.document.spot((*place, key)), message, cure)


@rule("docker-mtu-ignored", "warning", "moby/libnetwork#2274")
def docker_mtu_ignored(hosts: Hosts) -> Iterator[Hit]:
    """Both drivers pass over Docker's option for the MTU: children keep the parent's."""
    for host, network in networks(hosts, "macvlan", "ipvlan"):
        parent = host.parent_mtu(network) or 1500
        if network.runtime == "docker" and network.mtu not in (None, parent):
            message = f"{network.name} asks for MTU {network.mtu}; containers get {parent}"
            yield Hit(network.spot("mtu"), message, "set the MTU of the parent")


@rule("docker-subnet-missing", "error", DOCKER_MACVLAN)
def docker_subnet_missing(hosts: Hosts) -> Iterator[Hit]:
    """Without subnet each daemon picks one of its own pools, which is not the underlay's."""
    for network in _docker(hosts):
        # A subnet that can't be used is another rule's.
        if not any(claim.subnet for claim in network.claims) and not _borrowed(network):
            message = f"{network.name} has no usable subnet: Docker picks one by itself"
            yield Hit(network.spot("ipam"), message, "ipam: {config: [{subnet: 10.1.0.0/24}]}")


@rule("docker-range-outside", "error", "moby: `no matching subnet for range`; " + COMPOSE)
def docker_range_outside(hosts: Hosts) -> Iterator[Hit]:
    """ip_range, gateway and addresses of services are part of the network's subnet."""
    for network in _docker(hosts):
        ipam = mapping(network.document.value(network.keys["ipam"]))
        for i, entry in enumerate(listed(ipam.get("config") or ipam.get("Config"))):
            body = mapping(entry)
            subnet = as_subnet(body.get("subnet") or body.get("Subnet"))
            for key in ("ip_range", "IPRange"):
                part = as_subnet(body.get(key))
                inside = part is None or subnet is None or within(part, subnet)
                if not inside:
                    place = (*network.keys["ipam"], "config" if "subnet" in body else "Config")
                    spot = network.document.spot((*place, i, key))
                    yield Hit(spot, f"{part} is not in {subnet}", f"take a part of {subnet}")


def _sharing(hosts: Hosts, driver: str) -> Iterator[tuple[Network, Network]]:
    """Yield Docker's networks of one driver with the first one of their host on their parent."""
    for host in hosts:
        found = (n for n in _docker((host,)) if n.driver == driver and n.parent)
        for other, network in repeated((n.parent, n) for n in found):
            yield network, other


@rule("docker-ipvlan-parent-twice", "error", "moby/libnetwork#2384; moby, drivers/ipvlan")
def docker_ipvlan_parent_twice(hosts: Hosts) -> Iterator[Hit]:
    """Docker refuses a second ipvlan network on a parent: `is already using parent interface`."""
    for network, other in _sharing(hosts, "ipvlan"):
        message = f"{network.name} and {other.name} both want {network.parent}"
        yield Hit(network.spot("master"), message, APART, (other.spot("master"),))


@rule("docker-macvlan-parent-twice", "warning", "moby/libnetwork#2384; moby/moby#47318")
def docker_macvlan_parent_twice(hosts: Hosts) -> Iterator[Hit]:
    """Docker 26 and before refuse a second macvlan network on a parent, later ones passthru's."""
    for network, other in _sharing(hosts, "macvlan"):
        alone = "passthru" in (network.mode, other.mode)
        which = "any Docker refuses that beside passthru" if alone else "older Docker refuses that"
        message = f"{network.name} and {other.name} both want {network.parent}: {which}"
        yield Hit(network.spot("master"), message, APART, (other.spot("master"),))


@rule("docker-pool-overlap", "error", "moby/libnetwork#2334")
def docker_pool_overlap(hosts: Hosts) -> Iterator[Hit]:
    """One daemon takes no two networks with overlapping subnets: `Pool overlaps with other one`."""
    for host in hosts:
        found = [network for network in host.networks if network.runtime == "docker"]
        for other, network in combinations(found, 2):
            for pool in network.pools:
                if any(meet(pool.subnet, p.subnet) for p in other.pools):
                    message = f"{network.name}'s {pool.subnet} overlaps {other.name}'s subnet"
                    cure = "give them subnets apart"
                    yield Hit(pool.spot, message, cure, (other.spot("ipam"),))


def _by_folder(hosts: Hosts) -> dict[str, list[dict[str, Any]]]:
    """Return the Compose files of each folder, which Compose merges into one."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for host in hosts:
        for document in host.documents:
            if document.kind == "compose":
                found[document.folder].append(mapping(document.data))
    return found


@rule("compose-network-undefined", "error", COMPOSE)
def compose_network_undefined(hosts: Hosts) -> Iterator[Hit]:
    """Compose refuses a service in a network that the file doesn't define."""
    files = _by_folder(hosts)
    for document, service, entry in _services(hosts):
        named = entry.get("networks")
        beside = files[document.folder]
        defined = {name for each in beside for name in mapping(each.get("networks"))} | {"default"}
        if any("include" in each for each in beside):
            continue
        for i, name in enumerate(named if isinstance(named, (list, dict)) else ()):
            if isinstance(name, str) and name not in defined:
                place = ("services", service, "networks", i if isinstance(named, list) else name)
                meant = nearest(name, tuple(defined - {"default"}))
                cure = f"did you mean {meant}?" if meant else f"define {name} under networks"
                message = f"{service} is in {name!r}, which the file doesn't define"
                yield Hit(document.spot(place), message, cure)


@rule("compose-address-outside", "error", COMPOSE)
def compose_address_outside(hosts: Hosts) -> Iterator[Hit]:
    """A service's address lies in its network's subnet; Docker refuses any other."""
    for host in hosts:
        for fixed in host.fixed:
            if fixed.address is None or not fixed.network:
                continue
            subnets = [
                pool.subnet
                for network in host.networks
                if network.place == ("networks", fixed.network)
                and network.document.file == fixed.spot.file
                for pool in network.pools
            ]
            if subnets and not any(fixed.address in subnet for subnet in subnets):
                message = f"{fixed.owner}'s {fixed.address} is not in {subnets[0]}"
                yield Hit(fixed.spot, message, "take an address of the network's subnet")


@rule("compose-replicas-fixed", "error", COMPOSE)
def compose_replicas_fixed(hosts: Hosts) -> Iterator[Hit]:
    """Replicas share the service's settings: each of them would have the same address."""
    for document, service, entry in _services(hosts):
        count = mapping(entry.get("deploy")).get("replicas") or entry.get("scale")
        settings = mapping(entry.get("networks")).values()
        fixed = any(mapping(s).get("ipv4_address") for s in settings) or entry.get("mac_address")
        if isinstance(count, int) and count > 1 and fixed:
            message = f"{count} replicas of {service} share one address"
            spot = document.spot(("services", service))
            yield Hit(spot, message, "one service per address, or no fixed address")


@rule("ipvlan-mac", "warning", "Linux, drivers/net/ipvlan/ipvlan_main.c; " + DOCKER_IPVLAN)
def ipvlan_mac(hosts: Hosts) -> Iterator[Hit]:
    """An ipvlan child has its parent's MAC: one of its own is refused, or has no effect."""
    for document, service, entry in _services(hosts):
        defined = mapping(mapping(document.data).get("networks"))
        for name, settings in mapping(entry.get("networks")).items():
            mac = word(mapping(settings).get("mac_address"))
            if mac and mapping(defined.get(name)).get("driver") == "ipvlan":
                spot = document.spot(("services", service, "networks", name, "mac_address"))
                yield Hit(spot, f"{service} wants the MAC {mac} on ipvlan", "leave it out")
