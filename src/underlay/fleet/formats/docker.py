"""Docker's and podman's networks: Engine API documents, Compose files, podman's own JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from underlay.fleet.document import Document, listed, mapping, number, word
from underlay.fleet.host import (
    Address,
    Claim,
    Container,
    Fixed,
    Network,
    ToldRoute,
    as_address,
    as_subnet,
    pool_of,
)
from underlay.lab.text import Place

MTU = "com.docker.network.driver.mtu"


@dataclass(frozen=True)
class Spelling:
    """How a kind of document spells the keys of a network, and of each of its subnets."""

    name: str
    driver: str
    options: str
    ipam: str
    config: str
    subnet: str
    ip_range: str
    gateway: str
    reserved: str
    internal: str


API = Spelling(
    *("Name", "Driver", "Options", "IPAM", "Config"),
    *("Subnet", "IPRange", "Gateway", "AuxiliaryAddresses", "Internal"),
)
COMPOSE = Spelling(
    *("name", "driver", "driver_opts", "ipam", "config"),
    *("subnet", "ip_range", "gateway", "aux_addresses", "internal"),
)


def api_networks(host: str, document: Document) -> list[Network]:
    """Return the networks of a body of ``POST /networks/create`` or of ``network inspect``."""
    several = isinstance(document.data, list)
    entries = list(enumerate(document.data)) if several else [(0, document.data)]
    return [
        _network(host, document, (i,) if several else (), entry, API)
        for i, entry in entries
        if isinstance(entry, dict) and "Driver" in entry
    ]


def compose_networks(host: str, document: Document, project: str) -> list[Network]:
    """Return the networks that a Compose file makes; those that exist already are left out.

    ``project`` is what the engine puts before the name of one that has none of its own.
    """
    found = []
    for key, entry in mapping(mapping(document.data).get("networks")).items():
        body = mapping(entry)
        if body.get("external"):
            continue
        named = {**body, "name": word(body.get("name")) or key}
        made = _network(host, document, ("networks", key), named, COMPOSE)
        engine = word(body.get("name")) or f"{project}_{key}"
        found.append(replace(made, alias=key, engine_name=engine))
    return found


def project_of(document: Document, known: dict[str, str]) -> str:
    """Return the name of a Compose file's project; ``known`` is what its ``.env`` sets.

    Source: https://docs.docker.com/compose/how-tos/project-name/.
    """
    said = word(mapping(document.data).get("name")) or known.get("COMPOSE_PROJECT_NAME", "")
    name = said or document.folder.rpartition("/")[2]
    return re.sub("[^a-z0-9_-]", "", name.lower()).lstrip("_-")


def compose_containers(
    host: str, document: Document, profiles: frozenset[str] = frozenset()
) -> Iterator[Container]:
    """Yield the services of a Compose file as containers, each with the networks that it is in.

    Networks are called as the file's own keys call them, and one that exists already by the name
    that it has; one by ``network_mode`` is called as that says. ``profiles`` are those that are
    on: a service that has some, and none of these, isn't started.
    """
    data = mapping(document.data)
    known = mapping(data.get("networks"))
    for service, entry in mapping(data.get("services")).items():
        body = mapping(entry)
        place: Place = ("services", service)
        inside = body.get("networks")
        names = mapping(inside) or dict.fromkeys(filter(None, map(word, listed(inside))))
        mode = word(body.get("network_mode"))
        if not names:
            names = {mode or "default": None}
        own = {word(one) for one in listed(body.get("profiles"))}
        yield Container(
            host=host,
            name=word(body.get("container_name")) or str(service),
            runtime="docker",
            networks=tuple(
                (_named(known, name), _given(settings), _mac(body, settings))
                for name, settings in names.items()
            ),
            spot=document.spot(place),
            document=document,
            count=_replicas(body),
            idle=_off(own, profiles),
        )


def _off(own: set[str], profiles: frozenset[str]) -> str:
    """Say that none of a service's ``own`` profiles is on, if it has some."""
    on = not own or "*" in profiles or own & profiles
    return "" if on else f"its profile {', '.join(sorted(own))} isn't on: COMPOSE_PROFILES in .env"


