"""Rules about the keys of Compose files, as far as they make networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from underlay.drivers import DRIVERS
from underlay.errors import did_you_mean, nearest
from underlay.fleet.document import Document, listed, mapping
from underlay.lab.text import Place
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import COMPOSE, Hosts, networks, rule, unknown

NETWORK = """name driver driver_opts ipam external internal attachable enable_ipv4 enable_ipv6
    labels"""
IPAM = "driver config options"
CONFIG = "subnet ip_range gateway aux_addresses"
SERVICE = """aliases ipv4_address ipv6_address link_local_ips mac_address driver_opts priority
    gw_priority interface_name"""
# Docker's own drivers; any other word may be a plugin's.
OWN = (*(d.name for d in DRIVERS.values() if "docker" in d.runtimes), "bridge", "overlay", "none")


def _tables(document: Document) -> Iterator[tuple[Place, dict[str, Any], str]]:
    """Yield the mappings of a file that make networks, with the keys that each may have."""
    top = mapping(document.data)
    for name, network in mapping(top.get("networks")).items():
        place: Place = ("networks", name)
        ipam = mapping(mapping(network).get("ipam"))
        yield place, mapping(network), NETWORK
        yield (*place, "ipam"), ipam, IPAM
        for i, entry in enumerate(listed(ipam.get("config"))):
            yield (*place, "ipam", "config", i), mapping(entry), CONFIG
    for service, body in mapping(top.get("services")).items():
        for name, settings in mapping(mapping(body).get("networks")).items():
            yield ("services", service, "networks", name), mapping(settings), SERVICE


@rule("compose-key-unknown", "error", COMPOSE + ": `additional properties not allowed`")
def compose_key_unknown(hosts: Hosts) -> Iterator[Hit]:
    """Compose refuses a file with a key that it doesn't know: no service starts."""
    for host in hosts:
        for document in host.documents:
            for place, entry, words in _tables(document) if document.kind == "compose" else ():
                known = words.split()
                for key in entry:
                    if key not in known and key != "<<" and not key.startswith("x-"):
                        cure = did_you_mean(nearest(key, known)) or "leave it out"
                        what = place[-1] if isinstance(place[-1], str) else place[-2]
                        message = f"{what} has no key {key!r}"
                        yield Hit(document.spot((*place, key)), message, cure)


@rule("docker-driver-unknown", "error", "moby: `plugin not found`; " + COMPOSE)
def docker_driver_unknown(hosts: Hosts) -> Iterator[Hit]:
    """A driver that isn't Docker's own is a plugin; without such a one there is no network."""
    for _, network in networks(hosts):
        meant = nearest(network.driver, OWN)
        misspelt = network.driver not in OWN and meant and not unknown(network.driver)
        if network.runtime == "docker" and misspelt:
            message = f"Docker has no driver {network.driver!r}"
            yield Hit(network.spot("type"), message, f"did you mean {meant}?")
