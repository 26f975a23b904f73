"""What a fault is: a thing that can be wrong, put there, recognised by evidence, and put right.

``Entry`` is what the catalogue says of any fault. Faults of a running lab are classes: ``places``
are where one can be in a lab, ``effect`` which cells it changes there, ``inject`` and ``undo``
the commands, and ``find`` recognises it from evidence alone, however it came about. The others
have texts only: a ``file`` fault is proved by lint and a ``boot`` fault by the error of ``up``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from underlay.faults.healing import given_back
from underlay.faults.step import Proof, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from underlay.expect.passages import Kind, Passage
    from underlay.faults.scene import Cell, Child, Scene
    from underlay.observe.evidence import Evidence, Space

Stage = Literal["file", "boot", "running"]
Layer = Literal[
    "lab file",
    "cloud-config",
    "image",
    "link",
    "driver",
    "VLAN",
    "switch",
    "addressing",
    "neighbours",
    "routing",
    "filters",
    "runtime",
    "overlay",
    "IPv6",
    "node",
]
# How sure a finding is. ``proven``: the evidence shows the very thing, and that it acts.
# ``likely``: it shows the thing, which may or may not act, or something else could bring such
# evidence about. ``possible``: something on the packets' way whose effect isn't understood.
# These are words and no rates, since nobody has measured how often each is right.
Sureness = Literal["proven", "likely", "possible"]
PROVEN: Sureness = "proven"
LIKELY: Sureness = "likely"
POSSIBLE: Sureness = "possible"
# The surest first.
ORDER = (PROVEN, LIKELY, POSSIBLE)


@dataclass(frozen=True)
class Place:
    """Where a fault is. ``target`` is a node, a container or ``switch``.

    ``device`` is an interface or port, ``detail`` whatever else the fault needs to know.
    """

    target: str
    device: str = ""
    node: str = ""
    detail: tuple[str, ...] = ()

    @classmethod
    def of(cls, child: Child, *detail: str) -> Place:
        """Return a container's interface as a place."""
        return cls(child.container, child.interface, child.node, detail)

    def __str__(self) -> str:
        return f"{self.target}, {self.device}" if self.device else self.target


@dataclass(frozen=True)
class Effect:
    """Which cells a fault changes: those that it must, and those that it may as well."""

    certain: frozenset[Cell]
    possible: frozenset[Cell] = frozenset()

    @property
    def every(self) -> frozenset[Cell]:
        """Return all cells that may change."""
        return self.certain | self.possible


@dataclass(frozen=True)
class Finding:
    """A fault that the evidence shows at a place, before the differing cells are asked.

    ``steps`` are what puts it right there; ``cure`` says so of any place, in words. ``follows`` is
    the id of a fault of the same node that brings such evidence about: where the evidence shows
    that one, too, this is its consequence. ``counted`` are the packets that it has taken, None
    where nothing counts them.
    """

    fault: Fault
    place: Place
    effect: Effect
    proofs: tuple[Proof, ...]
    sureness: Sureness
    cure: str
    steps: tuple[Step, ...] = ()
    follows: str = ""
    counted: int | None = None


@dataclass(frozen=True)
class Entry:
    """What the catalogue says of a fault; the texts are for people, without a final full stop."""

    id: str
    layer: Layer
    stage: Stage
    title: str
    symptom: str
    evidence: str
    cause: str
    cure: str
    reference: str