def _named(known: dict[str, Any], name: str) -> str:
    """Return what a network is called that the file may say is there already."""
    body = mapping(known.get(name))
    external = body.get("external")
    if not external:
        return name
    return word(mapping(external).get("name")) or word(body.get("name")) or name


def _given(settings: object) -> tuple[Address, ...]:
    keys = ("ipv4_address", "ipv6_address")
    found = (as_address(mapping(settings).get(key)) for key in keys)
    return tuple(address for address in found if address is not None)


def _mac(body: dict[str, Any], settings: object) -> str:
    return word(mapping(settings).get("mac_address")) or word(body.get("mac_address"))


def _replicas(body: dict[str, Any]) -> int:
    count = number(mapping(body.get("deploy")).get("replicas"))
    count = number(body.get("scale")) if count is None else count
    return 1 if count is None else count


def compose_fixed(host: str, document: Document) -> Iterator[Fixed]:
    """Yield the addresses and MACs that a Compose file's services have."""
    for service, entry in mapping(mapping(document.data).get("services")).items():
        place: Place = ("services", service)
        yield from _fixed(host, document, service, "", place, entry)
        for network, settings in mapping(mapping(entry).get("networks")).items():
            inner: Place = (*place, "networks", network)
            yield from _fixed(host, document, service, network, inner, settings)


def _fixed(
    host: str, document: Document, service: str, network: str, place: Place, entry: object
) -> Iterator[Fixed]:
    """Yield what a service has in ``network``; a MAC address it may have without naming one."""
    for key in ("ipv4_address", "ipv6_address") if network else ():
        address = as_address(mapping(entry).get(key))
        if address is not None:
            yield Fixed(host, service, network, address, "", document.spot((*place, key)))
    mac = word(mapping(entry).get("mac_address"))
    if mac:
        yield Fixed(host, service, network, None, mac, document.spot((*place, "mac_address")))


def podman_networks(host: str, document: Document) -> list[Network]:
    """Return the network of a file in podman's ``networks`` folder (netavark's configuration).

    ``podman network inspect`` prints a list of such.
    """
    return [_podman_network(host, document, place, body) for place, body in bodies(document)]


def bodies(document: Document) -> list[tuple[Place, dict[str, Any]]]:
    """Return the mappings that a JSON document consists of: those of a list, or it itself."""
    if isinstance(document.data, list):
        found = enumerate(document.data)
        return [((i,), entry) for i, entry in found if isinstance(entry, dict)]
    return [((), document.data)] if isinstance(document.data, dict) else []


def _podman_network(host: str, document: Document, place: Place, data: dict[str, Any]) -> Network:
    options = mapping(data.get("options"))
    pools, claims = [], []
    for i, entry in enumerate(listed(data.get("subnets"))):
        body = mapping(entry)
        lease = mapping(body.get("lease_range"))
        here: Place = (*place, "subnets", i)
        bounds = (as_address(lease.get("start_ip")), as_address(lease.get("end_ip")))
        gateway = (body.get("gateway"), (*here, "gateway"))
        pools.append(pool_of(document, here, as_subnet(body.get("subnet")), bounds, gateway))
        claims.append(
            Claim(
                body.get("subnet"),
                document.spot((*here, "subnet")),
                (gateway[0], document.spot(gateway[1])),
                tuple(
                    (lease[key], document.spot((*here, "lease_range", key)))
                    for key in ("start_ip", "end_ip")
                    if key in lease
                ),
            )
        )
    return Network(
        host=host,
        runtime="podman",
        name=word(data.get("name")),
        driver=word(data.get("driver")) or "bridge",
        parent=word(data.get("network_interface")) if data.get("driver") != "bridge" else "",
        mode=word(options.get("mode")),
        flag="",
        mtu=number(options.get("mtu")),
        pools=tuple(pool for pool in pools if pool is not None),
        ipam=word(mapping(data.get("ipam_options")).get("driver")),
        document=document,
        place=place,
        keys={
            "name": (*place, "name"),
            "type": (*place, "driver"),
            "master": (*place, "network_interface"),
            "mode": (*place, "options", "mode"),
            "mtu": (*place, "options", "mtu"),
            "ipam": (*place, "subnets"),
        },
        claims=tuple(claims),
        routes=tuple(_podman_routes(document, place, data)),
        # netavark gives a default route by the gateways that the file names.
        routes_by_gateway=options.get("no_default_route") not in ("true", "1", True)
        and any(pool is not None and pool.gateway for pool in pools),
        internal=data.get("internal") is True,
    )


