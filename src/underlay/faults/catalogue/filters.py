"""Faults of filters: something discards packets in a container, on a node, or at a parent.

What discards is read by drops.py, whichever program put it there. Which fault it is depends
on where it stands and which way the packets go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from underlay.expect.passages import Packet
from underlay.faults.evidence.acting import drops, rise_proof
from underlay.faults.evidence.drops import Drop
from underlay.faults.evidence.iptables import of_iptables
from underlay.faults.evidence.lines import sysctl_proof
from underlay.faults.fault import (
    LIKELY,
    POSSIBLE,
    PROVEN,
    ChildFault,
    Effect,
    Fault,
    Finding,
    Place,
    Sureness,
)
from underlay.faults.healing import removed
from underlay.faults.next_hops import carried
from underlay.faults.places import parents
from underlay.faults.scene import cell_of
from underlay.faults.step import Proof, Step
from underlay.plan import SWITCH
from underlay.plan.naming import PROBE_PORT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.expect import Expectation
    from underlay.faults.scene import Cell, Passage, Scene
    from underlay.observe.evidence import Evidence, Space

SUBJECT = "filters"

OWN = ("INPUT", "OUTPUT")
CALLS = "net.bridge.bridge-nf-call-iptables"
APPEND = 'iptables-legacy -w 5 -I "$@"'
DELETE = 'iptables-legacy -w 5 -D "$@" 2>/dev/null || :'


def effect_in(scene: Scene, space: Space, found: Drop) -> Effect:
    """Return the cells whose packets meet ``found`` in a namespace and are taken."""
    return _with_refused(
        scene, space.name, found, effect_of(found, _taken(scene, space.name, found))
    )


def _taken(scene: Scene, target: str, found: Drop) -> frozenset[Cell]:
    return scene.cells("space", target, "", lambda p: _meets(p, found))


def _with_refused(scene: Scene, target: str, found: Drop, effect: Effect) -> Effect:
    """Add the cells that should be refused: nobody is told so any more, or nobody is asked.

    TCP is refused by TCP or an ICMP error, all else by an ICMP error (RFC 9293, 3.5.2; RFC 1122,
    4.1.3.1; iptables-extensions(8), REJECT).
    """
    refused = frozenset(
        cell_of(wanted)
        for wanted in scene.prediction.reach
        if wanted.stop == "refused"
        and any(found.takes(packet) for packet in _of_refused(scene, target, found, wanted))
    )
    return Effect(effect.certain, effect.possible | refused)


def _of_refused(scene: Scene, target: str, found: Drop, wanted: Expectation) -> Iterator[Packet]:
    """Yield the packets of a refused cell that pass ``target`` in the direction of ``found``.

    By its words an ICMP error is an echo reply here: which errors a rule takes alone isn't read.
    """
    if found.direction == "forward":
        return
    cell = cell_of(wanted)
    asker, asked = scene.ends[wanted.source], scene.ends[wanted.destination]
    there = (wanted.source_address, wanted.destination_address)
    protocols = {"icmp", cell[2]} if cell[2].startswith("tcp") else {"icmp"}
    of_request, of_refusal = (asker, asked) if found.direction == "out" else (asked, asker)
    if of_request.space == target and found.device in ("", of_request.interface):
        yield Packet(cell, True, asker.space, asked.space, *there, "", "", None)
    if of_refusal.space == target and found.device in ("", of_refusal.interface):
        for protocol in protocols:
            refusal = (*cell[:2], protocol, cell[3])
            yield Packet(refusal, False, asked.space, asker.space, *there[::-1], "", "", None)


def cells_at(scene: Scene, target: str, found: Drop) -> frozenset[Cell]:
    """Return the cells with a packet that ``found`` takes, wherever it stands.

    At the switch those pass a port, on a node also the parents of its containers, and what it
    routes for ipvlan l3 children.
    """

    def met(passage: Passage) -> bool:
        same = found.direction in (passage.direction, "forward")
        return same and found.takes(passage.packet)

    if target == SWITCH:
        names = (segment.name for segment in scene.plan.segments)
        return frozenset().union(*(scene.cells("port", name, found.device, met) for name in names))
    cells = scene.cells("space", target, "", lambda p: _meets(p, found))
    if any(node.name == target for node in scene.plan.nodes):
        if found.device:
            cells |= scene.cells("parent", target, found.device, met)
        if not found.of_tc:
            cells = _with_l3(scene, target, found, Effect(cells)).certain
    return cells


def effect_of(found: Drop, cells: frozenset[Cell]) -> Effect:
    """Cells are certain only where every word of the rule is understood."""
    return Effect(cells) if found.understood else Effect(frozenset(), cells)


def sureness_of(found: Drop) -> Sureness:
    """A rule that counted what it took is proven; one that doesn't count is likely.

    One whose words aren't all understood is possible, whatever it counts.
    """
    if not found.understood:
        return POSSIBLE
    return PROVEN if found.hits else LIKELY


def counted(found: Drop) -> int | None:
    """Return what it has taken as far as each lost cell costs a packet: not of ARP or ND."""
    return None if found.finding else found.hits


def proofs_of(space: Space, found: Drop) -> tuple[Proof, ...]:
    """Return the rule as it was printed, and by how much its counter has risen meanwhile."""
    return (Proof(space.name, found.command, found.lines), *rise_proof(space, found))


def shown_by(fault: Fault, scene: Scene, space: Space, found: Drop, effect: Effect) -> Finding:
    """Return the finding that something in a namespace discards packets."""
    place = Place(space.name, found.device, space.node)
    proofs, sureness = proofs_of(space, found), sureness_of(found)
    return fault.found(
        scene, place, *proofs, sureness=sureness, effect=effect, counted=counted(found)
    )


def _meets(passage: Passage, found: Drop) -> bool:
    if found.device not in ("", passage.interface):
        return False
    if found.direction == "forward":
        return passage.forwarded and found.takes(passage.packet)
    # A packet that is passed on meets neither INPUT nor OUTPUT.
    if found.direction != passage.direction or (passage.forwarded and found.hook in OWN):
        return False
    return found.takes(passage.packet)


class ContainerDrops(ChildFault):
    """A container discards packets that come in or go out."""

    layer = "filters"
    direction: ClassVar[str]
    selective: ClassVar[bool] = False
    refuses: ClassVar[bool] = False
    rule: ClassVar[tuple[str, ...]]
    cure = "delete the rule that the evidence shows, in the container's network namespace"
    reference = (
        "iptables(8), tc(8); measured: rules inside a container's namespace hold in every mode but"
        " ipvlan l3s, whose packets pass the node's"
    )
    other_modes_than = ("l3s",)
    break_script = APPEND
    mend_script = DELETE

    def effect(self, scene: Scene, place: Place) -> Effect:
        """Return what meets the rule that ``inject`` puts in, as it will be read."""
        rule = " ".join(self.arguments(scene, place))
        found = next(of_iptables(["*filter", f"[1:1] -A {rule}"]))
        effect = Effect(_taken(scene, place.target, found))
        return _with_refused(scene, place.target, found, effect)

    def arguments(self, scene: Scene, place: Place) -> tuple[str, ...]:
        return self.rule

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """Remove what the evidence shows, whichever program put it there."""
        return removed(place.target, proofs)

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find whatever discards in a container, whichever program put it there."""
        for container in scene.plan.containers:
            space = evidence.space(container.name)
            for found in drops(space) if space else ():
                if space and self.fits(found):
                    yield shown_by(self, scene, space, found, effect_in(scene, space, found))

    def fits(self, found: Drop) -> bool:
        """Whether a thing that discards is this fault and not its neighbour.

        What takes only neighbour discovery is ``nd-dropped``.
        """
        return (
            not found.discovery
            and found.direction == self.direction
            and found.refuses is self.refuses
            and (self.refuses or found.selective is self.selective)
        )


