"""What nodes' interfaces below container networks are called: NICs, bonds and VLAN links.

The lab file may name each of them. What it doesn't name is called eth1, bond1 and NIC.VLAN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.plan.naming import nic_and_tag, vlan_link_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from underlay.lab import Network, Segment


def segment_interfaces(segments: Sequence[tuple[str, Segment | None]]) -> dict[str, str]:
    """Return what nodes are in each segment by, in order: NICs or bonds, with their names.

    A segment that can't be read is None, and has the name that it would have without keys.
    """
    return {
        name: (segment and segment.interface) or (f"bond{i}" if segment and segment.bond else "")
        or f"eth{i}"
        for i, (name, segment) in enumerate(segments, 1)
    }  # fmt: skip


def member_names(segments: Sequence[tuple[str, Segment]]) -> dict[str, tuple[str, str]]:
    """Return the names of the two NICs of each segment's bond.

    Second NICs are counted beyond the segments' first ones.
    """
    bonded = [name for name, segment in segments if segment.bond]
    found: dict[str, tuple[str, str]] = {}
    for number, (name, segment) in enumerate(segments, 1):
        if segment.bond:
            usual = (f"eth{number}", f"eth{len(segments) + 1 + bonded.index(name)}")
            first, second = segment.members or usual
            found[name] = (first, second)
    return found


class Uplinks:
    """What networks leave a node by, where ``nics`` are its interfaces by segment."""

    def __init__(self, nics: dict[str, str], networks: Iterable[Network]) -> None:
        self.nics = nics
        # What the lab file calls a NIC's VLAN, in any of the networks that are on it.
        self._named: dict[tuple[str, int], str] = {}
        self._meant: dict[str, tuple[str, int]] = {}
        for network in networks:
            nic, vlan = self.nic(network), self.vlan(network)
            if network.interface and nic and vlan:
                self._named.setdefault((nic, vlan), network.interface)
                self._meant.setdefault(network.interface, (nic, vlan))

    @property
    def named(self) -> list[str]:
        """The sub-interfaces that the lab file gives a name of their own."""
        return list(self._meant)

    def split(self, parent: str) -> tuple[str, str]:
        """Return which NIC a lab file's ``parent`` names, and its VLAN's tag, if it has one."""
        if parent in self._meant and parent not in self.nics.values():
            nic, vlan = self._meant[parent]
            return nic, str(vlan)
        return nic_and_tag(parent, self.nics.values())

    def nic(self, network: Network) -> str:
        """Return the NIC or bond under ``network``, empty where that isn't clear."""
        if network.parent:
            return self.split(network.parent)[0]
        return self.nics.get(network.segment or "", "")

    def vlan(self, network: Network) -> int | None:
        """Return the tag of the 802.1q sub-interface that ``network`` sits on, None for none."""
        tag = self.split(network.parent)[1] if network.parent else ""
        return network.vlan or (int(tag) if tag else None)

    def name(self, nic: str, vlan: int | None) -> str:
        """Return the name of the sub-interface of ``nic`` for ``vlan``, or its own for none."""
        if not nic or vlan is None:
            return nic
        return self._named.get((nic, vlan)) or vlan_link_name(nic, vlan)
