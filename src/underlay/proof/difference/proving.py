"""A change proven by packets: the old lab is measured, its nodes become the new one's, and again.

Both are asked by the protocols and checks of either, as their predictions are compared. A cell
changes as predicted if it was measured in both labs and is in each as that one predicts it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from underlay.cluster.providers import provider
from underlay.cluster.switching import differences
from underlay.errors import EXIT_DIFFERS, EXIT_INFRASTRUCTURE, EXIT_OK
from underlay.lint import refuse_errors
from underlay.proof.labs import prove_labs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from underlay.lint import Loaded
    from underlay.plan import Plan, PlannedStatement
    from underlay.proof.difference.cells import Change, Difference, Side, What
    from underlay.proof.difference.labs import LabPair
    from underlay.proof.result import LabResult
    from underlay.verdict import Cell, Verdict

OLD, NEW = "old", "new"
Place = tuple[str, str, str, int]


@dataclass(frozen=True)
class ProvenCell:
    """A cell as it was measured in both labs; ``what`` is how it should change, empty for not.

    ``old`` or ``new`` is None where the lab hasn't such a cell.
    """

    what: What | Literal[""]
    old: Cell | None
    new: Cell | None

    @property
    def sides(self) -> tuple[Cell, ...]:
        """The cell in the labs that have it."""
        return tuple(cell for cell in (self.old, self.new) if cell)

    @property
    def word(self) -> Literal["as predicted", "differs", "not measured"]:
        """Whether it is in both labs as each predicts."""
        if any(cell.differs for cell in self.sides):
            return "differs"
        return "as predicted" if all(cell.measured for cell in self.sides) else "not measured"


@dataclass(frozen=True)
class LabProof:
    """What became of both labs of a difference.

    ``boots`` is on how many boots they were measured, and ``why`` in words what made it two.
    """

    difference: Difference
    old: LabResult
    new: LabResult
    boots: int
    why: tuple[str, ...]

    @cached_property
    def cells(self) -> tuple[ProvenCell, ...]:
        """Every cell of either lab: those that should change first."""
        was, is_now = (_by_place(result.verdict) for result in (self.old, self.new))
        return tuple(_proven(self.difference, was, is_now))

    @property
    def changes(self) -> tuple[ProvenCell, ...]:
        """The cells that should change."""
        return tuple(cell for cell in self.cells if cell.what)

    @property
    def others(self) -> tuple[ProvenCell, ...]:
        """The cells that should be as before."""
        return tuple(cell for cell in self.cells if not cell.what)

    @property
    def exit_code(self) -> int:
        """1 where a cell of either isn't as predicted or the new lab breaks a statement; else 3."""
        words = {cell.word for cell in self.cells}
        if "differs" in words or self.new.verdict.summary.statements_broken:
            return EXIT_DIFFERS
        unsure = "not measured" in words or self.new.verdict.summary.statements_not_measured
        failed = self.old.error or self.new.error
        return EXIT_INFRASTRUCTURE if unsure or failed else EXIT_OK


def prove_pairs(
    pairs: Sequence[tuple[LabPair, Difference | None]],
    provider_name: str,
    tell: Callable[[str], None],
) -> list[LabProof | None]:
    """Measure both labs of each pair, on one boot where their nodes allow it.

    ``tell`` is handed a line about each step. There is None for a lab that only one side has.
    Labs are brought up in sandboxes of their own, and none is left up. Raises BadInput where lint
    finds errors in one: such a lab may do less than is predicted.
    """
    labs: list[Loaded] = []
    names = [
        (OLD, NEW) if len(pairs) == 1 else (f"{OLD}-{n}", f"{NEW}-{n}") for n in _numbers(pairs)
    ]
    for (pair, difference), (was, is_now) in zip(pairs, names, strict=True):
        if difference and pair.old and pair.new:
            refuse_errors(pair.old)
            refuse_errors(pair.new)
            for words in _why_two_boots(difference, provider_name):
                tell(f"booting each by itself: {words}")
            labs.append(_to_measure(pair.old, difference.old, was, ()))
            labs.append(_to_measure(pair.new, difference.new, is_now, pair.new.plan.intent))
    proven = prove_labs(labs, provider_name, tell, lambda _: None).by_lab if labs else {}
    return [
        _proof(difference, provider_name, proven[was], proven[is_now]) if difference else None
        for (_, difference), (was, is_now) in zip(pairs, names, strict=True)
    ]


def _numbers(pairs: Sequence[object]) -> range:
    return range(1, len(pairs) + 1)


def _to_measure(
    loaded: Loaded, side: Side, name: str, intent: tuple[PlannedStatement, ...]
) -> Loaded:
    """Return a lab as it is measured: by all protocols and checks, under a ``name`` of its own.

    Both may have one name in their files. ``intent`` is what the packets are held against.
    """
    return replace(loaded, plan=replace(side.prediction.plan, lab=name, intent=intent))


def _proof(difference: Difference, provider_name: str, old: LabResult, new: LabResult) -> LabProof:
    why = tuple(_why_two_boots(difference, provider_name))
    # A failure of the first, too, has the second booted anew.
    boots = 1 if "switch" in new.timings else 2
    return LabProof(difference, old, new, boots, why)


def _why_two_boots(difference: Difference, provider_name: str) -> Iterator[str]:
    """Yield in words what keeps the old lab's nodes from becoming the new one's."""
    if not provider(provider_name).can_switch:
        yield f"nodes of provider {provider_name} can't become another lab's while they run"
    plans = (
        _as_called(side.prediction.plan, name)
        for side, name in ((difference.old, "OLD"), (difference.new, "NEW"))
    )
    yield from differences(*plans)


def _as_called(plan: Plan, name: str) -> Plan:
    return replace(plan, lab=name)


def _by_place(verdict: Verdict) -> dict[Place, Cell]:
    return {(c.source, c.destination, c.protocol, c.family): c for c in verdict.cells}


def _proven(
    difference: Difference, was: Mapping[Place, Cell], is_now: Mapping[Place, Cell]
) -> Iterator[ProvenCell]:
    changed: set[Place] = set()
    for change in difference.changes:
        old, new = _place(change, "old"), _place(change, "new")
        changed |= {new} if new else set()
        yield ProvenCell(
            change.what, was.get(old) if old else None, is_now.get(new) if new else None
        )
    before = {now: name for name, now in difference.names.items()}
    for place, cell in is_now.items():
        if place not in changed:
            source, destination, *rest = place
            old = (before.get(source, source), before.get(destination, destination), *rest)  # type: ignore[assignment]
            yield ProvenCell("", was.get(old), cell)  # type: ignore[arg-type]


def _place(change: Change, side: Literal["old", "new"]) -> Place | None:
    cell = change.old if side == "old" else change.new
    return (cell.source, cell.destination, cell.protocol, cell.family) if cell else None