class DropsIncoming(ContainerDrops):
    """A container discards what comes in."""

    id = "container-drops-incoming"
    direction = "in"
    rule = ("INPUT", "-j", "DROP")
    title = "a container discards what comes in"
    symptom = "every cell of the container is lost: requests to it, and answers to its own"
    evidence = "a rule or filter with a growing counter on the container's way in"
    cause = "A filter in the container's namespace discards incoming packets, answers included."


class DropsOutgoing(ContainerDrops):
    """A container discards what goes out."""

    id = "container-drops-outgoing"
    direction = "out"
    rule = ("OUTPUT", "-j", "DROP")
    title = "a container discards what goes out"
    symptom = "every cell of the container is lost: requests arrive there, answers never leave"
    evidence = "a rule, filter or queue with a growing counter on the container's way out"
    cause = "Something in the container's namespace discards outgoing packets, answers included."


class DropsProtocolIn(ContainerDrops):
    """A container discards one protocol that comes in."""

    id = "container-drops-protocol"
    direction = "in"
    selective = True
    rule = ("INPUT", "-p", "icmp", "-j", "DROP")
    title = "a container discards a protocol or port"
    symptom = "the container's cells of one protocol are lost, those of the others aren't"
    evidence = "a rule for one protocol or port with a growing counter in the container"
    cause = "A filter in the container's namespace discards packets of one protocol or port."


