"""Faults that keep an end from being found: its neighbours' questions get no answer.

Nothing else is lost by them. Whoever asks is learned by the one that is asked, so that a machine
which can't be found still reaches all others, and is reached by them for a while after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.faults.catalogue.neighbours import ArpOff
from underlay.faults.evidence.lines import link_proof, sysctl_proof
from underlay.faults.fault import Effect, Fault, Place
from underlay.faults.next_hops import UNASKED, carried, sent_to
from underlay.faults.places import parents
from underlay.faults.step import Proof, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.faults.scene import Passage, Scene
    from underlay.observe.evidence import Space

SUBJECT = "neighbours"

NEVER = "8"  # the value by which nothing is answered


class ArpIgnored(Fault):
    """A machine answers no ARP requests."""

    id = "arp-ignored"
    layer = "neighbours"
    title = "a machine answers no ARP requests"
    symptom = (
        "nobody reaches it over IPv4 who hasn't heard from it yet; it reaches all others, and then"
        " they reach it, too"
    )
    evidence = "net.ipv4.conf.all.arp_ignore or that of the device is 8"
    cause = "The kernel is told not to answer ARP, so that no neighbour learns its MAC address."
    cure = "sysctl -w net.ipv4.conf.all.arp_ignore=0, and the same for its device"
    reference = "Linux Documentation/networking/ip-sysctl.rst, arp_ignore; RFC 826"
    break_script = 'sysctl -qw "net/ipv4/conf/$1/arp_ignore=8"'
    mend_script = 'sysctl -qw "net/ipv4/conf/$1/arp_ignore=0"'

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name containers that are asked by ARP, then nodes' interfaces with addresses."""
        for child in scene.children:
            if child.address and child.network.mode not in UNASKED:
                yield Place.of(child, child.end)
        yield from parents(scene, scene.plan.nodes)

    def effect(self, scene: Scene, place: Place) -> Effect:
        """Not found is a node also by those that send to it what is for its containers."""
        own = super().effect(scene, place)
        if place.target != place.node:
            return own

        def asked(passage: Passage) -> bool:
            return passage.packet.request and passage.packet.family == 4

        return Effect(own.certain | sent_to(scene, place.target, place.device, asked))

    def takes(self, scene: Scene, place: Place, passage: Passage) -> bool:
        """Who asks first doesn't find it; who is asked by it has learned from that."""
        packet = passage.packet
        asked = packet.request and packet.family == 4
        return asked and passage.direction == "in" and not passage.forwarded

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """Set back what the evidence shows, for all devices or for this one."""
        return [
            Step(place.target, f"sysctl -w {proof.command.split()[1].replace('.', '/')}=0")
            if "/" not in proof.command
            else Step(place.target, self.mend_script, (place.device,))
            for proof in proofs
        ]

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        for name in ("all", place.device):
            switch = f"net.ipv4.conf.{name}.arp_ignore"
            if space.sysctl.get(switch) == NEVER:
                yield sysctl_proof(space, switch)
                return


class NodeArpOff(ArpOff):
    """A node's own interface doesn't speak ARP."""

    id = "node-arp-off"
    title = "a node's interface has ARP off"
    symptom = (
        "the node's own cells by that interface are lost, and those of an overlay above it and of"
        " ipvlan l3; other macvlan and ipvlan containers have neighbours of their own"
    )
    evidence = "`ip link show` on the node: NOARP"
    cure = "ip link set DEVICE arp on, on the node"

    def places(self, scene: Scene) -> Iterator[Place]:
        """Name interfaces with cells of the node's own."""
        for place in parents(scene, scene.plan.nodes):
            if scene.cells("space", place.target, place.device):
                yield place

    def effect(self, scene: Scene, place: Place) -> Effect:
        """The interface asks for nobody, by IPv6 neither: ndisc_constructor looks at the flag."""
        own = super().effect(scene, place)
        return Effect(own.certain | carried(scene, place.target, place.device))

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        if "NOARP" in space.links.get(place.device, {}).get("flags", ()):
            yield link_proof(space, place.device)
