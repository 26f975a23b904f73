"""Who stands out: the few ends or nodes that most of the troubled pairs have in common.

A folded matrix shows blocks. Where only some pairs of a block differ or weren't measured, these
words say whose they are, so that one bad container of a hundred is named.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from underlay.expect import End
    from underlay.verdict import Cell, Verdict

    Trouble = Literal["differs", "not measured"]
    Pair = tuple[str, str]

SHOWN = 5
# Of the pairs that a thing could have lost, so many at least for the thing to be the odd one.
NEARLY_ALL = 0.9


@dataclass(frozen=True)
class Odd:
    """One line below the matrix: ``what`` is the trouble, ``words`` say whose it is."""

    what: Trouble
    words: str


@dataclass(frozen=True)
class _Suspect:
    """An end or all that is on a node, and the pairs that it is in, in one part or in both."""

    words: str
    pairs: frozenset[Pair]
    narrow: int


def troubled_pairs(cells: Iterable[Cell], what: Trouble) -> set[Pair]:
    """Return the pairs of which some cell differs, or wasn't measured."""
    wanted = (lambda cell: cell.differs) if what == "differs" else (lambda cell: not cell.measured)
    return {(cell.source, cell.destination) for cell in cells if wanted(cell)}


def odd_ones(verdict: Verdict, ends: Sequence[End]) -> list[Odd]:
    """Return who accounts for the pairs that differ, and for those not measured; few of many."""
    lost = [cell for cell in verdict.reach if cell.differs and cell.expected == "reachable"]
    leaks = [cell for cell in verdict.reach if cell.differs and cell.expected != "reachable"]
    # Whose silence says nothing is named already, for what it lost.
    unmeasured = troubled_pairs((c for c in verdict.reach if not c.follows), "not measured")
    found: list[Odd] = []
    for cells, expected in ((lost, "reachable"), (leaks, "unreachable")):
        bad = {(cell.source, cell.destination) for cell in cells}
        # A pair that is unreachable anyway can't be lost with its node.
        of = {(c.source, c.destination) for c in verdict.reach if c.expected == expected}
        found += [Odd("differs", words) for words in _named(bad, of | bad, ends)]
    everything = {(cell.source, cell.destination) for cell in verdict.reach}
    found += [Odd("not measured", words) for words in _named(unmeasured, everything, ends)]
    return found


def _named(bad: set[Pair], of: set[Pair], ends: Sequence[End]) -> list[str]:
    """Name the suspects that account for the pairs ``bad`` of the pairs ``of``, most first."""
    suspects = _suspects(of, ends) if bad else []
    guilty = [s for s in suspects if len(s.pairs & bad) > NEARLY_ALL * len(s.pairs)]
    # Where nobody has lost nearly all, whoever has lost most; a node would always be that.
    touched = [s for s in suspects if s.narrow]
    left = set(bad)
    lines: list[str] = []
    for able in (guilty, touched):
        while left and able and len(lines) < SHOWN:
            best = max(able, key=lambda s: (len(s.pairs & left), s.narrow))
            taken = best.pairs & left
            if len(taken) < 2:
                break
            lines.append(f"{best.words}: {len(best.pairs & bad)} of {len(best.pairs)} pairs")
            left -= taken
    order = {end.name: number for number, end in enumerate(ends)}
    single = sorted(left, key=lambda pair: (order[pair[0]], order[pair[1]]))
    room = SHOWN - len(lines)
    lines += [f"{source} → {destination}" for source, destination in single[:room]]
    rest = len(single) - room
    return lines if rest <= 0 else [*lines, f"and {rest} {'pair' if rest == 1 else 'pairs'} more"]


def _suspects(of: set[Pair], ends: Sequence[End]) -> list[_Suspect]:
    """Return all ends and nodes with the pairs that they are in: any, as source, as destination.

    ``narrow`` is larger for what says more where both account for the same pairs.
    """
    where = {end.name: f"{end.name} ({end.node})" for end in ends if end.kind == "container"}
    nodes = {end.name: end.node for end in ends}
    asking: dict[str, set[Pair]] = defaultdict(set)
    asked: dict[str, set[Pair]] = defaultdict(set)
    on: dict[str, set[Pair]] = defaultdict(set)
    for pair in of:
        asking[pair[0]].add(pair)
        asked[pair[1]].add(pair)
        for name in pair:
            on[nodes[name]].add(pair)
    suspects = []
    for name in (end.name for end in ends):
        words = where.get(name, name)
        suspects += [
            _Suspect(f"from {words}", frozenset(asking[name]), 2),
            _Suspect(f"to {words}", frozenset(asked[name]), 2),
            _Suspect(f"from or to {words}", frozenset(asking[name] | asked[name]), 1),
        ]
    suspects += [_Suspect(f"all on {node}", frozenset(pairs), 0) for node, pairs in on.items()]
    return [suspect for suspect in suspects if suspect.pairs]