class DropsProtocolOut(ContainerDrops):
    """A container discards one protocol that goes out."""

    id = "container-drops-protocol-out"
    direction = "out"
    selective = True
    rule = ("OUTPUT", "-p", "udp", "-j", "DROP")
    title = "a container sends nothing of a protocol or port"
    symptom = "the container's cells of one protocol are lost, those of the others aren't"
    evidence = "a rule for one protocol or port with a growing counter on the way out"
    cause = "A filter in the container's namespace discards outgoing packets of one protocol."


class Refuses(ContainerDrops):
    """A container refuses what comes in."""

    id = "container-refuses"
    direction = "in"
    refuses = True
    rule = ("INPUT", "-p", "tcp", "--dport", str(PROBE_PORT), "-j", "REJECT")
    title = "a container refuses a port"
    symptom = "cells of that protocol to the container are refused at once; its own requests go on"
    evidence = "a REJECT rule with a growing counter in the container"
    cause = "A filter answers with an ICMP error instead of letting the packet in."
    reference = "iptables-extensions(8), REJECT"


class NodeDrops(ContainerDrops):
    """A node's own filter discards what its own addresses send or get."""

    id = "node-drops"
    title = "a node's own filter discards packets"
    symptom = (
        "the node's own cells are lost; macvlan and ipvlan l2 containers don't notice, since"
        " their packets never pass the node's IP stack"
    )
    evidence = "an iptables or nft rule with a growing counter on the node"
    cause = "A filter on the node discards packets from or to the node's own addresses."
    cure = "delete the rule that the evidence shows, on the node"
    reference = (
        "measured: the node's netfilter sees nothing of macvlan and ipvlan l2, OUTPUT and"
        " POSTROUTING of l3, and INPUT too of l3s"
    )

    def places(self, scene: Scene) -> Iterator[Place]:
        for place in parents(scene, scene.plan.nodes):
            if scene.cells("space", place.target, place.device):
                yield place

    def arguments(self, scene: Scene, place: Place) -> tuple[str, ...]:
        """The rule is for one parent alone, so that management goes on."""
        return ("INPUT", "-i", place.device, "-j", "DROP")

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find rules of iptables and nft; what tc drops at a parent is a fault of its own."""
        for node in scene.plan.nodes:
            space = evidence.space(node.name)
            for found in drops(space) if space else ():
                if space is None or found.of_tc:
                    continue
                if found.hook == "FORWARD" and asked_by_bridges(scene, space):
                    continue  # bridge-netfilter's
                effect = _with_l3(scene, node.name, found, effect_in(scene, space, found))
                yield shown_by(self, scene, space, found, effect)


def asked_by_bridges(scene: Scene, space: Space) -> bool:
    """Whether a node's FORWARD chain is asked about what its containers' bridges pass on."""
    return has_bridged(scene, space.name) and space.sysctl.get(CALLS) == "1"


def has_bridged(scene: Scene, node: str) -> bool:
    """Whether a node has containers at bridges of its own."""
    return any(c.node == node and c.network.traits.attach == "port" for c in scene.children)


def _with_l3(scene: Scene, node: str, found: Drop, effect: Effect) -> Effect:
    """Add the node's ipvlan l3 and l3s containers, whose packets pass some of its hooks."""

    def beyond(passage: Passage) -> bool:
        away = not passage.sibling and passage.direction == found.direction
        return away and found.takes(passage.packet)

    cells = set(effect.certain)
    for child in scene.children:
        seen = {"l3": ("out",), "l3s": ("in", "out")}.get(child.network.mode, ())
        if child.node == node and found.direction in seen:
            cells |= scene.cells("space", child.container, child.interface, beyond)
    return Effect(frozenset(cells), effect.possible)


