"""What of a lab's plan stands: who was asked, and what was seen there.

A plan says which interfaces, addresses and bridge ports there are to be. ``status`` shows it
together with what nodes, containers and switch have at this moment; whoever could not be asked
is called that, with the reason. Whether packets pass is not looked at: that is ``check``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from underlay.plan import SWITCH

if TYPE_CHECKING:
    from underlay.observe.evidence import Evidence, Space
    from underlay.plan import Attachment, Plan, PlannedContainer, PlannedNode, PlannedSegment

Word = Literal["as_planned", "differs", "missing", "not_asked"]


@dataclass(frozen=True)
class Seen:
    """What was seen of one thing that the plan names; ``found`` is that in words, or why not."""

    word: Word = "as_planned"
    found: str = ""


def of_node(evidence: Evidence, node: PlannedNode) -> Seen:
    """Return what is seen of a node's NICs: their MAC addresses, and whether they are up."""
    space = evidence.space(node.name)
    if space is None:
        return _not_asked(evidence, node.name)
    wrong = [
        said for name, mac, _ in node.cards if (said := _link(space.links.get(name), name, mac))
    ]
    return Seen("differs", "; ".join(wrong)) if wrong else Seen()


def of_attachment(evidence: Evidence, container: PlannedContainer, one: Attachment) -> Seen:
    """Return what is seen of a container's interface: its MAC address, addresses, and state."""
    if container.node not in evidence.documents:
        return _not_asked(evidence, container.node)
    space = evidence.space(container.name)
    if space is None:
        return Seen("missing", evidence.failed.get(container.name, ""))
    link = space.links.get(one.interface)
    if link is None:
        return Seen("missing", f"the container has no {one.interface}")
    has = _addresses(link)
    wrong = [_link(link, one.interface, one.mac)]
    if lacking := [str(address) for address in one.addresses if address and address not in has]:
        instead = ", ".join(_own(space, one.interface)) or "none"
        wrong.append(f"has no {', '.join(lacking)}, but {instead}")
    said = "; ".join(filter(None, wrong))
    return Seen("differs", said) if said else Seen()


def of_segment(evidence: Evidence, segment: PlannedSegment) -> Seen:
    """Return what is seen of a segment's bridge, and of the ports that are to be in it."""
    space = evidence.space(SWITCH)
    if space is None:
        return _not_asked(evidence, SWITCH)
    links = space.links
    if segment.bridge not in links:
        return Seen("missing", f"there is no {segment.bridge}")
    wrong = []
    for port in (segment.bridge, *segment.ports.values()):
        link = links.get(port)
        master = link.get("master", "no bridge") if link else ""
        if link is None:
            wrong.append(f"there is no {port}")
        elif port != segment.bridge and master != segment.bridge:
            wrong.append(f"{port} is in {master}")
        elif "UP" not in link.get("flags", ()):
            wrong.append(f"{port} is down")
    return Seen("differs", "; ".join(wrong)) if wrong else Seen()


def asked(plan: Plan, evidence: Evidence) -> tuple[list[str], dict[str, str]]:
    """Return who answered, of all nodes and the switch, and of the others why they didn't."""
    names = [*(node.name for node in plan.nodes), SWITCH]
    answered = [name for name in names if name in evidence.documents]
    return answered, {name: evidence.failed.get(name, "") for name in names if name not in answered}


def _not_asked(evidence: Evidence, name: str) -> Seen:
    return Seen("not_asked", f"{name}: {evidence.failed.get(name, 'was not looked into')}")


def _link(link: dict[str, Any] | None, name: str, mac: str) -> str:
    """Return what is wrong with an interface in words; empty where it is up, with that address."""
    if link is None:
        return f"there is no {name}"
    if "UP" not in link.get("flags", ()):
        return f"{name} is down"
    has = link.get("address", "")
    return f"{name} has MAC address {has}" if mac and has != mac else ""


def _addresses(link: dict[str, Any]) -> set[str]:
    return {f"{a['local']}/{a['prefixlen']}" for a in link.get("addr_info", ()) if "local" in a}


def _own(space: Space, interface: str) -> list[str]:
    return [str(address) for address in space.addresses(interface)]
