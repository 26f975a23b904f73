"""What a switch port's VLANs are, beside what they should be, where the switch filters them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.expect.passages import Packet, Passage
    from underlay.faults.scene import Cell, Scene
    from underlay.plan import PlannedSegment, PortVlans


def missing(own: PortVlans, rows: list[dict[str, Any]], port: str) -> Iterator[int]:
    """Yield the planned VLANs that ``port`` isn't a member of, by ``bridge -json vlan show``."""
    members: set[int] = set()
    for row in rows:
        for entry in row.get("vlans", []) if row.get("ifname") == port else ():
            members.update(range(entry["vlan"], entry.get("vlanEnd", entry["vlan"]) + 1))
    for vlan in (*own.tagged, own.untagged):
        if vlan is not None and vlan not in members:
            yield vlan


def words(own: PortVlans, vlan: int, port: str) -> str:
    """Return the command that makes ``port`` a member of ``vlan`` as planned."""
    flags = " pvid untagged" if vlan == own.untagged else ""
    return f"bridge vlan add dev {port} vid {vlan}{flags}"


def cells_within(scene: Scene, segment: PlannedSegment, port: str, vlan: int) -> frozenset[Cell]:
    """Return the healthy cells with a packet that passes ``port`` in ``vlan``, tagged or not.

    A packet's VLAN is decided where it comes in.
    """
    stations = {scene.port(name, segment.name): own for name, own in segment.vlans.items()}
    inside: dict[Packet, int | None] = {}

    def note(passage: Passage) -> bool:
        if passage.direction == "in" and passage.interface in stations:
            inside[passage.packet] = stations[passage.interface].enters(passage.packet.vlan)
        return False

    scene.cells("port", segment.name, "", note)
    return scene.cells("port", segment.name, port, lambda p: inside.get(p.packet) == vlan)
