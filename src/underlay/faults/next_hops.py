"""Nodes as the next hops of each other's containers: what ipvlan l3 makes of a node's interface.

Its containers ask for no neighbours. The node does it for them: it routes what they send, to the
other node's address (Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_process_outbound). So a fault
of a node's own finding, or of its own address, costs the cells of containers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.faults.evidence.routes import contains
from underlay.plan import family_of, own_addresses

if TYPE_CHECKING:
    from collections.abc import Callable

    from underlay.faults.scene import Cell, Passage, Scene

# Modes of ipvlan in which nobody asks for the MAC address of a container, and it asks for nobody's.
UNASKED = ("l3", "l3s")


def sent_to(
    scene: Scene,
    node: str,
    device: str,
    wanted: Callable[[Passage], bool] = lambda _: True,
) -> frozenset[Cell]:
    """Return the cells with a ``wanted`` packet that another node sends to ``node``'s ``device``.

    It is sent there as to its next hop: the packet's destination is somebody behind it.
    """
    planned = next(one for one in scene.plan.nodes if one.name == node)
    addresses = {one.ip for one in own_addresses(planned).get(device, ())}
    found: frozenset[Cell] = frozenset()
    for other in scene.plan.nodes:
        for route in other.routes:

            def by_it(passage: Passage, to: str = route.to) -> bool:
                there = contains(to, passage.packet.destination, family_of(to))
                return there and passage.direction == "out" and wanted(passage)

            if route.via in addresses:
                found |= scene.cells("space", other.name, route.interface, by_it)
                found |= scene.cells("route", other.name, route.interface, by_it)
    return found


def carried(
    scene: Scene,
    node: str,
    device: str,
    wanted: Callable[[Passage], bool] = lambda _: True,
) -> frozenset[Cell]:
    """Return the cells with a ``wanted`` packet that ``node`` and another one send each other so.

    For either way ``device`` finds the other node, and has to be found by it.
    """
    out = scene.cells("route", node, device, lambda p: p.direction == "out" and wanted(p))
    return out | sent_to(scene, node, device, wanted)
