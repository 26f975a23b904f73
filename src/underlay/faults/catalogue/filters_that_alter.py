"""What changes packets on their way, leads them elsewhere, or leaves them to a program.

None of it discards anything by a word that says so. Which packets it takes is known as far as its
words are understood, and what becomes of them mostly isn't: so it is a possible cause, named where
its counter rose with the cells' own packets, or where it counts nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.faults.catalogue.filters import cells_at, effect_of, proofs_of, sureness_of
from underlay.faults.evidence.acting import alterations
from underlay.faults.evidence.drops import Drop
from underlay.faults.evidence.lines import link_proof
from underlay.faults.fault import POSSIBLE, ChildFault, Effect, Finding, Place
from underlay.faults.healing import removed
from underlay.faults.step import Proof, Step
from underlay.plan import SWITCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.faults.scene import Scene
    from underlay.observe.evidence import Evidence, Space

SUBJECT = "filters"

PEDIT = """
tc qdisc add dev "$1" clsact 2>/dev/null || :
tc filter add dev "$1" egress protocol ip pref 7008 matchall \\
    action pedit ex munge ip dst set 192.0.2.1
"""
NO_PEDIT = 'tc filter delete dev "$1" egress pref 7008 2>/dev/null || :'
BYTECODE = """
tc qdisc add dev "$1" clsact 2>/dev/null || :
tc filter add dev "$1" ingress protocol ip pref 7009 bpf da bytecode '1,6 0 0 2'
"""
NO_BYTECODE = 'tc filter delete dev "$1" ingress pref 7009 2>/dev/null || :'


class Alters(ChildFault):
    """Something that takes packets without a word for discarding them."""

    layer = "filters"
    other_modes_than = ("l3s",)
    found_here = Drop("", (), "out", frames="ip")

    def effect(self, scene: Scene, place: Place) -> Effect:
        return Effect(cells_at(scene, place.target, self.found_here))

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        return removed(place.target, proofs)

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find such things in every namespace and at the switch."""
        for space in _spaces(scene, evidence):
            for found in alterations(space):
                cells = cells_at(scene, space.name, found) if self.fits(found) else frozenset()
                if cells:
                    yield self.found(
                        scene,
                        Place(space.name, found.device, space.node),
                        *proofs_of(space, found),
                        sureness=sureness_of(found),
                        effect=effect_of(found, cells),
                        counted=found.hits,
                    )

    def fits(self, found: Drop) -> bool:
        """Whether what takes packets is this fault and not its neighbour."""
        return not _is_program(found)


class Altered(Alters):
    """A rule or filter changes packets or leads them elsewhere."""

    id = "packets-altered"
    shows_otherwise = ("source", "macs")
    title = "a rule changes packets or leads them elsewhere"
    symptom = "what the rule takes gets no answer, or somebody else's; nothing is dropped anywhere"
    evidence = (
        "DNAT, REDIRECT, NFQUEUE and the like in `iptables-save -c`, `queue`, `fwd` or `set` in"
        " `nft list ruleset`, pedit, skbedit, vlan or nat in `tc -s filter show`, with a counter"
        " that rises while the cells are asked again"
    )
    cause = (
        "A rule on the way rewrites packets, hands them to a program or sends them out elsewhere:"
        " they don't arrive where they were sent, or their answers don't come back."
    )
    cure = "delete the rule that the evidence shows, where it was seen"
    reference = "tc-pedit(8), tc-skbedit(8), tc-vlan(8), tc-mirred(8); iptables-extensions(8), DNAT"
    break_script = PEDIT
    mend_script = NO_PEDIT


class Program(Alters):
    """A BPF program decides what becomes of packets."""

    id = "bpf-program"
    title = "a BPF program decides what becomes of packets"
    symptom = "some or all of what passes that interface is lost, and no counter says so"
    evidence = "`tc filter show`: bpf with direct-action; or `ip -d link show`: xdp with a program"
    cause = (
        "A program at tc or XDP passes, changes, redirects or drops what it likes, and needn't"
        " count anything. What it does can't be read off it."
    )
    cure = "tc filter delete dev DEVICE SIDE pref NUMBER, or ip link set dev DEVICE xdp off"
    reference = "bpf(2); tc-bpf(8), direct-action; ip-link(8), xdp"
    found_here = Drop("", (), "in", frames="ip")
    break_script = BYTECODE
    mend_script = NO_BYTECODE

    def fits(self, found: Drop) -> bool:
        """Whether it is a program, which counts nothing."""
        return _is_program(found)

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """Take off what the evidence shows: a filter of tc, or XDP's program."""
        off = Step(place.target, f"ip link set dev {place.device} xdp off")
        return removed(place.target, proofs) or [off]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Find filters of tc that are programs, and programs at XDP."""
        yield from super().find(scene, evidence)
        for space in _spaces(scene, evidence):
            for name, link in space.links.items():
                if not link.get("xdp"):
                    continue
                cells = cells_at(scene, space.name, Drop("tc ", (), "in", name))
                line = Proof(space.name, f"ip -d link show dev {name}", (f"xdp: {link['xdp']}",))
                place, effect = Place(space.name, name, space.node), Effect(frozenset(), cells)
                proofs = (line, link_proof(space, name))
                yield self.found(scene, place, *proofs, sureness=POSSIBLE, effect=effect)


def _is_program(found: Drop) -> bool:
    return found.of_tc and found.hits is None


def _spaces(scene: Scene, evidence: Evidence) -> Iterator[Space]:
    names = dict.fromkeys(end.space for end in scene.ends.values())
    names |= dict.fromkeys([*(host.name for host in scene.plan.hosts), SWITCH])
    yield from (space for name in names if (space := evidence.space(name)))
