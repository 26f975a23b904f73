"""Who hears what is sent to everybody, or to a group.

The tables of rules stand with the drivers (``BROADCAST`` in drivers/) and with the switch
(stations.py). Broadcast and multicast are one here: the underlay's bridges flood both, and a
child takes a group's frames if it takes broadcasts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.drivers.rule import WIRE
from underlay.expect import routing
from underlay.expect.tables import decide, relation

if TYPE_CHECKING:
    from underlay.drivers.rule import Fact, Rule
    from underlay.expect.world import Link, World


def broadcast_rule(world: World, link: Link, other: Link, check: str = "broadcast") -> Rule:
    """Return the rule that says whether ``other`` hears what ``link`` sends to everybody.

    Both are in one layer-2 domain. ``check`` is multicast for what goes to a group.
    """
    overlay = world.overlay(link)
    # As the frame meets them: who sends it, the switch, and who may take it.
    asked = (link.driver, "", overlay.driver if overlay else "", other.driver)
    facts = frozenset(_facts(world, link, other, check))
    return decide("broadcast", asked, link, other, facts) or routing.refused()


def _facts(world: World, link: Link, other: Link, check: str) -> list[Fact]:
    """Return what is so besides modes: of the hearer's list, and of the switch on the way."""
    found: list[Fact] = []
    if other.mode == "source" and link.mac not in other.allow:
        found.append("unlisted")
    segment, overlay = world.carrier(link), world.overlay(link)
    if segment is not None and segment.reflects and overlay is None:
        found.append("hairpin")
    if segment is None or relation(link, other) not in WIRE:
        return found
    if segment.isolated and link.port and other.port:
        found.append("isolated")
    if segment.locked and overlay is None and world.is_foreign(link):
        found.append("locked")
    # An overlay's broadcasts travel to its group, where it has one, and else to node by node.
    to_group = bool(overlay.group) if overlay else check == "multicast"
    if to_group and segment.swallows_multicast:
        found.append("no multicast")
    # To a group frames go with the group's MAC address: no ARP, and the node keeps its copy.
    to_nodes = overlay is not None and not overlay.group
    if to_nodes and any(world.tunnel_is_taken(one) for one in (link, other)):
        found.append("tunnel taken")
    return found
