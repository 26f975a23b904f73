"""Faults of neighbour tables and ARP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.faults.evidence.lines import link_proof, neighbour_line
from underlay.faults.evidence.spaces import info
from underlay.faults.fault import LIKELY, ChildFault, Effect, Fault, Finding, Place
from underlay.faults.next_hops import UNASKED
from underlay.faults.scene import Scene, involving
from underlay.faults.step import Proof, Step
from underlay.plan import family_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.observe.evidence import Evidence, Space

SUBJECT = "neighbours"

UNUSED_MAC = "02:00:00:00:00:99"
LIMIT = "net.ipv4.neigh.default.gc_thresh3"


class StaticNeighbour(Fault):
    """A permanent neighbour entry with a MAC address that isn't the neighbour's."""

    id = "static-neighbour"
    layer = "neighbours"
    title = "a permanent neighbour entry is wrong"
    symptom = "one pair is lost in both directions, although its neighbours are fine"
    evidence = "`ip neighbour show`: PERMANENT, with another MAC address than the neighbour has"
    cause = (
        "The entry never expires and no ARP answer corrects it: frames go to a MAC address"
        " that isn't the destination's."
    )
    cure = "ip neighbour delete ADDRESS dev DEVICE"
    reference = "ip-neighbour(8), nud permanent; Linux net/core/neighbour.c, neigh_update"

    def places(self, scene: Scene) -> Iterator[Place]:
        for child in scene.children:
            if child.network.mode in UNASKED:
                continue
            for other in scene.children:
                if child.network == other.network and child.node != other.node and other.address:
                    detail = (child.end, other.end, other.address)
                    if any(c[:2] == (child.end, other.end) for c in scene.healthy):
                        yield Place.of(child, *detail)
                        break

    def effect(self, scene: Scene, place: Place) -> Effect:
        """The pair is lost: requests of the one, and its answers to the other, go astray."""
        own, other, address = place.detail
        family = family_of(address)
        cells = involving(scene.healthy, own)
        return Effect(frozenset(c for c in cells if other in c[:2] and c[3] == family))

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        script = 'ip neighbour replace "$2" lladdr "$3" dev "$1" nud permanent'
        return [Step(place.target, script, (place.device, place.detail[2], UNUSED_MAC))]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        script = 'ip neighbour delete "$2" dev "$1" 2>/dev/null || :'
        return [Step(place.target, script, (place.device, place.detail[2]))]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        ends = {}
        for way in scene.healthy.values():
            arrivals = (p for p in way if (p.kind, p.direction) == ("space", "in"))
            for p in (p for p in arrivals if not p.forwarded and not p.packet.outer):
                ends[p.packet.destination] = (p.packet.receiver, p.packet.destination_mac)
        for name in scene.ends.values():
            space = evidence.space(name.space)
            for row in space.rows("neighbours") if space else ():
                wanted = ends.get(row.get("dst", ""))
                if space is None or wanted is None or "PERMANENT" not in row.get("state", ()):
                    continue
                if info(space, row.get("dev", "")).get("mode") in UNASKED:
                    continue  # no frame of l3 goes by it
                if row.get("lladdr", "").lower() != wanted[1] and name.name != wanted[0]:
                    proof = Proof(space.name, "ip neighbour show", (neighbour_line(row),))
                    detail = (name.name, wanted[0], row["dst"])
                    place = Place(space.name, row.get("dev", ""), space.node, detail)
                    yield self.found(scene, place, proof)


class ArpOff(ChildFault):
    """A container's interface doesn't speak ARP."""

    id = "arp-off"
    layer = "neighbours"
    title = "a container's interface has ARP off"
    symptom = "every cell of the container is lost: it neither asks nor answers"
    evidence = "`ip link show` in the container: NOARP"
    cause = "With NOARP an interface asks nobody for MAC addresses and answers nobody."
    cure = "ip link set DEVICE arp on in the container"
    reference = "Linux net/ipv4/arp.c, arp_rcv (IFF_NOARP)"
    other_modes_than = UNASKED
    break_script = 'ip link set "$1" arp off'
    mend_script = 'ip link set "$1" arp on'

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        flags = space.links.get(place.device, {}).get("flags", ())
        if "NOARP" in flags and info(space, place.device).get("mode") not in UNASKED:
            yield link_proof(space, place.device)


class TableFull(Fault):
    """A node's neighbour table takes fewer entries than its containers need."""

    id = "neighbour-table-full"
    layer = "neighbours"
    title = "a node's neighbour table is too small"
    symptom = "cells of the node and its containers are lost, others of the same kind aren't"
    evidence = f"{LIMIT} on the node is below what its containers need; `table overflow` in dmesg"
    cause = "The limit holds for all namespaces of a node together; an entry too many is refused."
    cure = f"sysctl -w {LIMIT}=8192 on the node"
    reference = "Linux net/core/neighbour.c, neigh_alloc; measured: 1042 of 1200 pairs at 1024"
    break_script = 'for n in 1 2 3; do sysctl -qw "net.ipv4.neigh.default.gc_thresh$n=4"; done'
    mend_script = """
for file in /etc/sysctl.d/*.conf; do sysctl -qp "$file" || :; done
for n in 3 2 1; do
    test "$(sysctl -n "net.ipv4.neigh.default.gc_thresh$n")" -gt 4 ||
        sysctl -qw "net.ipv4.neigh.default.gc_thresh$n=$((1024 * n * n))"
done
"""

    def places(self, scene: Scene) -> Iterator[Place]:
        for node in scene.plan.nodes:
            yield Place(node.name, "", node.name)

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        sizes = " ".join(f"{LIMIT[:-1]}{n}={size}" for n, size in ((3, 8192), (2, 4096), (1, 1024)))
        return [Step(place.target, f"sysctl -w {sizes}")]

    def effect(self, scene: Scene, place: Place) -> Effect:
        """Any cell of the node may be lost: its way to whoever measures needs an entry, too."""
        ends = {name for name, end in scene.ends.items() if end.node == place.node}
        return Effect(frozenset(), involving(scene.every, *ends))

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        for place in self.places(scene):
            space = evidence.space(place.node)
            if space is None or LIMIT not in space.sysctl:
                continue
            limit, needed = int(space.sysctl[LIMIT]), self._needed(scene, place.node)
            if limit < needed:
                lines = [f"{LIMIT} = {limit}", f"its cells need {needed} entries"]
                log = evidence.runtime(place.node).get("log", ())
                lines += [line for line in log if "table overflow" in line][-1:]
                proof = Proof(place.node, f"sysctl {LIMIT}", tuple(lines))
                yield self.found(scene, place, proof, sureness=LIKELY)

    def _needed(self, scene: Scene, node: str) -> int:
        neighbours = set()
        for source, destination, _, family in scene.healthy:
            if family != 4 or destination not in scene.ends:
                continue  # a whole network is no neighbour
            if scene.ends[source].node == node:
                neighbours.add((source, destination))
            if scene.ends[destination].node == node:
                neighbours.add((destination, source))
        return len(neighbours)
