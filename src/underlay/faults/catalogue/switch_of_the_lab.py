"""The lab's own policies have gone from a switch port: cells fare as if it had none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from underlay.expect import Prediction
from underlay.faults.evidence.lines import fdb_line, port_proof
from underlay.faults.evidence.spaces import switch_ports
from underlay.faults.fault import Effect, Fault, Finding, Place
from underlay.faults.other_plan import otherwise
from underlay.faults.places import ports
from underlay.faults.step import Proof, Step
from underlay.plan import SWITCH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from underlay.faults.scene import Passage, Scene
    from underlay.observe.evidence import Evidence
    from underlay.plan import PlannedNode, PlannedSegment

SUBJECT = "switch"
POLICIES = LOCKED, ISOLATED, HAIRPIN = ("locked", "isolated", "hairpin")


class PortPolicyGone(Fault):
    """A switch port isn't locked, isolated or reflecting although the lab has it so.

    A place's details are the segment, the policy, and the MAC addresses that a port lets in which
    is locked all the same; where it isn't locked, none.
    """

    id = "port-policy-gone"
    shows_otherwise = ("arp", "nd", "macs", "broadcast", "multicast")
    layer = "switch"
    title = "a policy of the lab isn't in force at a switch port"
    symptom = (
        "cells that locked or isolated ports should keep apart are reachable, or those that need a"
        " reflecting one aren't"
    )
    evidence = (
        "`bridge -d link show` at the switch: locked, isolated or hairpin off where the lab has it;"
        " or `bridge fdb show dev PORT`: a locked port knows MAC addresses that aren't its node's"
    )
    cause = (
        "Somebody has taken the policy from the port, or told a locked one more MAC addresses: it"
        " lets in all that its table knows."
    )
    cure = (
        "bridge link set dev PORT locked on learning off, isolated on or hairpin on, as the lab"
        " file has it; bridge fdb delete MAC dev PORT master"
    )
    reference = (
        "bridge(8), locked, isolated and hairpin; Linux net/bridge/br_input.c,"
        " br_handle_frame_finish (BR_PORT_LOCKED)"
    )
    no_place = "no segment of this lab is locked, isolated or hairpin with containers to notice"

    def places(self, scene: Scene) -> Iterator[Place]:
        others: dict[tuple[str, str], Scene] = {}
        for node, segment, port in ports(scene):
            for policy in POLICIES:
                if getattr(segment, policy):
                    place = Place(SWITCH, port, node.name, (segment.name, policy))
                    key = (segment.name, policy)
                    others[key] = others.get(key) or _without(scene, *key)
                    if _effect(scene, others[key], place).certain:
                        yield place

    def effect(self, scene: Scene, place: Place) -> Effect:
        """Return the cells that fare otherwise by this port alone, and those that may.

        Of the second sort are those that other ports of the segment keep apart as well: their
        requests may get further now.
        """
        return _effect(scene, _without(scene, *place.detail[:2]), place)

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        policy = place.detail[1]
        words = "locked off learning on" if policy == LOCKED else f"{policy} off"
        return [Step(SWITCH, f'bridge link set dev "$1" {words}', (place.device,))]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        """Set the policy; a locked port forgets what it has learned, and what it was told."""
        _, policy, *macs = place.detail
        if policy != LOCKED:
            return [Step(SWITCH, f'bridge link set dev "$1" {policy} on', (place.device,))]
        script = """
port=$1; shift
bridge link set dev "$port" locked on learning off
ip link set dev "$port" type bridge_slave fdb_flush
for mac; do bridge fdb delete "$mac" dev "$port" master 2>/dev/null || :; done
"""
        return [Step(SWITCH, script, (place.device, *macs))]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find ports that lack a policy of the lab, and locked ones that know too much."""
        switch = evidence.space(SWITCH)
        seen = switch_ports(switch)
        for node, segment, port in ports(scene):
            row = seen.get(port, {})
            for policy in POLICIES:
                if getattr(segment, policy) and row.get(policy) is False:
                    place = Place(SWITCH, port, node.name, (segment.name, policy))
                    yield self.found(scene, place, port_proof(row))
            table = switch.rows("fdb") if switch and segment.locked and row.get(LOCKED) else ()
            if let_in := [one for one in table if _is_let_in(one, node, segment, port)]:
                macs = dict.fromkeys(str(one["mac"]) for one in let_in)
                place = Place(SWITCH, port, node.name, (segment.name, LOCKED, *macs))
                lines = tuple(fdb_line(one) for one in let_in)
                yield self.found(scene, place, Proof(SWITCH, f"bridge fdb show dev {port}", lines))


def _without(scene: Scene, name: str, policy: str) -> Scene:
    """Return the scene of a lab one of whose segments lacks a policy at all its ports."""
    changed: list[PlannedSegment] = []
    for segment in scene.plan.segments:
        if segment.name != name:
            changed.append(segment)
        elif policy == LOCKED:
            changed.append(replace(segment, locked=False))
        elif policy == ISOLATED:
            changed.append(replace(segment, isolated=False))
        else:
            changed.append(replace(segment, hairpin=False))
    return type(scene)(Prediction(replace(scene.plan, segments=tuple(changed))))


def _effect(scene: Scene, other: Scene, place: Place) -> Effect:
    name, policy, *macs = place.detail
    cards = {nic.mac for node in scene.plan.nodes for nic in node.nics}
    certain, possible = set(), set()
    for cell in otherwise(scene.prediction, other.prediction).keys() & scene.every:
        passages = other.healthy.get(cell) or scene.healthy.get(cell) or ()
        here = [one for one in passages if (one.kind, one.where) == ("port", name)]
        lifted = [
            place.device in met and (not macs or mac in macs)
            for met, mac in _meets(policy, here, cards)
        ]
        if lifted and all(lifted):
            certain.add(cell)
        elif any(lifted) or not here:
            possible.add(cell)
    return Effect(frozenset(certain), frozenset(possible))


def _meets(
    policy: str, here: list[Passage], cards: set[str]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield where a cell's packets meet a policy: at which ports, and from which MAC address.

    ``here`` are the passages of the segment's ports, in by one and out by another in turn. A
    locked port is met where one comes in, and isolated ones by two: it takes both to stop it.
    """
    for into, out in zip(here[::2], here[1::2], strict=False):
        mac = into.packet.source_mac
        reflected = into.interface == out.interface
        if policy == LOCKED and mac not in cards:
            yield (into.interface,), mac
        elif policy != LOCKED and reflected is (policy == HAIRPIN):
            yield (into.interface, out.interface), mac


def _is_let_in(row: dict[str, Any], node: PlannedNode, segment: PlannedSegment, port: str) -> bool:
    """Whether a row of the switch's table lets in a MAC address that isn't the node's own.

    What is permanent is an address of the switch's own, which no frame may come from.
    """
    own = {nic.mac for nic in node.nics if nic.segment == segment.name}
    return (
        row.get("ifname") == port
        and "master" in row
        and row.get("state") != "permanent"
        and row.get("mac") not in own
    )
