"""The fault of policies below the firewall, by which IPsec chooses what it wraps."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from underlay.faults.catalogue.filters import cells_at, effect_of, sureness_of
from underlay.faults.evidence.drops import Drop
from underlay.faults.evidence.xfrm import COMMAND, COUNTERS, of_policies
from underlay.faults.fault import ChildFault, Effect, Finding, Place
from underlay.faults.places import neighbour
from underlay.faults.remake import child_at
from underlay.faults.step import Proof, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.faults.scene import Scene
    from underlay.observe.evidence import Evidence, Space

SUBJECT = "filters"


class PolicyBlocks(ChildFault):
    """A policy of xfrm, below every firewall, takes packets."""

    id = "xfrm-blocks"
    layer = "filters"
    title = "a policy of xfrm blocks packets"
    symptom = "what the policy means is lost, although no firewall has a rule about it"
    evidence = "`ip xfrm policy show`: action block, or a template; /proc/net/xfrm_stat counts"
    cause = (
        "IPsec's policies are asked below iptables and nft: one that blocks loses packets, and so"
        " does one with a template where nobody has keys for it."
    )
    cure = "ip xfrm policy delete src SOURCE dst DESTINATION dir DIRECTION, where it was seen"
    reference = "ip-xfrm(8); Linux net/xfrm/xfrm_policy.c, xfrm_lookup; xfrm_proc.rst"
    other_modes_than = ("l3", "l3s")
    no_place = "no two containers of a network of this lab are on different nodes"
    break_script = 'ip xfrm policy add dir out src 0.0.0.0/0 dst "$1" action block'
    mend_script = 'ip xfrm policy delete dir out src 0.0.0.0/0 dst "$1" 2>/dev/null || :'

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name containers, each with another one of its network that it can't send to."""
        for place in super().places(scene):
            child = child_at(scene, place)
            other = neighbour(scene, child)
            if other:
                yield Place(child.container, "", child.node, (other.address,))

    def effect(self, scene: Scene, place: Place) -> Effect:
        found = Drop("", (), "out", destination=(True, place.detail[0]), frames="ip")
        return Effect(cells_at(scene, place.target, found))

    def arguments(self, scene: Scene, place: Place) -> tuple[str, ...]:
        return place.detail

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """Delete the policies that the evidence shows."""
        shown = [proof.lines for proof in proofs if proof.command == COMMAND]
        return [
            Step(place.target, f"ip xfrm policy delete {lines[0].strip()} {_way(lines[1])}")
            for lines in shown
        ]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find policies in any namespace that have lost packets."""
        for name in dict.fromkeys(end.space for end in scene.ends.values()):
            space = evidence.space(name)
            for found in of_policies(space) if space else ():
                cells = cells_at(scene, name, found)
                if space and cells:
                    yield self.found(
                        scene,
                        Place(name, "", space.node),
                        Proof(name, COMMAND, found.lines),
                        _counted(space, found),
                        sureness=sureness_of(found),
                        effect=effect_of(found, cells),
                        counted=found.hits,
                    )


def _way(line: str) -> str:
    words = line.split()
    return shlex.join(words[:2])


def _counted(space: Space, found: Drop) -> Proof:
    names = {name for direction in COUNTERS for name in COUNTERS[direction]}
    lines = [f"{name} {space.counters[name]}" for name in sorted(names) if name in space.counters]
    return Proof(space.name, "cat /proc/net/xfrm_stat", tuple(lines))