class EchoIgnored(Fault):
    """A container ignores echo requests."""

    id = "echo-ignored"
    layer = "filters"
    title = "a container ignores echo requests"
    symptom = "ICMP cells to the container are lost; TCP and UDP, and its own pings, go on"
    evidence = "net.ipv4.icmp_echo_ignore_all = 1 in the container"
    cause = "The kernel is told not to answer pings; everything else works."
    cure = "sysctl -w net.ipv4.icmp_echo_ignore_all=0 in the container"
    reference = "Linux Documentation/networking/ip-sysctl.rst, icmp_echo_ignore_all"
    break_script = "sysctl -qw net.ipv4.icmp_echo_ignore_all=1"
    mend_script = "sysctl -qw net.ipv4.icmp_echo_ignore_all=0"

    def places(self, scene: Scene) -> Iterator[Place]:
        for child in scene.children:
            yield Place(child.container, "", child.node, (child.end,))
        for node in scene.plan.nodes:
            yield Place(node.name, "", node.name, (node.name,))

    def takes(self, scene: Scene, place: Place, passage: Passage) -> bool:
        packet = passage.packet
        asked = packet.request and (packet.protocol, packet.family) == ("icmp", 4)
        return asked and passage.direction == "in" and not passage.forwarded

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        name = "net.ipv4.icmp_echo_ignore_all"
        if space.sysctl.get(name) == "1":
            yield sysctl_proof(space, name)


CLSACT = """
tc qdisc add dev "$1" clsact 2>/dev/null || :
tc filter add dev "$1" "$2" protocol all pref 7007 matchall action drop
"""
NO_CLSACT = 'tc filter delete dev "$1" "$2" pref 7007 2>/dev/null || :'


class ParentDrops(Fault):
    """Something at a node's parent discards frames."""

    layer = "filters"
    direction: ClassVar[str]
    side: ClassVar[str]
    cure = "tc filter delete dev DEVICE SIDE on the node, or replace the queue"
    reference = (
        "tc(8), clsact; measured: a drop at the parent's ingress bites macvlan siblings too, at"
        " its egress it doesn't, and ipvlan siblings never meet either"
    )
    break_script = CLSACT
    mend_script = NO_CLSACT

    def places(self, scene: Scene) -> Iterator[Place]:
        return parents(scene, scene.plan.nodes)

    def effect(self, scene: Scene, place: Place) -> Effect:
        found = Drop("", (), self.direction, place.device)
        return Effect(self._cells(scene, place.node, found))

    def arguments(self, scene: Scene, place: Place) -> tuple[str, ...]:
        return (place.device, self.side)

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """Remove what the evidence shows, whichever program put it there."""
        return removed(place.target, proofs)

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        for node in scene.plan.nodes:
            space = evidence.space(node.name)
            for found in drops(space) if space else ():
                if space is None or not found.of_tc or found.direction != self.direction:
                    continue
                cells = self._cells(scene, node.name, found)
                if cells:
                    yield shown_by(self, scene, space, found, effect_of(found, cells))

    def _cells(self, scene: Scene, node: str, found: Drop) -> frozenset[Cell]:
        def met(passage: Passage) -> bool:
            return passage.direction == found.direction and found.takes(passage.packet)

        at_parent = scene.cells("parent", node, found.device, met)
        own = at_parent | scene.cells("space", node, found.device, met)
        # Without their questions and answers neighbours aren't found, whichever way packets go.
        return own | carried(scene, node, found.device) if found.takes_all else own


class ParentDropsIncoming(ParentDrops):
    """A node's parent discards what comes in."""

    id = "parent-drops-incoming"
    direction = "in"
    side = "ingress"
    title = "a parent discards what comes in"
    symptom = "the node and its containers lose all others; macvlan siblings lose each other too"
    evidence = "`tc -s filter show dev PARENT ingress`: a dropping filter that counts"
    cause = "A filter at the parent's ingress discards frames before the children get them."


class ParentDropsOutgoing(ParentDrops):
    """A node's parent discards what goes out."""

    id = "parent-drops-outgoing"
    direction = "out"
    side = "egress"
    title = "a parent discards what goes out"
    symptom = "the node and its containers lose all others; siblings go on"
    evidence = "`tc -s filter show dev PARENT egress` or `tc -s qdisc show`: frames are dropped"
    cause = "A filter or queue at the parent discards the frames that children send."
