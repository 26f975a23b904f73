"""The fault of sizes: an interface or switch port that carries less than planned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.faults.evidence.lines import link_proof
from underlay.faults.evidence.spaces import links
from underlay.faults.fault import Effect, Fault, Place, Step
from underlay.plan import SWITCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.expect.passages import Kind
    from underlay.faults.fault import Finding
    from underlay.faults.scene import Scene
    from underlay.observe.evidence import Evidence

SUBJECT = "links"

LESS = 100
SET = 'ip link set "$1" mtu "$2"'


class MtuTooSmall(Fault):
    """An interface on the way takes smaller packets than planned."""

    id = "mtu-too-small"
    layer = "link"
    title = "an interface takes smaller packets than planned"
    symptom = (
        "small packets pass and large ones vanish: pings work, TCP opens and stalls; only the"
        " check `pmtu` shows it"
    )
    evidence = "`ip link show`: an mtu below the plan's, in a container, on a node or at the switch"
    cause = (
        "No interface sends more than its MTU. A sender learns of a smaller one behind it from a"
        " router's ICMP only: a switch or a peer drops what is too large without a word."
    )
    cure = "ip link set DEVICE mtu SIZE there; macvlan children don't rise with their parent"
    reference = (
        "RFC 1191; Linux net/core/dev.c, is_skb_forwardable; docker/for-linux#1426; measured"
    )
    no_place = "this lab has no network"

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name all that packets of the check `pmtu` pass: ports, children and parents."""
        for segment in scene.plan.segments:
            for name, port in segment.ports.items():
                detail = (str(segment.mtu), "port", segment.name)
                yield Place(SWITCH, port, name, detail)
        for child in scene.children:
            detail = (str(child.network.mtu), "space", child.container)
            yield Place.of(child, *detail)
        for node in scene.plan.nodes:
            planned = {card.interface: card.mtu for card in node.nics}
            planned |= {card.interface: card.mtu for card in node.vlans}
            planned |= {link.interface: link.mtu for link in node.links}
            for interface, mtu in planned.items():
                yield Place(node.name, interface, node.name, (str(mtu), "parent", node.name))

    def effect(self, scene: Scene, place: Place) -> Effect:
        """The sizes of all paths that leave by it change, and no cell of reachability does.

        An MTU bounds what is sent. What a NIC takes in beyond it is the driver's business, and so
        is possible; a child and a port of a switch take in what they get.
        """
        kind: Kind = "parent"
        if place.detail[1] != "parent":
            kind = "port" if place.detail[1] == "port" else "space"
        where, device = place.detail[2], place.device
        certain = scene.sized(kind, where, device, "out")
        if kind != "parent":
            return Effect(certain)
        taken = scene.sized(kind, where, device, "in")
        # The node's own packets, and what siblings of a macvlan parent have between them.
        own = scene.sized("space", where, device, "out")
        return Effect(certain, taken | own)

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        return [Step(place.target, SET, (place.device, str(int(place.detail[0]) - LESS)))]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        """Give it its size again, and to the children that sank with it."""
        steps = [Step(place.target, SET, (place.device, place.detail[0]))]
        for child in scene.children:
            if place.target == place.node == child.node and child.network.parent == place.device:
                words = (child.interface, str(child.network.mtu))
                steps.append(Step(child.container, SET, words))
        return steps

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find interfaces below their planned size, but not children that sank with a parent."""
        found = []
        for place, space, link in links(evidence, self.places(scene)):
            if int(link.get("mtu", 0)) < int(place.detail[0]):
                found.append((place, space, int(link["mtu"])))
        sunk = {(p.node, p.device): size for p, _, size in found if p.target == p.node}
        for place, space, size in found:
            own = [c for c in scene.children if c.container == place.target]
            if any(sunk.get((c.node, c.network.parent)) == size for c in own):
                continue
            yield self.found(scene, place, link_proof(space, place.device))
