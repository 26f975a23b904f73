"""Which cells a course means: ``web-1* -> web-2* icmp``, ``web <-> db``, ``web -> db source``.

It is a lab's statement with two things more: ``<->`` means both directions, and the words of
checks stand beside those of protocols. Without such words all of a pair's cells are meant, by
every protocol and check.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, get_args

from underlay.errors import BadInput
from underlay.lab.statement import FAMILIES, MUST, NEVER, SEEN, Ends, said_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.expect.intent.judgement import Asked
    from underlay.plan import Plan

BOTH = "<->"


@dataclass(frozen=True)
class Selector:
    """Cells of a matrix: who asks whom, by which words, over IPv4 or IPv6 (a family of 0 is both).

    ``both`` says that either side asks the other.
    """

    text: str
    sources: Ends
    destinations: Ends
    words: tuple[str, ...] = ()
    family: int = 0
    both: bool = False


def selector_in(text: str) -> Selector:
    """Return which cells ``text`` means; raise ValueError where it isn't to be understood."""
    from underlay.expect.ends import Check

    words = text.split()
    both = BOTH in words
    if NEVER in words or words.count(MUST) + words.count(BOTH) != 1:
        raise ValueError("no cells")
    checks: list[str] = []
    families: list[str] = []
    while words and (words[-1] in get_args(Check) or words[-1] in FAMILIES):
        word = words.pop()
        (families if word in FAMILIES else checks).insert(0, word)
    said = said_in(" ".join([*(MUST if word == BOTH else word for word in words), *families]))
    if any(check in SEEN for check, _ in said.seen):
        raise ValueError("a value")
    return Selector(
        text, said.sources, said.destinations, (*said.protocols, *checks), said.family, both
    )


class Named:
    """Who is in a plan, by the names of the ends of its matrix."""

    def __init__(self, plan: Plan) -> None:
        from underlay.expect import ends
        from underlay.expect.intent import key_of
        from underlay.plan.statements import named_in_plan

        self._lab = plan.lab
        self._named = named_in_plan(plan)
        self._ends = {key_of(end): end.name for end in ends(plan)}
        # A broadcast is asked of a network.
        self._networks = [network.name for network in plan.networks]

    def chosen(
        self, selectors: Iterable[Selector], cells: Iterable[Asked]
    ) -> set[tuple[str, str, str, int]]:
        """Return those of ``cells`` that ``selectors`` mean: source, destination, word, family.

        Raises BadInput, with the nearest one, for a name that nobody has, and for a selector that
        means no cell.
        """
        every = [(c.source, c.destination, c.protocol, c.family) for c in cells]
        found: set[tuple[str, str, str, int]] = set()
        for one in selectors:
            first, second = self._meant(one, one.sources), self._meant(one, one.destinations)
            sides = [(first, second), (second, first)] if one.both else [(first, second)]
            here = {
                cell
                for cell in every
                if any(cell[0] in a and cell[1] in b for a, b in sides)
                and (not one.words or cell[2] in one.words)
                and one.family in (0, cell[3])
            }
            if not here:
                raise BadInput(f"no cell of {self._lab} is meant by {one.text!r}")
            found |= here
        return found

    def _meant(self, one: Selector, side: Ends) -> set[str]:
        named = {name for pattern in side.names for name in self._matching(one, pattern)}
        without = {name for pattern in side.without for name in self._matching(one, pattern)}
        return named - without

    def _matching(self, one: Selector, pattern: str) -> set[str]:
        from underlay.lint.statements import name_hint

        found = {self._ends[key] for key in self._named.matching(pattern)}
        found |= {name for name in self._networks if fnmatchcase(name, pattern)}
        if not found:
            hint = name_hint(pattern, self._named)
            raise BadInput(f"{one.text!r}: nobody in {self._lab} is called {pattern}", hint=hint)
        return found
