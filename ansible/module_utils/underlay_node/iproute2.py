"""Containers of runtime ``iproute2``: links made by ip alone, with every option it has."""

from __future__ import annotations

import zlib
from types import ModuleType

from . import namespaces, pause, routes, settling, taps
from .commands import Failed, batch, batch_all


def holder() -> ModuleType:
    """Return what holds the containers' namespaces: a process alone."""
    return pause


def pid(name: str) -> int:
    """Return the process that holds the container's namespaces, 0 where it doesn't run."""
    return holder().pid(name)


def start(container: dict, networks: dict[str, dict]) -> None:
    """Start the container, whose interfaces ``create`` has made; leave nothing where that fails."""
    name = container["name"]
    inside = ["link set lo up"]
    try:
        for attachment in container["attachments"]:
            network = networks[attachment["network"]]
            if by_tap(network):
                inside += taps.inside(
                    name, attachment, network, passing=passing(attachment["interface"])
                )
            inside += configuration(attachment, network)
        batch(inside + routes.lines(container, networks), space=name)
        settling.wait(container, networks)
        holder().start(name)
    except Failed:
        _remove([{"container": container, "networks": networks}])
        raise


def create(specifications: list[dict]) -> dict[str, str]:
    """Make the interfaces of many containers by one ip; return what failed, by container.

    A program for each would take longer than the kernel does. Nothing is left of one that fails.
    """
    lines, owners, behind = [], [], []
    for specified in specifications:
        name = specified["container"]["name"]
        for attachment in specified["container"]["attachments"]:
            network = specified["networks"][attachment["network"]]
            if by_tap(network):
                behind.append((name, attachment, network))
                continue
            made = creation(name, attachment, network)
            lines += made
            owners += [name] * len(made)
    failed: dict[str, str] = {}
    for number, words in batch_all(lines).items():
        failed.setdefault(owners[number], f"ip {lines[number]}: {words}")
    failed |= taps.create([one for one in behind if one[0] not in failed], passing="new")
    _remove([s for s in specifications if s["container"]["name"] in failed])
    return failed


def stop_all(specifications: list[dict]) -> dict[str, str]:
    """End many containers; return what failed, by container.

    Their interfaces are deleted before their namespaces: the parent of a child whose
    namespace lingers stays busy.
    """
    failed = holder().end_all([specified["container"]["name"] for specified in specifications])
    _remove([s for s in specifications if s["container"]["name"] not in failed])
    return failed


def _remove(specifications: list[dict]) -> None:
    """Remove containers that nothing runs in any more: their interfaces, then their namespaces."""
    containers = [specified["container"] for specified in specifications]
    links = {c["name"]: [a["interface"] for a in c["attachments"]] for c in containers}
    behind = [(s["container"]["name"], a) for s in specifications for a in attached_by_tap(s)]
    namespaces.delete_links({**links, **taps.held(behind)})
    namespaces.remove(list(links))
    if behind:
        taps.leave()


def by_tap(network: dict) -> bool:
    """Whether containers of the network attach by a tap of the parent."""
    return bool(network["attach"] == "tap")


def attached_by_tap(specified: dict) -> list[dict]:
    """Return those of the container's attachments that are by a tap."""
    networks = specified["networks"]
    return [a for a in specified["container"]["attachments"] if by_tap(networks[a["network"]])]


def creation(name: str, attachment: dict, network: dict) -> list[str]:
    """Return ip's lines that make the container ``name``'s interface in the network."""
    if network["attach"] == "port":
        return _pair(name, attachment, network)
    words = ["link", "add", "link", network["parent"], "name", passing(attachment["interface"])]
    mac = routes.given_mac(attachment, network)
    if mac and network["mode"] != "passthru":
        # A passthru child has its parent's address, whatever is asked for.
        words += ["address", mac]
    words += ["mtu", str(network["mtu"]), "netns", name, "type", network["driver"]]
    if network["attach"] == "moved":
        words += ["id", str(network["vlan"])]
    else:
        words += ["mode", network["mode"]]
    # Without a flag the kernel takes bridge for the whole parent.
    words += [network["flag"]] if network.get("flag") else []
    return [" ".join(words)]


def _pair(name: str, attachment: dict, network: dict) -> list[str]:
    """A port of the node's bridge, called by a number: names may be longer than the kernel's 15.

    Not by ``ve-``: networkd takes those for nspawn's (80-container-ve.network), and takes
    them out of their bridge.
    """
    number = zlib.crc32(f"{name} {attachment['interface']}".encode())
    port, mtu = f"vp-{number:08x}", network["mtu"]
    mac = routes.given_mac(attachment, network)
    own = f"address {mac} " if mac else ""
    inner = f"name {passing(attachment['interface'])} {own}mtu {mtu} netns {name}"
    return [
        f"link add name {port} mtu {mtu} type veth peer {inner}",
        f"link set {port} master {network['parent']} up",
    ]


def passing(interface: str) -> str:
    """Return the name that an interface is made by.

    The kernel refuses a name that the node itself has, although the interface never is there.
    """
    return interface.replace("eth", "new")


def configuration(attachment: dict, network: dict) -> list[str]:
    """Return ip's lines that give the interface its name and addresses, in the container."""
    name = attachment["interface"]
    lines = [f"link set {passing(attachment['interface'])} name {name}", f"link set {name} up"]
    for address in routes.given(attachment, network):
        how = "nodad" if ":" in address else "broadcast +"
        lines.append(f"address add {address} {how} dev {name}")
    if network["mode"] == "source" and not by_tap(network):
        kind, allowed = network["driver"], attachment.get("allow") or []
        # One by one: `set` takes no more than a few at once.
        lines += [f"link set dev {name} type {kind} macaddr add {mac}" for mac in allowed]
    return lines
