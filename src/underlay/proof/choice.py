"""Some of a lab's cells, as ``--only``, ``--not`` and ``--protocol`` choose them.

All cells are measured, whichever are chosen: that somebody can't be reached is believed of one
who was heard by others, and those may be among the cells that nobody asked to see.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeVar

from underlay.errors import BadInput, did_you_mean, nearest
from underlay.expect import Prediction, ends
from underlay.expect.intent import key_of
from underlay.plan.statements import named_in_plan

if TYPE_CHECKING:
    from underlay.expect import Expectation
    from underlay.expect.intent import Asked, Judged
    from underlay.lab.statement import Ends
    from underlay.observe.live import Live
    from underlay.plan import Plan
    from underlay.proof.explanation import Explanation
    from underlay.verdict import Verdict

AnyCell = TypeVar("AnyCell", bound="Asked")


@dataclass(frozen=True)
class Choice:
    """What the command line says: whose cells, whose not, and by which protocols or checks.

    ``only`` and ``without`` are names or patterns as in a lab's statements, for who asks or
    answers, or two of them with ``->`` between, for who asks whom. ``called`` are the words by
    which errors name the three: a test in Python has no options.
    """

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    called: tuple[str, str, str] = ("--only", "--not", "--protocol")

    def __bool__(self) -> bool:
        """Whether anything is chosen at all."""
        return bool(self.only or self.without or self.protocols)

    @property
    def words(self) -> str:
        """What was chosen, as the command line says it; empty where nothing was."""
        given = zip(self.called, (self.only, self.without, self.protocols), strict=True)
        return shlex.join(word for option, each in given for one in each for word in (option, one))

    def of(self, plan: Plan) -> Chosen:
        """Return the cells of ``plan`` that are chosen.

        Raises BadInput for what isn't to be understood, a name that nobody has, a protocol that
        isn't measured, and a choice of no cell.
        """
        return self.of_prediction(Prediction(plan))

    def of_prediction(self, prediction: Prediction) -> Chosen:
        """Return the cells of ``prediction`` that are chosen; raise what ``of`` raises."""
        plan = prediction.plan
        named = _Named(plan)
        of_only, of_without, of_protocol = self.called
        only = [named.pair(of_only, text) for text in self.only]
        without = [named.pair(of_without, text) for text in self.without]
        cells = [(c.source, c.destination, c.protocol) for c in prediction.cells]
        asked = list(dict.fromkeys(protocol for *_, protocol in cells))
        for word in self.protocols:
            if word not in asked:
                hint = did_you_mean(nearest(word, asked)) or f"one of {', '.join(asked)}"
                raise BadInput(
                    f"{of_protocol} {word!r}: {plan.lab} isn't measured by it", hint=hint
                )
        chosen = frozenset(
            (source, destination, protocol)
            for source, destination, protocol in cells
            if (not only or any(one.holds(source, destination) for one in only))
            and not any(one.holds(source, destination) for one in without)
            and (not self.protocols or protocol in self.protocols)
        )
        if not chosen:
            raise BadInput(
                f"no cell of {plan.lab} is left by what is chosen",
                hint="`underlay predict` shows the matrix",
            )
        return Chosen(chosen, self.words)


@dataclass(frozen=True)
class Chosen:
    """The chosen cells of a lab, by source, destination and protocol, and by which ``words``."""

    cells: frozenset[tuple[str, str, str]]
    words: str = ""

    def verdict(self, whole: Verdict) -> Verdict:
        """Return ``whole`` with the chosen cells alone, and the statements that are about them."""
        cells = tuple(cell for cell in whole.cells if self._has(cell))
        intent = self.stands(whole.intent)
        left_out = len(whole.cells) - len(cells)
        chosen = replace(whole, cells=cells, intent=intent, live=self._live(whole))
        return replace(chosen, left_out=left_out, left_out_by=self.words if left_out else "")

    def _live(self, whole: Verdict) -> Live | None:
        """Return how it was measured, with the ways of machines that ask by ICMP themselves."""
        if whole.live is None:
            return None
        asking = {source for source, _, protocol in self.cells if protocol == "icmp"}
        ways = tuple(way for way in whole.live.ways if way.source in asking)
        return replace(whole.live, ways=ways)

    def explanation(self, whole: Explanation) -> Explanation:
        """Return ``whole`` with the causes that are about a chosen cell."""
        causes = (c for c in whole.causes if any(cell[:3] in self.cells for cell in c.cells))
        rest = tuple(cell for cell in whole.unexplained if cell[:3] in self.cells)
        return replace(whole, causes=tuple(causes), unexplained=rest)

    def expectations(self, whole: Iterable[Expectation]) -> tuple[Expectation, ...]:
        """Return those of ``whole`` that are chosen."""
        return tuple(filter(self._has, whole))

    def stands(self, whole: Iterable[Judged[AnyCell]]) -> tuple[Judged[AnyCell], ...]:
        """Return the statements that are about chosen cells, as it stands with these alone."""
        return tuple(one for one in map(self._judged, whole) if one.cells)

    def _has(self, cell: Asked) -> bool:
        return (cell.source, cell.destination, cell.protocol) in self.cells

    def _judged(self, one: Judged[AnyCell]) -> Judged[AnyCell]:
        parts = (one.cells, one.broken, one.untold)
        cells, broken, untold = (tuple(filter(self._has, part)) for part in parts)
        return replace(one, cells=cells, broken=broken, untold=untold)


@dataclass(frozen=True)
class _Pair:
    """Who asks and who is asked; either side may be either where the text has no direction."""

    first: frozenset[str]
    second: frozenset[str] | None

    def holds(self, source: str, destination: str) -> bool:
        if self.second is None:
            return source in self.first or destination in self.first
        return source in self.first and destination in self.second


class _Named:
    """Who is in a plan: the names of the ends of its matrix that a name or pattern stands for."""

    def __init__(self, plan: Plan) -> None:
        self._lab, self._named = plan.lab, named_in_plan(plan)
        self._ends = {key_of(end): end.name for end in ends(plan)}
        # A broadcast is asked of a network.
        self._networks = [network.name for network in plan.networks]

    def pair(self, option: str, text: str) -> _Pair:
        # Of a lab file only where somebody chose: reading one needs pydantic.
        from underlay.lab.statement import MUST, ends_in

        first, sign, second = text.partition(f" {MUST} ")
        try:
            sides: Sequence[Ends] = [
                ends_in(side) for side in ((first, second) if sign else (text,))
            ]
        except ValueError as error:
            raise BadInput(
                f"{option} {text!r} names nobody",
                hint=f"{option} web, {option} 'guest*, db', or {option} 'web {MUST} db'",
            ) from error
        found = [frozenset(self._meant(option, side)) for side in sides]
        return _Pair(found[0], found[1] if sign else None)

    def _meant(self, option: str, side: Ends) -> set[str]:
        named = {name for pattern in side.names for name in self._matching(option, pattern)}
        without = {name for pattern in side.without for name in self._matching(option, pattern)}
        return named - without

    def _matching(self, option: str, pattern: str) -> set[str]:
        found = {self._ends[key] for key in self._named.matching(pattern)}
        found |= {name for name in self._networks if fnmatchcase(name, pattern)}
        if not found:
            from underlay.lint.statements import name_hint

            hint = name_hint(pattern, self._named)
            raise BadInput(f"{option} {pattern!r}: nobody in {self._lab} is called so", hint=hint)
        return found
