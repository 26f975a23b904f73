"""Containers of runtime ``iproute2``: links made by ip alone, with every option it has."""

from __future__ import annotations

import contextlib

from . import namespaces
from .commands import Failed, batch


def start(container: dict, networks: dict[str, dict]) -> None:
    """Start the container; leave nothing of it where that fails."""
    name = container["name"]
    inside = ["link set lo up"]
    try:
        # One transaction in the node's namespace, one in the container's.
        batch([creation(name, a, networks[a["network"]]) for a in container["attachments"]])
        for attachment in container["attachments"]:
            inside += configuration(attachment, networks[attachment["network"]])
        batch(inside, namespaces.enter(name))
        namespaces.start(name)
    except Failed:
        namespaces.remove(name)
        raise


def stop(container: dict, networks: dict[str, dict]) -> None:
    """End the container; its interfaces go with its namespace.

    They are deleted first: the parent of a child whose namespace lingers stays busy.
    """
    name = container["name"]
    namespaces.end(name)
    lines = [f"link delete {a['interface']}" for a in container["attachments"]]
    with contextlib.suppress(Failed):
        batch(lines, namespaces.enter(name))
    namespaces.remove(name)


def creation(name: str, attachment: dict, network: dict) -> str:
    """Return ip's line that makes a child of the network's parent in the container ``name``."""
    words = ["link", "add", "link", network["parent"], "name", _passing(attachment)]
    if network["driver"] == "macvlan" and network["mode"] != "passthru":
        # A passthru child has its parent's address, whatever is asked for.
        words += ["address", attachment["mac"]]
    words += ["mtu", str(network["mtu"]), "netns", name]
    words += ["type", network["driver"], "mode", network["mode"]]
    if network["driver"] == "ipvlan":
        # Without a flag the kernel takes bridge for the whole parent.
        words.append(network.get("flag") or "bridge")
    return " ".join(words)


def _passing(attachment: dict) -> str:
    """Return the name that an interface is made by.

    The kernel refuses a name that the node itself has, although the interface never is there.
    """
    return attachment["interface"].replace("eth", "new")


def configuration(attachment: dict, network: dict) -> list[str]:
    """Return ip's lines that give the interface its addresses and routes, in the container."""
    name = attachment["interface"]
    lines = [f"link set {_passing(attachment)} name {name}", f"link set {name} up"]
    lines += [f"address add {attachment['address']} broadcast + dev {name}"]
    if attachment.get("address6"):
        lines.append(f"address add {attachment['address6']} nodad dev {name}")
    if network["driver"] == "macvlan" and network["mode"] == "source":
        allowed = attachment.get("allow") or []
        # One by one: `set` takes no more than a few at once.
        lines += [f"link set dev {name} type macvlan macaddr add {mac}" for mac in allowed]
    return lines + routes(attachment, network)


def routes(attachment: dict, network: dict) -> list[str]:
    """Return ip's lines for the default route and the network's further ones."""
    name = attachment["interface"]
    lines = []
    if network["default_route"] == "on-link":
        lines.append(f"route replace default dev {name}")
        if attachment.get("address6"):
            lines.append(f"-6 route replace default dev {name}")
    elif network["default_route"] == "gateway":
        for gateway in (network["gateway"], network.get("gateway6", "")):
            if gateway:
                lines.append(f"route replace default via {gateway} dev {name}")
    for route in network.get("routes") or []:
        via = f"via {route['via']} " if route.get("via") else ""
        lines.append(f"route replace {route['to']} {via}dev {name}")
    return lines
