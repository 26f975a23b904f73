"""Rows of evidence as lines for people, in the words that ip and bridge print without -json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from underlay.faults.step import Proof
from underlay.plan import SWITCH

if TYPE_CHECKING:
    from underlay.observe.evidence import Space


def link_line(link: dict[str, Any]) -> str:
    """Return the first line of ``ip link show`` about an interface."""
    flags = ",".join(link.get("flags", ()))
    peer = f"@if{link['link_index']}" if "link_index" in link else ""
    return (
        f"{link['ifindex']}: {link['ifname']}{peer}: <{flags}> mtu {link.get('mtu')}"
        f" state {link.get('operstate', 'UNKNOWN')} link/ether {link.get('address', '')}"
    )


def link_proof(space: Space, interface: str) -> Proof:
    """Return what ``ip link show`` says of an interface, or that it isn't there."""
    link = space.links.get(interface)
    there = ", ".join(space.links)
    line = link_line(link) if link else f"no {interface} among {there}"
    return Proof(space.name, f"ip link show dev {interface}", (line,))


def details_proof(space: Space, interface: str) -> Proof:
    """Return an interface's kind and its settings, from ``ip -details link show``."""
    link = space.links[interface]
    info = link.get("linkinfo", {})
    data = " ".join(f"{key} {value}" for key, value in info.get("info_data", {}).items())
    lines = (link_line(link), f"{info.get('info_kind', '')} {data}".strip())
    return Proof(space.name, f"ip -details link show dev {interface}", lines)


def addresses_proof(space: Space, interface: str) -> Proof:
    """Return an interface's addresses, from ``ip address show``."""
    lines = tuple(f"inet {address}" for address in space.addresses(interface))
    return Proof(space.name, f"ip address show dev {interface}", lines or ("no global address",))


def route_line(route: dict[str, Any]) -> str:
    """Return a route as ``ip route show`` prints it."""
    kind = "" if route.get("type", "unicast") == "unicast" else f"{route['type']} "
    words = [f"{kind}{route['dst']}"]
    for key, word in (("gateway", "via"), ("dev", "dev"), ("prefsrc", "src"), ("metric", "metric")):
        if key in route:
            words.append(f"{word} {route[key]}")
    return " ".join(words)


def routes_proof(space: Space, routes: list[dict[str, Any]], family: int) -> Proof:
    """Return what ``ip route show`` says, which may be that there is no route."""
    lines = tuple(route_line(row) for row in routes)
    return Proof(space.name, f"ip -{family} route show", lines or ("no route",))


def neighbour_line(row: dict[str, Any]) -> str:
    """Return a neighbour as ``ip neighbour show`` prints it."""
    state = " ".join(row.get("state", ()))
    mac = f" lladdr {row['lladdr']}" if "lladdr" in row else ""
    return f"{row['dst']} dev {row.get('dev', '')}{mac} {state}"


def port_line(row: dict[str, Any]) -> str:
    """Return a switch port with all its settings, as ``bridge -details link show`` has them."""
    words = [f"{row['ifindex']}: {row['ifname']}: master {row.get('master', '')}"]
    words.append(f"state {row.get('state', 'unknown')}")
    for key in ("hairpin", "learning", "flood", "bcast_flood", "isolated", "locked"):
        if key in row:
            words.append(f"{key} {'on' if row[key] else 'off'}")
    return " ".join(words)


def port_proof(row: dict[str, Any]) -> Proof:
    """Return a switch port's settings, from ``bridge -d link show``."""
    return Proof(SWITCH, f"bridge -d link show dev {row['ifname']}", (port_line(row),))


def fdb_line(row: dict[str, Any]) -> str:
    """Return an entry of a bridge's table as ``bridge fdb show`` prints it."""
    words = [row["mac"], "dev", row["ifname"]]
    words += ["master", row["master"]] if "master" in row else []
    return " ".join([*words, *row.get("flags", ()), row.get("state", "")]).strip()


def sysctl_proof(space: Space, name: str) -> Proof:
    """Return the value that ``sysctl`` shows of a setting."""
    return Proof(space.name, f"sysctl {name}", (f"{name} = {space.sysctl[name]}",))
