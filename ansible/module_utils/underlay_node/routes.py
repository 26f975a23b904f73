"""A container's routes beyond its own subnets, as lines for ip."""

from __future__ import annotations

import ipaddress


def lines(container: dict, networks: dict[str, dict]) -> list[str]:
    """Return ip's lines for the container's default routes and its networks' further ones.

    Of several attachments one has the default route: the first on-link one, else the
    first with a gateway.
    """
    made = []
    for version in (4, 6):
        made += _default(container, networks, version)
    for attachment in container["attachments"]:
        made += further(attachment, networks[attachment["network"]])
    return made


def further(attachment: dict, network: dict) -> list[str]:
    """Return ip's lines for the routes that the network has beside the default one."""
    name = attachment["interface"]
    made = []
    for route in network.get("routes") or []:
        via = f"via {route['via']} " if route.get("via") else ""
        made.append(f"route replace {route['to']} {via}dev {name}")
    return made


def _default(container: dict, networks: dict[str, dict], version: int) -> list[str]:
    own = "address" if version == 4 else "address6"
    # The family stands in the prefix: ip takes no flags in the lines of a batch.
    everywhere = "default" if version == 4 else "::/0"
    by_gateway = []
    for attachment in container["attachments"]:
        network = networks[attachment["network"]]
        if not attachment.get(own):
            continue
        device = f"dev {attachment['interface']}"
        if network["default_route"] == "on-link":
            return [f"route replace {everywhere} {device}"]
        gateway = gateway_of(attachment[own], network)
        if network["default_route"] == "gateway" and gateway:
            by_gateway.append(f"route replace {everywhere} via {gateway} {device}")
    return by_gateway[:1]


def gateway_of(address: str, network: dict) -> str:
    """Return the gateway of the pool that ``address`` lies in; empty for none."""
    own = ipaddress.ip_interface(address).ip
    near = (p for p in network["pools"] if own in ipaddress.ip_network(p["subnet"]))
    return str(next((pool["gateway"] for pool in near), ""))


def given(attachment: dict, network: dict) -> list[str]:
    """Return those addresses that the runtime gives: the others the interface makes itself."""
    if network.get("ipam") == "none" or attachment.get("open_address"):
        return []
    own = addresses(attachment)
    return [one for one in own if ":" not in one] if network.get("slaac") else own


def given_mac(attachment: dict, network: dict) -> str:
    """Return the MAC address that the runtime gives; empty where it takes one of its own."""
    own = network["own_mac"] and not attachment.get("open_mac")
    return str(attachment["mac"]) if own else ""


def addresses(attachment: dict) -> list[str]:
    """Return all addresses of an interface, with their prefix lengths, those of IPv4 first."""
    every = [attachment["address"], attachment.get("address6"), *(attachment.get("more") or [])]
    return sorted((one for one in every if one), key=lambda one: ":" in one)
