"""Which network namespaces could be looked into, and what is up in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from underlay.faults.fault import Place
    from underlay.faults.scene import Scene
    from underlay.observe.evidence import Evidence, Space


def spaces(scene: Scene, evidence: Evidence) -> Iterator[Space]:
    """Yield the namespace of each end of the lab, once, where there is evidence from it."""
    for name in dict.fromkeys(end.space for end in scene.ends.values()):
        space = evidence.space(name)
        if space is not None:
            yield space


def links(
    evidence: Evidence, places: Iterable[Place]
) -> Iterator[tuple[Place, Space, dict[str, Any]]]:
    """Yield the places whose interface is there, with its namespace and what ``ip`` says of it."""
    for place in places:
        space = evidence.space(place.target)
        if space is not None and place.device in space.links:
            yield place, space, space.links[place.device]


def switch_ports(switch: Space | None) -> dict[str, dict[str, Any]]:
    """Return what the switch says of its ports, by port; nothing where it wasn't seen."""
    return {row["ifname"]: row for row in switch.rows("ports")} if switch else {}


def is_up(space: Space, device: str) -> bool:
    """Whether an interface is there and up: what it lacks then is a fault of its own."""
    return "UP" in space.links.get(device, {}).get("flags", ())


def is_down(space: Space, device: str) -> bool:
    """Whether an interface is there, but down."""
    return device in space.links and not is_up(space, device)


def ipv6_is_off(space: Space, device: str) -> bool:
    """Whether the kernel's switch keeps IPv6 away from an interface."""
    return space.sysctl.get(f"net.ipv6.conf.{device}.disable_ipv6") == "1"


def link_kind(space: Space, device: str) -> str:
    """Return the kind that an interface was made as, such as ``macvlan``; empty for a NIC."""
    return str(space.links.get(device, {}).get("linkinfo", {}).get("info_kind", ""))


def info(space: Space, device: str) -> dict[str, Any]:
    """Return the driver's own settings of an interface, such as its mode."""
    found: dict[str, Any] = space.links.get(device, {}).get("linkinfo", {}).get("info_data", {})
    return found
