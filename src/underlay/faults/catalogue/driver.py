"""Faults of the drivers: a child or parent in another mode, on another parent or VLAN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from underlay.faults.evidence.lines import details_proof, link_proof
from underlay.faults.evidence.spaces import info
from underlay.faults.fault import ChildFault, Effect, Fault, Finding, Layer, Place
from underlay.faults.places import parents
from underlay.faults.remake import child_at, planned_mode, remake
from underlay.faults.step import Proof, Step
from underlay.plan import MANAGEMENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.faults.scene import Child, Passage, Scene
    from underlay.observe.evidence import Evidence

SUBJECT = "drivers"

# Mode and flag belong to the parent: any child that names them sets them for all of its siblings.
SET_PARENT = """
ip link delete underlay-mode 2>/dev/null || :
ip link add link "$1" name underlay-mode type ipvlan mode $2
ip link delete underlay-mode
"""


class MacvlanMode(ChildFault):
    """A macvlan child in another mode than planned; the modes are per child."""

    layer = "driver"
    mode: ClassVar[str]
    reference = "Linux drivers/net/macvlan.c, macvlan_queue_xmit; ip-link(8), macvlan mode"
    no_place = "this lab has no macvlan network in bridge mode"
    drivers = ("macvlan",)
    modes = ("bridge",)
    siblings_only: bool = True

    def takes(self, scene: Scene, place: Place, passage: Passage) -> bool:
        return passage.sibling or not self.siblings_only

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        return self._set(place, self.mode)

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        return self._set(place, child_at(scene, place).network.mode)

    def _set(self, place: Place, mode: str) -> list[Step]:
        script = 'ip link set "$1" type macvlan mode "$2"'
        return [Step(place.target, script, (place.device, mode))]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        for child in scene.children:
            if child.network.driver != "macvlan" or child.network.mode == self.mode:
                continue
            space = evidence.space(child.container)
            if space and info(space, child.interface).get("mode") == self.mode:
                place = Place.of(child, child.end)
                yield self.found(scene, place, details_proof(space, child.interface))


class MacvlanPrivate(MacvlanMode):
    """A child that is private among siblings in bridge mode."""

    id = "macvlan-private"
    mode = "private"
    title = "a macvlan child is in mode private"
    symptom = "the container and its siblings lose each other; everything across nodes goes on"
    evidence = "`ip -details link show` in the container: macvlan mode private"
    cause = "A private child neither sends to its siblings nor takes what they send."
    cure = "ip link set DEVICE type macvlan mode bridge, or `mode: bridge` in its configuration"


class MacvlanVepa(MacvlanMode):
    """A child in vepa mode, the default of ip link, on a switch without hairpin."""

    id = "macvlan-vepa"
    mode = "vepa"
    title = "a macvlan child is in mode vepa"
    symptom = "the container and its siblings lose each other; everything across nodes goes on"
    evidence = "`ip -details link show` in the container: macvlan mode vepa"
    cause = (
        "A vepa child sends to its siblings by way of the switch, which returns no frame to the"
        " port that it came from. vepa is what `ip link add` makes without a mode."
    )
    cure = "ip link set DEVICE type macvlan mode bridge, or turn hairpin on at the switch port"


class MacvlanSource(MacvlanMode):
    """A child in source mode that lists nobody."""

    id = "macvlan-source"
    mode = "source"
    title = "a macvlan child is in mode source and lists no sender"
    symptom = "every cell of the container is lost: it sends, but receives nothing"
    evidence = "`ip -details link show` in the container: macvlan mode source"
    cause = "In source mode a child receives only from the MAC addresses listed with it."
    cure = "list the peers (ip link set DEVICE type macvlan macaddr add MAC), or mode bridge"
    reference = "ip-link(8), macvlan mode source; Linux drivers/net/macvlan.c"
    siblings_only = False


class IpvlanPort(Fault):
    """An ipvlan parent whose mode or flag is another than planned, for all of its children."""

    layer = "driver"
    words: ClassVar[str]
    siblings: ClassVar[bool]
    reference = (
        "Linux drivers/net/ipvlan/ipvlan_main.c (mode and flags are per port, the last one set"
        " holds); measured: a child that is added and deleted leaves them behind"
    )
    no_place = "this lab has no ipvlan network in mode l2"

    def places(self, scene: Scene) -> Iterator[Place]:
        """Parents whose children show their mode, which a container behind a tap can't.

        Nor is a tap made for another mode: the guest's first IPv6 frame in l3 would end the node.
        """
        for place in parents(scene, scene.plan.nodes):
            children = scene.children_on(place.node, place.device)
            if any(child.network.traits.attach == "tap" for child in children):
                continue
            if any(planned_mode(c) == "l2 bridge" for c in children):
                yield place

    def effect(self, scene: Scene, place: Place) -> Effect:
        """Return what the parent's children have between them, or else what they have beyond."""
        cells = [
            scene.cells("space", c.container, c.interface, lambda p: p.sibling is self.siblings)
            for c in scene.children_on(place.node, place.device)
        ]
        return Effect(frozenset().union(*cells))

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        """Add a child with that mode, and delete it: the mode stays."""
        return [Step(place.target, SET_PARENT, (place.device, self.words))]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        planned = planned_mode(scene.children_on(place.node, place.device)[0])
        return [Step(place.target, SET_PARENT, (place.device, planned))]

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """Set it at any child: it holds for all of the parent's."""
        child = scene.children_on(place.node, place.device)[0]
        words = f'ip link set "$1" type ipvlan mode {planned_mode(child)}'
        return [Step(child.container, words, (child.interface,))]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        for place in self.places(scene):
            for child in scene.children_on(place.node, place.device):
                space = evidence.space(child.container)
                if space is None or not self.fits(info(space, child.interface), child):
                    continue
                yield self.found(scene, place, details_proof(space, child.interface))
                break

    def fits(self, seen: dict[str, Any], child: Child) -> bool:
        """Whether a child's settings show this fault."""
        raise NotImplementedError


