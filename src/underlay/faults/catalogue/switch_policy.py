"""Faults of the switch that refuse frames: MAC policies, access lists, VLANs off a trunk."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from underlay.faults.catalogue.filters import counted, effect_of, proofs_of, sureness_of
from underlay.faults.evidence import port_vlans
from underlay.faults.evidence.acting import drops
from underlay.faults.evidence.drops import Drop
from underlay.faults.evidence.lines import fdb_line, port_proof
from underlay.faults.evidence.spaces import switch_ports
from underlay.faults.fault import (
    LIKELY,
    PROVEN,
    Effect,
    Fault,
    Finding,
    Layer,
    Place,
    Sureness,
)
from underlay.faults.healing import removed
from underlay.faults.places import ports
from underlay.faults.step import Proof, Step
from underlay.plan import SWITCH, PlannedNode, PlannedSegment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.faults.scene import Cell, Passage, Scene
    from underlay.observe.evidence import Evidence

SUBJECT = "switch"


class MacPolicy(Fault):
    """A port takes only the MAC addresses that it knows, and knows only the NIC's."""

    id = "mac-policy"
    layer = "switch"
    title = "a switch port refuses MAC addresses that aren't the NIC's"
    symptom = (
        "macvlan containers of that node lose all other nodes; the node itself, siblings and"
        " ipvlan containers go on"
    )
    evidence = "`bridge -d link show`: locked on; or a rule that drops other source addresses"
    cause = (
        "The port takes frames of known MAC addresses only (port security, forged transmits"
        " rejected), and macvlan children have addresses of their own."
    )
    cure = "allow the MAC addresses at the port, or use ipvlan, which has only the NIC's"
    reference = "docker/docs#15855; moby/moby#21735; bridge(8), locked; Linux ipvlan.rst, 6(a)"
    kind = "port"

    def places(self, scene: Scene) -> Iterator[Place]:
        for node, segment, port in ports(scene):
            nic = next(nic for nic in node.nics if nic.segment == segment.name)
            yield Place(SWITCH, port, node.name, (segment.name, nic.mac))

    def takes(self, scene: Scene, place: Place, passage: Passage) -> bool:
        allowed = place.detail[1:]
        return passage.direction == "in" and passage.packet.source_mac not in allowed

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        script = """
port=$1; bridge=$2; shift 2
bridge link set dev "$port" learning off locked on
bridge fdb flush dev "$bridge" brport "$port" dynamic
for mac; do bridge fdb replace "$mac" dev "$port" master static; done
"""
        bridge = next(s.bridge for s in scene.plan.segments if s.name == place.detail[0])
        return [Step(SWITCH, script, (place.device, bridge, *self.allowed(scene, place)))]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        script = """
port=$1; shift
bridge link set dev "$port" learning on locked off
for mac; do bridge fdb delete "$mac" dev "$port" master 2>/dev/null || :; done
"""
        return [Step(SWITCH, script, (place.device, *self.allowed(scene, place)))]

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """Unlock the port, or remove the rules; the entries of its table do no harm."""
        script = 'bridge link set dev "$1" learning on locked off'
        return removed(SWITCH, proofs) or [Step(SWITCH, script, (place.device,))]

    def allowed(self, scene: Scene, place: Place) -> tuple[str, ...]:
        """Return the MAC addresses that the port is left with."""
        return place.detail[1:]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find locked ports, or such rules, that allow none of the node's containers."""
        for place, proofs, sureness in policies(scene, evidence):
            if not self._children(scene, place) & set(place.detail[1:]):
                yield self.found(scene, place, *proofs, sureness=sureness)

    def _children(self, scene: Scene, place: Place) -> set[str]:
        """Return the containers' MAC addresses that pass the port beside the NIC's.

        An ipvlan child and a VLAN of the NIC have the NIC's own, and an overlay's frames travel
        within packets of the node.
        """
        segment = place.detail[0]
        own = {nic.mac for nic in scene.plan.node(place.node).nics if nic.segment == segment}
        return {
            child.mac
            for child in scene.children
            if child.node == place.node
            and child.network.segment == segment
            and child.network.traits.own_mac
            and child.network.traits.overlay is None
        } - own


