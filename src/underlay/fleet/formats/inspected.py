"""Containers as engines' ``inspect`` shows them: in a network's document, or each in its own.

Sources: the Engine's API, NetworkInspect and ContainerInspect; podman-network-inspect(1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from underlay.errors import Spot
from underlay.fleet.document import Document, listed, mapping, word
from underlay.fleet.formats.docker import bodies
from underlay.fleet.host import Address, Container, Fixed, as_interface
from underlay.fleet.host import as_address as plain


def looks_like_containers(data: object) -> bool:
    """Whether a JSON document is what ``docker inspect CONTAINER`` prints."""
    first = data[0] if isinstance(data, list) and data else data
    return "Networks" in mapping(mapping(first).get("NetworkSettings"))


def seen_in_network(host: str, document: Document) -> Iterator[Container]:
    """Yield the containers that a network's document shows in it, each with what it has there."""
    for place, body in bodies(document):
        runtime = "podman" if "network_interface" in body or "subnets" in body else "docker"
        key = "containers" if runtime == "podman" else "Containers"
        network = word(body.get("name")) or word(body.get("Name"))
        for id, entry in mapping(body.get(key)).items():
            seen = mapping(entry)
            name = word(seen.get("name")) or word(seen.get("Name"))
            if name:
                has = tuple(_podman(seen)) if runtime == "podman" else tuple(_docker(seen))
                spot = document.spot((*place, key, id))
                mac = _mac(seen)
                yield Container(host, name, runtime, ((network, has, mac),), spot, document)


def inspected(host: str, document: Document) -> Iterator[Container]:
    """Yield the containers of ``docker inspect``; an address that wasn't asked for isn't theirs."""
    for place, body in bodies(document):
        settings = mapping(mapping(body.get("NetworkSettings")).get("Networks"))
        name = word(body.get("Name")).lstrip("/")
        found = []
        for network, entry in settings.items():
            asked = mapping(mapping(entry).get("IPAMConfig"))
            keys = ("IPv4Address", "IPv6Address")
            given = (plain(word(asked.get(key))) for key in keys)
            found.append((network, tuple(one for one in given if one is not None), ""))
        mode = word(mapping(body.get("HostConfig")).get("NetworkMode"))
        if name and (found or mode):
            networks = tuple(found) or ((mode, (), ""),)
            yield Container(host, name, "docker", networks, document.spot(place), document)


def unsaid(document: Document) -> Iterator[tuple[Spot, str, bool]]:
    """Yield what ``docker inspect`` shows beside networks, and whether it may change packets."""
    for place, body in bodies(document):
        config = mapping(body.get("HostConfig"))
        for key in ("Sysctls", "CapAdd", "CapDrop", "Privileged", "PortBindings"):
            if config.get(key):
                yield document.spot((*place, "HostConfig", key)), f"HostConfig.{key}", True
        yield document.spot(place), "all else that inspect shows of a container", False


def together(containers: Sequence[Container]) -> list[Container]:
    """Return the containers with those of one name made one; what isn't ``inspect``'s counts.

    A container stands in the document of each of its networks, and perhaps in a Compose file.
    """
    found: dict[tuple[str, str], Container] = {}
    other = {(one.runtime, one.name) for one in containers if not _is_seen(one)}
    kept: list[Container] = []
    for one in containers:
        key = (one.runtime, one.name)
        if not _is_seen(one):
            kept.append(one)
        elif key not in other:
            known = found.get(key)
            new = tuple(
                n for n in one.networks if known and n[0] not in {k[0] for k in known.networks}
            )
            found[key] = replace(known, networks=(*known.networks, *new)) if known else one
    return [*kept, *found.values()]


def fixed_of(containers: Sequence[Container]) -> Iterator[Fixed]:
    """Yield the addresses and MACs of the containers that ``inspect`` shows."""
    for one in filter(_is_seen, containers):
        for network, addresses, mac in one.networks:
            for address in addresses:
                yield Fixed(one.host, one.name, network, address, "", one.spot)
            if mac:
                yield Fixed(one.host, one.name, network, None, mac, one.spot)


def _is_seen(container: Container) -> bool:
    return container.document.kind in ("docker", "podman", "inspect")


def _docker(seen: dict[str, Any]) -> Iterator[Address]:
    for key in ("IPv4Address", "IPv6Address"):
        interface = as_interface(seen.get(key))
        if interface is not None:
            yield interface.ip


def _podman(seen: dict[str, Any]) -> Iterator[Address]:
    for entry in mapping(seen.get("interfaces")).values():
        for subnet in listed(mapping(entry).get("subnets")):
            interface = as_interface(mapping(subnet).get("ipnet"))
            if interface is not None:
                yield interface.ip


def _mac(seen: dict[str, Any]) -> str:
    inner = (mapping(entry) for entry in mapping(seen.get("interfaces")).values())
    return word(seen.get("MacAddress")) or next((word(e.get("mac_address")) for e in inner), "")
