"""Docker's and podman's networks: Engine API documents, Compose files, podman's own JSON."""

from __future__ import annotations

from typing import Any

from underlay.fleet.document import Document, listed, mapping, number, word
from underlay.fleet.host import (
    Address,
    Fixed,
    Network,
    Pool,
    as_address,
    as_subnet,
    whole,
)
from underlay.lab.text import Place

MTU = "com.docker.network.driver.mtu"


def api_networks(host: str, document: Document) -> list[Network]:
    """Return the networks of a body of ``POST /networks/create`` or of ``network inspect``."""
    several = isinstance(document.data, list)
    entries = list(enumerate(document.data)) if several else [(0, document.data)]
    found = []
    for i, entry in entries:
        if not isinstance(entry, dict) or "Driver" not in entry:
            continue
        place: Place = (i,) if several else ()
        words = ("Name", "Driver", "Options", "IPAM", "Config", "Subnet", "IPRange", "Gateway")
        found.append(_network(host, document, place, entry, *words, aux="AuxiliaryAddresses"))
    return found


def compose_networks(host: str, document: Document) -> list[Network]:
    """Return the networks that a Compose file makes; those that exist already are left out."""
    found = []
    for key, entry in mapping(mapping(document.data).get("networks")).items():
        body = mapping(entry)
        if body.get("external"):
            continue
        named = {**body, "name": word(body.get("name")) or key}
        words = ("name", "driver", "driver_opts", "ipam", "config", "subnet", "ip_range", "gateway")
        place: Place = ("networks", key)
        found.append(_network(host, document, place, named, *words, aux="aux_addresses"))
    return found


def compose_fixed(host: str, document: Document) -> list[Fixed]:
    """Return the addresses and MACs that a Compose file's services have."""
    found = []
    for service, entry in mapping(mapping(document.data).get("services")).items():
        body = mapping(entry)
        place: Place = ("services", service)
        mac = word(body.get("mac_address"))
        if mac:
            spot = document.spot((*place, "mac_address"))
            found.append(Fixed(host, service, "", None, mac, spot))
        for network, settings in mapping(body.get("networks")).items():
            inner = mapping(settings)
            here: Place = (*place, "networks", network)
            for key in ("ipv4_address", "ipv6_address"):
                address = as_address(inner.get(key))
                if address is not None:
                    spot = document.spot((*here, key))
                    found.append(Fixed(host, service, network, address, "", spot))
            mac = word(inner.get("mac_address"))
            if mac:
                spot = document.spot((*here, "mac_address"))
                found.append(Fixed(host, service, network, None, mac, spot))
    return found


def podman_network(host: str, document: Document) -> Network:
    """Return the network of a file in podman's ``networks`` folder (netavark's configuration)."""
    data = mapping(document.data)
    options = mapping(data.get("options"))
    pools = []
    for i, entry in enumerate(listed(data.get("subnets"))):
        body = mapping(entry)
        lease = mapping(body.get("lease_range"))
        place: Place = ("subnets", i)
        pool = _pool(
            document,
            place,
            body.get("subnet"),
            (as_address(lease.get("start_ip")), as_address(lease.get("end_ip"))),
            (body.get("gateway"), (*place, "gateway")),
        )
        pools += [pool] if pool is not None else []
    return Network(
        host=host,
        runtime="podman",
        name=word(data.get("name")),
        driver=word(data.get("driver")) or "bridge",
        parent=word(data.get("network_interface")) if data.get("driver") != "bridge" else "",
        mode=word(options.get("mode")),
        flag="",
        mtu=number(options.get("mtu")),
        pools=tuple(pools),
        ipam=word(mapping(data.get("ipam_options")).get("driver")),
        document=document,
        keys={
            "name": ("name",),
            "type": ("driver",),
            "master": ("network_interface",),
            "mode": ("options", "mode"),
            "mtu": ("options", "mtu"),
            "ipam": ("subnets",),
        },
    )


def _network(
    host: str,
    document: Document,
    place: Place,
    entry: dict[str, Any],
    name: str,
    driver: str,
    options: str,
    ipam: str,
    config: str,
    subnet: str,
    ip_range: str,
    gateway: str,
    *,
    aux: str,
) -> Network:
    """Return a Docker network; the words are the keys' spelling in the document at hand."""
    chosen = word(entry.get(driver)) or "bridge"
    settings = mapping(entry.get(options))
    pools = []
    listing: Place = (*place, ipam, config)
    for i, each in enumerate(listed(mapping(entry.get(ipam)).get(config))):
        body = mapping(each)
        here: Place = (*listing, i)
        part = as_subnet(body.get(ip_range))
        bounds = (part.network_address, part.broadcast_address) if part else (None, None)
        key = ip_range if part else subnet
        reserved = [as_address(a) for a in mapping(body.get(aux)).values()]
        pool = _pool(
            document,
            (*here, key),
            body.get(subnet),
            bounds,
            (body.get(gateway), (*here, gateway)),
            frozenset(a for a in reserved if a is not None),
        )
        pools += [pool] if pool is not None else []
    return Network(
        host=host,
        runtime="docker",
        name=word(entry.get(name)),
        driver=chosen,
        parent=word(settings.get("parent")),
        mode=word(settings.get(f"{chosen}_mode")),
        flag=word(settings.get("ipvlan_flag")),
        mtu=number(settings.get(MTU)),
        pools=tuple(pools),
        ipam="docker",
        document=document,
        place=place,
        keys={
            "name": (*place, name),
            "type": (*place, driver),
            "master": (*place, options, "parent"),
            "mode": (*place, options, f"{chosen}_mode"),
            "mtu": (*place, options, MTU),
            "ipam": (*place, ipam),
        },
    )


def _pool(
    document: Document,
    place: Place,
    subnet_text: object,
    bounds: tuple[Address | None, Address | None],
    gateway: tuple[object, Place],
    reserved: frozenset[Address] = frozenset(),
) -> Pool | None:
    subnet = as_subnet(subnet_text)
    if subnet is None or subnet.num_addresses < 4:
        return None
    first, last = whole(subnet)
    low, high = (bound if bound is not None and bound in subnet else None for bound in bounds)
    # Docker's range is a subnet of its own; the network's and the broadcast address stay free.
    start = max(int(low), int(first)) if low is not None else int(first)
    end = min(int(high), int(last)) if high is not None else int(last)
    if start > end:
        return None
    kind = type(subnet.network_address)
    return Pool(
        subnet=subnet,
        first=kind(start),
        last=kind(end),
        bounded=(start, end) != (int(first), int(last)),
        spot=document.spot(place),
        gateway=as_address(gateway[0]),
        gateway_spot=document.spot(gateway[1]),
        reserved=reserved,
    )