class PortSecurity(MacPolicy):
    """A port takes the first MAC addresses and refuses those that came later."""

    id = "port-security"
    title = "a switch port takes only some of its containers' MAC addresses"
    symptom = "one container of a node loses all other nodes, its twin beside it doesn't"
    evidence = "`bridge fdb show dev PORT`: its MAC address isn't among the allowed ones"
    cause = (
        "The port takes a limited number of MAC addresses: the first containers work, the"
        " next one doesn't."
    )
    cure = "raise the port's limit, or use ipvlan, which needs one address"
    reference = "Linux Documentation/networking/ipvlan.rst, 6(a); sonic-net/SONiC#957"
    no_place = "no node of this lab has two macvlan containers in a segment"

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name ports with at least two children that have addresses of their own."""
        for place in super().places(scene):
            macs = sorted(self._children(scene, place))
            if len(macs) > 1:
                yield Place(SWITCH, place.device, place.node, (*place.detail, *macs[:-1]))

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find locked ports, or such rules, that allow some of the node's containers."""
        for place, proofs, sureness in policies(scene, evidence):
            if self._children(scene, place) & set(place.detail[1:]):
                yield self.found(scene, place, *proofs, sureness=sureness)


def policies(
    scene: Scene, evidence: Evidence
) -> Iterator[tuple[Place, tuple[Proof, ...], Sureness]]:
    """Yield ports with a MAC policy: the place, with the allowed addresses, and its proofs."""
    switch = evidence.space(SWITCH)
    if switch is None:
        return
    seen = switch_ports(switch)
    for node, segment, port in ports(scene):
        if segment.locked:
            continue
        row = seen.get(port, {})
        if row.get("locked"):
            known = [r for r in switch.rows("fdb") if r.get("ifname") == port and "master" in r]
            lines = tuple(fdb_line(r) for r in known)
            macs = tuple(r["mac"] for r in known)
            proofs: tuple[Proof, ...] = (
                port_proof(row),
                Proof(SWITCH, f"bridge fdb show dev {port}", lines),
            )
            yield Place(SWITCH, port, node.name, (segment.name, *macs)), proofs, PROVEN
        denied = [found for found in drops(switch) if found.device == port and found.source_mac]
        if denied:
            macs = _allowed(scene, node, segment, denied)
            proofs = tuple(p for found in denied for p in proofs_of(switch, found))
            sureness = PROVEN if all(found.hits for found in denied) else LIKELY
            yield Place(SWITCH, port, node.name, (segment.name, *macs)), proofs, sureness


def _allowed(
    scene: Scene, node: PlannedNode, segment: PlannedSegment, denied: list[Drop]
) -> tuple[str, ...]:
    nic = next(nic for nic in node.nics if nic.segment == segment.name)
    macs = [nic.mac] + [
        c.mac for c in scene.children if c.node == node.name and c.network.segment == segment.name
    ]

    def passes(mac: str) -> bool:
        return not any(
            d.source_mac and (d.source_mac[1].lower() == mac) is d.source_mac[0] for d in denied
        )

    return tuple(mac for mac in dict.fromkeys(macs) if passes(mac))


class SwitchDrops(Fault):
    """A rule at the switch discards frames at a port."""

    id = "switch-drops"
    layer: Layer = "switch"
    title = "a rule at the switch discards frames"
    symptom = "what passes that port and the rule means is lost; siblings go on"
    evidence = "`nft list ruleset` or `tc -s filter show dev PORT` at the switch"
    cause = "An access list at the switch discards frames of the port."
    cure = "delete the rule that the evidence shows, at the switch"
    reference = "nft(8), bridge family"
    no_place = "this lab's switch is a machine of its own, whose image has no nft"

    def places(self, scene: Scene) -> Iterator[Place]:
        for node, segment, port in ports(scene) if scene.plan.switch is None else ():
            yield Place(SWITCH, port, node.name, (segment.name,))

    def effect(self, scene: Scene, place: Place) -> Effect:
        """IPv4's UDP cells that enter by the port are lost: access lists are rarely about all."""
        found = Drop("", (), "in", place.device, protocol=(True, "udp"), frames="ip")
        return Effect(_at_port(scene, place.detail[0], found))

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        rule = f'iifname "{place.device}" ip protocol udp counter drop'
        return [Step(SWITCH, TABLE, (rule,))]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        return [Step(SWITCH, "nft delete table bridge underlay_fault 2>/dev/null || :")]

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """Remove what the evidence shows, whichever program put it there."""
        return removed(place.target, proofs)

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find rules that aren't about MAC addresses, and filters of tc at ports."""
        switch = evidence.space(SWITCH)
        if switch is None:
            return
        for node, segment, port in ports(scene):
            for found in drops(switch):
                if found.device not in ("", port) or not self.fits(found):
                    continue
                cells = _at_port(scene, segment.name, replace(found, device=port))
                if cells:
                    place = Place(SWITCH, port, node.name, (segment.name,))
                    effect, sureness = effect_of(found, cells), sureness_of(found)
                    yield self.found(
                        scene,
                        place,
                        *proofs_of(switch, found),
                        sureness=sureness,
                        effect=effect,
                        counted=counted(found),
                    )

    def fits(self, found: Drop) -> bool:
        """Whether what discards is this fault and not another one of the switch."""
        return found.vlan is None and found.source_mac is None


