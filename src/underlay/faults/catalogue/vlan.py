"""Faults of VLANs on the nodes: another tag than planned, or a container on another VLAN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.faults.catalogue.driver import WrongMaster
from underlay.faults.evidence.lines import details_proof
from underlay.faults.evidence.spaces import info
from underlay.faults.fault import Effect, Fault, Place
from underlay.faults.healing import given_back
from underlay.faults.remake import child_at, remake
from underlay.faults.step import Proof, Step
from underlay.plan.naming import NAME_BYTES, vlan_link_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.faults.scene import Child, Scene
    from underlay.observe.evidence import Space

SUBJECT = "VLANs"

VLAN_TOO = """
ip link show "$1" >/dev/null 2>&1 || ip link add link "$2" name "$1" type vlan id "$3"
ip link set "$1" up
"""
VLAN_ANEW = """
ip link delete "$1" 2>/dev/null || :
ip link add link "$2" name "$1" type vlan id "$3"
ip link set "$1" up
"""


def _unused(scene: Scene, tag: int) -> int:
    """Return a VLAN beside ``tag`` that the lab has no use for."""
    used = {network.vlan for network in scene.plan.networks}
    return next(vlan for vlan in range(tag + 1, tag + 40) if vlan not in used)


def _sub_interface(nic: str, tag: int) -> str:
    """Return a name for a sub-interface that the plan doesn't have; the kernel takes 15 bytes."""
    name = vlan_link_name(nic, tag)
    return name if len(name) <= NAME_BYTES else f"vlan{tag}"


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
        other, nic, tag = self._other(scene, place)
        made = Step(place.node, VLAN_TOO, (other, nic, str(tag)))
        return [made, remake(scene, place, parent=other)]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        other, _, _ = self._other(scene, place)
        gone = 'ip link delete "$1" 2>/dev/null || :'
        return [remake(scene, place), Step(place.node, gone, (other,))]

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        return [remake(scene, place), *given_back(scene, place.target, place.device)]

    def _other(self, scene: Scene, place: Place) -> tuple[str, str, int]:
        """Return a sub-interface beside the network's own that no other network is on."""
        network = child_at(scene, place).network
        tag = _unused(scene, network.vlan or 0)
        return _sub_interface(network.nic, tag), network.nic, tag

    def wrong(self, name: str, nic: str, child: Child) -> bool:
        """Whether the child sits on the right NIC, but in another VLAN."""
        network = child.network
        return bool(network.vlan) and nic == network.nic and name != network.parent


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
        return self._anew(scene, place, _unused(scene, int(place.detail[0])))

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        return self._anew(scene, place, int(place.detail[0]))

    def keeps(self, scene: Scene, place: Place) -> tuple[str, ...]:
        """The node loses its own address on the VLAN, and each child all that it had."""
        children = scene.children_on(place.node, place.device)
        return (place.node, *(child.container for child in children))

    def _anew(self, scene: Scene, place: Place, tag: int) -> list[Step]:
        vlans = scene.plan.node(place.node).vlans
        nic = next(vlan.link for vlan in vlans if vlan.interface == place.device)
        steps = [Step(place.node, VLAN_ANEW, (place.device, nic, str(tag)))]
        for child in scene.children_on(place.node, place.device):
            steps.append(remake(scene, Place.of(child)))
        return steps

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        seen = info(space, place.device).get("id")
        if seen is not None and str(seen) != place.detail[0]:
            yield details_proof(space, place.device)