class Fault(Entry):
    """A fault of a running lab. What an entry says are attributes of its class.

    ``no_place`` says why a lab has no place for the fault. ``break_script`` brings it about and
    ``mend_script`` takes it back, both in the place's target with ``arguments``; a fault that
    needs more than one step has ``inject`` and ``undo`` of its own. ``kind`` is what the lost
    packets pass at the place, and ``family`` theirs, 0 for both; ``takes`` may say more.
    ``loses_addresses`` says that addresses and routes of the target get lost and must be put back.
    What is ``sudden`` ends a measurement under way: cells decided before don't speak against it.
    ``needs_restart`` says that no command on the running lab puts it right. ``shows_otherwise`` are
    the checks that see another value by it, where something is seen at all.
    """

    stage: Stage = "running"
    no_place: str = "this lab has no place for it"
    break_script: str = ""
    mend_script: str = ""
    kind: Kind = "space"
    family: int = 0
    loses_addresses: bool = False
    sudden: bool = False
    needs_restart: bool = False
    shows_otherwise: tuple[str, ...] = ()

    def __init__(self) -> None:
        """Its class has all that an entry's constructor would take."""

    def places(self, scene: Scene) -> Iterator[Place]:
        """Yield where the fault can be in this lab, the plainest place first."""
        yield from ()

    def effect(self, scene: Scene, place: Place) -> Effect:
        """Return the cells that the fault changes at ``place``: of those that pass, what it takes.

        The first detail of a switch port's place is the port's segment.
        """
        where = place.detail[0] if self.kind == "port" else place.target

        def lost(passage: Passage) -> bool:
            return self.takes(scene, place, passage)

        return Effect(scene.cells(self.kind, where, place.device, lost))

    def takes(self, scene: Scene, place: Place, passage: Passage) -> bool:
        """Whether a packet that passes ``place`` is lost there."""
        return self.family in (0, passage.packet.family)

    def arguments(self, scene: Scene, place: Place) -> tuple[str, ...]:
        """Return the arguments of both scripts: the interface, where the place has one."""
        return (place.device,) if place.device else ()

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        """Return the steps that bring the fault about."""
        return self._step(self.break_script, scene, place)

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        """Return the steps that take it back; each may be run again without harm."""
        return self._step(self.mend_script, scene, place)

    def _step(self, script: str, scene: Scene, place: Place) -> list[Step]:
        return [Step(place.target, script, self.arguments(scene, place))] if script else []

    def keeps(self, scene: Scene, place: Place) -> tuple[str, ...]:
        """Return the targets whose addresses and routes get lost and must be put back."""
        return (place.target,) if self.loses_addresses else ()

    def heal(self, scene: Scene, place: Place, proofs: tuple[Proof, ...]) -> list[Step]:
        """Return the steps that put a found fault right, however it came about.

        By default those that take it back, and what else its target has lost by it.
        """
        lost = [step for one in self.keeps(scene, place) for step in given_back(scene, one)]
        return [*self.undo(scene, place), *lost]

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Yield each place where the evidence shows the fault."""
        for place in self.places(scene):
            space = evidence.space(place.target)
            for proof in self.shown(scene, space, place) if space else ():
                yield self.found(scene, place, proof)

    def shown(self, scene: Scene, space: Space, place: Place) -> Iterator[Proof]:
        """Yield what shows the fault in the namespace of ``place``; nothing where it isn't."""
        yield from ()

    def found(
        self,
        scene: Scene,
        place: Place,
        *proofs: Proof,
        sureness: Sureness = PROVEN,
        effect: Effect | None = None,
        cure: str = "",
        follows: str = "",
        counted: int | None = None,
        steps: Sequence[Step] | None = None,
    ) -> Finding:
        """Return the finding that the fault is at ``place``; ``steps`` by default are `heal`'s."""
        effect = self.effect(scene, place) if effect is None else effect
        if steps is None:
            steps = [] if self.needs_restart else self.heal(scene, place, proofs)
        said = cure or self.cure
        again = tuple(dict.fromkeys(steps))
        return Finding(self, place, effect, proofs, sureness, said, again, follows, counted)


class ChildFault(Fault):
    """A fault of a container's interface, which usually loses all of that interface's cells.

    It can be at every child, or at those of some drivers and modes only, or of the drivers that
    attach containers in one way.
    """

    attach: str = ""
    drivers: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    other_modes_than: tuple[str, ...] = ()

    def places(self, scene: Scene) -> Iterator[Place]:
        """Yield the children that the fault can be at."""
        for child in scene.children:
            network = child.network
            if self.attach and network.traits.attach != self.attach:
                continue
            if self.drivers and network.driver not in self.drivers:
                continue
            if self.modes and network.mode not in self.modes:
                continue
            if network.mode not in self.other_modes_than:
                yield Place.of(child, child.end)