def _podman_routes(document: Document, place: Place, data: dict[str, Any]) -> Iterator[ToldRoute]:
    """Yield the routes of a podman network: ``podman network create --route``."""
    for i, entry in enumerate(listed(data.get("routes"))):
        to = as_subnet(mapping(entry).get("destination"))
        if to is not None:
            via = as_address(mapping(entry).get("gateway"))
            yield ToldRoute(to, via, document.spot((*place, "routes", i)))


def _network(
    host: str, document: Document, place: Place, entry: dict[str, Any], keys: Spelling
) -> Network:
    """Return a Docker network, whose keys the document at hand spells as ``keys`` says."""
    driver = word(entry.get(keys.driver)) or "bridge"
    options = mapping(entry.get(keys.options))
    pools, claims = [], []
    for i, each in enumerate(listed(mapping(entry.get(keys.ipam)).get(keys.config))):
        body = mapping(each)
        here: Place = (*place, keys.ipam, keys.config, i)
        # Docker's range is a subnet of its own.
        part = as_subnet(body.get(keys.ip_range))
        bounds = (part.network_address, part.broadcast_address) if part else (None, None)
        left_out = mapping(body.get(keys.reserved))
        reserved = map(as_address, left_out.values())
        pool = pool_of(
            document,
            (*here, keys.ip_range if part else keys.subnet),
            as_subnet(body.get(keys.subnet)),
            bounds,
            (body.get(keys.gateway), (*here, keys.gateway)),
            frozenset(address for address in reserved if address is not None),
        )
        pools.append(replace(pool, part=str(part)) if pool and part else pool)
        claims.append(
            Claim(
                body.get(keys.subnet),
                document.spot((*here, keys.subnet)),
                (body.get(keys.gateway), document.spot((*here, keys.gateway))),
                ((body[keys.ip_range], document.spot((*here, keys.ip_range))),)
                if body.get(keys.ip_range)
                else (),
                tuple(
                    (value, document.spot((*here, keys.reserved, key)))
                    for key, value in left_out.items()
                ),
            )
        )
    return Network(
        host=host,
        runtime="docker",
        name=word(entry.get(keys.name)),
        driver=driver,
        parent=word(options.get("parent")),
        mode=word(options.get(f"{driver}_mode")),
        flag=word(options.get("ipvlan_flag")),
        mtu=number(options.get(MTU)),
        pools=tuple(pool for pool in pools if pool is not None),
        ipam="docker",
        document=document,
        place=place,
        keys={
            "name": (*place, keys.name),
            "type": (*place, keys.driver),
            "master": (*place, keys.options, "parent"),
            "mode": (*place, keys.options, f"{driver}_mode"),
            "mtu": (*place, keys.options, MTU),
            "ipam": (*place, keys.ipam),
        },
        claims=tuple(claims),
        # Docker takes one for a gateway where none is named: the first of its range.
        routes_by_gateway=True,
        internal=entry.get(keys.internal) is True,
    )
