"""Faults of VLANs on the nodes: another tag than planned, or a container on another VLAN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.faults.catalogue.driver import WrongMaster
from underlay.faults.evidence.lines import details_proof
from underlay.faults.evidence.spaces import info
from underlay.faults.fault import Effect, Fault, Place, Proof, Step
from underlay.faults.remake import child_at, remake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.faults.scene import Child, Scene
    from underlay.observe.evidence import Space

SUBJECT = "VLANs"

VLAN_TOO = """
ip link show "$1" >/dev/null 2>&1 || ip link add link "$2" name "$1" type vlan id "${1#*.}"
ip link set "$1" up
"""
VLAN_ANEW = """
ip link delete "$1" 2>/dev/null || :
ip link add link "$2" name "$1" type vlan id "$3"
ip link set "$1" up
"""


class WrongVlan(WrongMaster):
    """A container's child sits on another VLAN of the right NIC."""

    id = "wrong-vlan"
    layer = "VLAN"
    title = "a container is in the wrong VLAN"
    symptom = "every cell of the container is lost: nobody else is in its VLAN"
    evidence = "`ip link show` in the container: its @ifN is another VLAN interface of the node"
    cause = "The child was made on another 802.1q sub-interface than the network's."
    cure = "correct the VLAN in the network's definition and start the container anew"
    reference = "Docker docs, engine/network/drivers/macvlan.md, 802.1Q trunk bridge mode"
    no_place = "this lab has no macvlan network on a VLAN"

    def places(self, scene: Scene) -> Iterator[Place]:
        for place in super().places(scene):
            if child_at(scene, place).network.vlan:
                yield place

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        base, other = self._other(scene, place)
        return [Step(place.node, VLAN_TOO, (other, base)), remake(scene, place, parent=other)]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        _, other = self._other(scene, place)
        gone = 'ip link delete "$1" 2>/dev/null || :'
        return [remake(scene, place), Step(place.node, gone, (other,))]

    def _other(self, scene: Scene, place: Place) -> tuple[str, str]:
        base, _, tag = child_at(scene, place).network.parent.partition(".")
        used = {network.vlan for network in scene.plan.networks}
        free = next(vlan for vlan in range(int(tag) + 1, int(tag) + 40) if vlan not in used)
        return base, f"{base}.{free}"

    def wrong(self, name: str, child: Child) -> bool:
        """Whether the child sits on the right NIC, but in another VLAN."""
        parent = child.network.parent
        same_nic = name.partition(".")[0] == parent.partition(".")[0]
        return bool(child.network.vlan) and same_nic and name != parent


class VlanId(Fault):
    """A node's VLAN interface carries another tag than its name says."""

    id = "vlan-id"
    layer = "VLAN"
    title = "a VLAN interface has another tag than planned"
    symptom = "the network's containers on that node lose all other nodes; siblings go on"
    evidence = "`ip -details link show` on the node: vlan id differs from the plan"
    cause = "The name of a VLAN interface is only a name; the tag is what it was made with."
    loses_addresses = True
    cure = "delete the interface, make it with the right id, start the containers anew"
    reference = "Linux net/8021q/vlan.c; moby daemon/libnetwork/drivers/macvlan, createVlanLink"
    no_place = "this lab has no VLAN"

    def places(self, scene: Scene) -> Iterator[Place]:
        for node in scene.plan.nodes:
            for vlan in node.vlans:
                yield Place(node.name, vlan.interface, node.name, (str(vlan.vlan),))

    def effect(self, scene: Scene, place: Place) -> Effect:
        across = scene.cells("parent", place.node, place.device, lambda p: not p.sibling)
        return Effect(across | scene.cells("space", place.node, place.device))

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        used = {network.vlan for network in scene.plan.networks}
        tag = int(place.detail[0])
        return self._anew(scene, place, next(v for v in range(tag + 1, tag + 40) if v not in used))

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        return self._anew(scene, place, int(place.detail[0]))

    def keeps(self, scene: Scene, place: Place) -> tuple[str, ...]:
        """The node loses its own address on the VLAN, and each child all that it had."""
        children = scene.children_on(place.node, place.device)
        return (place.node, *(child.container for child in children))

    def _anew(self, scene: Scene, place: Place, tag: int) -> list[Step]:
        base = place.device.partition(".")[0]
        steps = [Step(place.node, VLAN_ANEW, (place.device, base, str(tag)))]
        for child in scene.children_on(place.node, place.device):
            steps.append(remake(scene, Place.of(child)))
        return steps

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        seen = info(space, place.device).get("id")
        if seen is not None and str(seen) != place.detail[0]:
            yield details_proof(space, place.device)
