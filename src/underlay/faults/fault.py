"""What a fault is: a thing that can be wrong, put there, recognised by evidence, and put right.

A class per fault. ``places`` are where it can be in a lab, ``effect`` which cells it changes
there, ``inject`` and ``undo`` the commands, and ``find`` recognises it from evidence alone,
however it came about. Only faults of the stage ``running`` have all of these: a ``file``
fault is proved by lint and a ``boot`` fault by the error of ``up``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.faults.scene import Cell, Scene
    from underlay.observe.evidence import Evidence

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
# How sure a finding is that is read straight off, and one that other things could bring about.
PROVEN, LIKELY, POSSIBLE = 0.95, 0.8, 0.5


@dataclass(frozen=True)
class Place:
    """Where a fault is. ``target`` is a node, a container or ``switch``.

    ``device`` is an interface or port, ``detail`` whatever else the fault needs to know.
    """

    target: str
    device: str = ""
    node: str = ""
    detail: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.target}, {self.device}" if self.device else self.target


@dataclass(frozen=True)
class Effect:
    """Which cells a fault changes: those that it must, and those that it may as well."""

    certain: frozenset[Cell]
    possible: frozenset[Cell] = frozenset()

    @property
    def every(self) -> frozenset[Cell]:
        """All cells that may change."""
        return self.certain | self.possible


@dataclass(frozen=True)
class Step:
    """A shell script to run as root in a target, with its arguments."""

    target: str
    script: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proof:
    """What was seen: a command, where it was run, and the lines of it that matter."""

    node: str
    command: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Finding:
    """A fault that the evidence shows at a place, before the differing cells are asked."""

    fault: Fault
    place: Place
    effect: Effect
    proofs: tuple[Proof, ...]
    strength: float
    cure: str


class Fault:
    """One entry of the catalogue; the texts are for people, without a final full stop.

    ``saves`` says that addresses and routes of the target get lost and must be put back.
    """

    id: ClassVar[str]
    layer: ClassVar[Layer]
    stage: ClassVar[Stage] = "running"
    title: ClassVar[str]
    symptom: ClassVar[str]
    evidence: ClassVar[str]
    cause: ClassVar[str]
    cure: ClassVar[str]
    reference: ClassVar[str]
    saves: ClassVar[bool] = False

    def places(self, scene: Scene) -> Iterator[Place]:
        """Yield where the fault can be in this lab, the plainest place first."""
        yield from ()

    def senseless(self, scene: Scene) -> str:
        """Say why the lab has no place for the fault."""
        return "this lab has no place for it"

    def effect(self, scene: Scene, place: Place) -> Effect:
        """Return the cells that the fault changes at ``place``."""
        raise NotImplementedError

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        """Return the steps that bring the fault about."""
        raise NotImplementedError

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        """Return the steps that take it back; each may be run again without harm."""
        raise NotImplementedError

    def keeps(self, scene: Scene, place: Place) -> tuple[str, ...]:
        """Return the targets whose addresses and routes get lost and must be put back."""
        return (place.target,) if self.saves else ()

    def find(self, scene: Scene, evidence: Evidence) -> Iterator[Finding]:
        """Yield each place where the evidence shows the fault."""
        yield from ()

    def found(
        self,
        scene: Scene,
        place: Place,
        *proofs: Proof,
        strength: float = PROVEN,
        effect: Effect | None = None,
        cure: str = "",
    ) -> Finding:
        """Return the finding that the fault is at ``place``."""
        effect = self.effect(scene, place) if effect is None else effect
        return Finding(self, place, effect, proofs, strength, cure or self.cure)