class VlanNotOnTrunk(SwitchDrops):
    """A trunk port doesn't carry a VLAN."""

    id = "vlan-not-on-trunk"
    layer = "VLAN"
    title = "a trunk port doesn't carry a VLAN"
    symptom = "that VLAN's containers of one node lose all other nodes; other VLANs go on"
    evidence = "at the switch, the port's allowed VLANs, or a rule that drops the tag"
    cause = "The switch port drops frames with that tag: the VLAN isn't among those allowed on it."
    cure = "allow the VLAN at the port (bridge vlan add vid VLAN dev PORT, or delete the rule)"
    reference = "moby/libnetwork#1286; Docker docs, macvlan, 802.1Q trunk bridge mode"
    no_place = "this lab has no trunk with a VLAN"

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name each port with each VLAN that passes: one of its own, or some network's tag."""
        for node, segment, port in ports(scene):
            tags = [n.vlan for n in scene.plan.networks if n.segment == segment.name and n.vlan]
            if scene.plan.switch:
                tags = list(segment.vlans[node.name].tagged) if segment.vlans else []
            for tag in dict.fromkeys(tags):
                yield Place(SWITCH, port, node.name, (segment.name, str(tag)))

    def effect(self, scene: Scene, place: Place) -> Effect:
        """What passes with that tag is lost, or in that VLAN where the switch filters them."""
        segment = next(s for s in scene.plan.segments if s.name == place.detail[0])
        if segment.vlans:
            vlan = int(place.detail[1])
            return Effect(port_vlans.cells_within(scene, segment, place.device, vlan))
        found = Drop("", (), "in", place.device, vlan=(True, place.detail[1]))
        return Effect(_at_port(scene, place.detail[0], found))

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        """Take the VLAN off the port where the switch has VLANs; else drop the tag, both ways."""
        if scene.plan.switch:
            return [self._vlan(place, "delete")]
        words = f"vlan id {place.detail[1]} counter drop"
        rules = (f'iifname "{place.device}" {words}', f'oifname "{place.device}" {words}')
        return [Step(SWITCH, TABLE, rules)]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        return [self._vlan(place, "add")] if scene.plan.switch else super().undo(scene, place)

    def _vlan(self, place: Place, verb: str) -> Step:
        script = f'bridge vlan {verb} dev "$1" vid "$2"'
        return Step(SWITCH, script, (place.device, place.detail[1]))

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find ports that aren't members of a VLAN as planned, and rules about a tag."""
        switch = evidence.space(SWITCH)
        shown = switch.rows("vlans") if switch else []
        for node, segment, port in ports(scene) if switch else ():
            own = segment.vlans.get(node.name)
            if own is None:
                continue
            for vlan in port_vlans.missing(own, shown, port):
                place = Place(SWITCH, port, node.name, (segment.name, str(vlan)))
                proof = Proof(SWITCH, f"bridge vlan show dev {port}", (f"{port}: no VLAN {vlan}",))
                words = port_vlans.words(own, vlan, port)
                steps, cure = [Step(SWITCH, words)], f"{words} at the switch"
                yield self.found(scene, place, proof, cure=cure, steps=steps)
        yield from super().find(scene, evidence)

    def fits(self, found: Drop) -> bool:
        """Whether the rule is about a tag."""
        return found.vlan is not None


TABLE = """
nft delete table bridge underlay_fault 2>/dev/null || :
nft add table bridge underlay_fault
nft 'add chain bridge underlay_fault forward { type filter hook forward priority 0; }'
for rule; do nft "add rule bridge underlay_fault forward $rule"; done
"""


def _at_port(scene: Scene, segment: str, found: Drop) -> frozenset[Cell]:
    def met(passage: Passage) -> bool:
        same = found.direction in (passage.direction, "forward")
        return same and found.takes(passage.packet)

    return scene.cells("port", segment, found.device, met)