class IpvlanL3(IpvlanPort):
    """An ipvlan parent flipped to l3, the default of ip link."""

    id = "ipvlan-mode-l3"
    words = "l3"
    siblings = False
    title = "an ipvlan parent is in mode l3 instead of l2"
    symptom = "the node's ipvlan containers lose all other nodes; siblings still reach each other"
    evidence = "`ip -details link show` in an untouched container: ipvlan mode l3, and NOARP"
    cause = (
        "Somebody added an ipvlan child in mode l3, which is what `ip link add` does without a"
        " mode. The mode belongs to the parent: all its children answer no ARP any more."
    )
    cure = "add and delete a child in the right mode: ip link add link PARENT type ipvlan mode l2"

    def effect(self, scene: Scene, place: Place) -> Effect:
        """What children don't reach as planned may stop elsewhere: they look for nobody any more.

        The node's routes lead on what they send, into another segment or to the node itself
        (Linux drivers/net/ipvlan/ipvlan_core.c, ipvlan_process_v4_outbound).
        """
        ends = {child.end for child in scene.children_on(place.node, place.device)}
        elsewhere = frozenset(cell for cell in scene.closed if cell[0] in ends)
        return Effect(super().effect(scene, place).certain, elsewhere)

    def fits(self, seen: dict[str, Any], child: Child) -> bool:
        """Whether the mode is one of layer 3, which wasn't planned."""
        return seen.get("mode") in ("l3", "l3s") and child.network.mode == "l2"


class IpvlanPrivate(IpvlanPort):
    """An ipvlan parent with the private flag."""

    id = "ipvlan-private"
    words = "l2 private"
    siblings = True
    title = "an ipvlan parent is private"
    symptom = "ipvlan siblings on that node lose each other; everything across nodes goes on"
    evidence = "`ip -details link show` in any container on it: ipvlan mode l2 private"
    cause = "The flag belongs to the parent: one child added as private makes all of them so."
    cure = "add and delete a child with the right flag: ip link add … type ipvlan mode l2 bridge"

    def fits(self, seen: dict[str, Any], child: Child) -> bool:
        """Whether the flag is this fault's, and the planned one is gone."""
        return bool(seen.get(self.words.split()[1])) and not seen.get("bridge")


class IpvlanVepa(IpvlanPrivate):
    """An ipvlan parent with the vepa flag."""

    id = "ipvlan-vepa"
    words = "l2 vepa"
    title = "an ipvlan parent is in vepa"
    evidence = "`ip -details link show` in any container on it: ipvlan mode l2 vepa"
    cause = (
        "The flag belongs to the parent: with vepa its children send to each other by way of the"
        " switch, which returns no frame to the port that it came from."
    )


class WrongMaster(ChildFault):
    """A container's child sits on another parent than planned."""

    id = "wrong-master"
    layer: Layer = "driver"
    title = "a container sits on the wrong parent"
    symptom = "every cell of the container is lost: it speaks on a link where nobody is"
    evidence = "`ip link show` in the container: its @ifN is another interface of the node"
    cause = "The child was made on another interface of the node than the network's parent."
    cure = "correct `master` (CNI) or `-o parent` (Docker) and start the container anew"
    reference = "cni.dev, plugins/current/main/macvlan, master"
    loses_addresses = True
    no_place = "this lab has no macvlan network in bridge mode off the management NIC"
    drivers = ("macvlan",)
    modes = ("bridge",)

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name the children that the node's management NIC is free for."""
        for place in super().places(scene):
            if child_at(scene, place).network.nic != MANAGEMENT:
                yield place

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        return [remake(scene, place, parent=MANAGEMENT)]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        return [remake(scene, place)]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find children on another interface of the node; another VLAN is a fault of its own."""
        for child in scene.children:
            space, node = evidence.space(child.container), evidence.space(child.node)
            link = space.links.get(child.interface) if space else None
            # The lower interface of a bridge's container is the other end of its cable.
            if child.network.traits.attach != "child":
                continue
            if space is None or node is None or link is None or "link_index" not in link:
                continue
            lower = {row["ifindex"]: row for row in node.links.values()}
            row = lower.get(link["link_index"], {})
            name = row.get("ifname", "")
            # A VLAN sub-interface says which NIC it is on.
            if name and self.wrong(name, row.get("link", name), child):
                place = Place.of(child, child.end)
                proofs = (link_proof(space, child.interface), link_proof(node, name))
                yield self.found(scene, place, *proofs)

    def wrong(self, name: str, nic: str, child: Child) -> bool:
        """Whether sitting on ``name``, of ``nic``, is this fault, and not one of the VLAN alone."""
        network = child.network
        return name != network.parent and not (nic == network.nic and network.vlan)
