"""What becomes of the statements of what is wanted: those that went, that came, and that changed.

A statement that nobody makes any more can't be broken. So one of the old lab that the new one
doesn't have is held against the new lab's prediction all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from underlay.expect import Prediction
from underlay.expect.intent import of_predictions
from underlay.lab.statement import Ends, said_in
from underlay.plan.statements import with_statements

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from underlay.expect import Expectation
    from underlay.expect.intent import Judged
    from underlay.lint import Loaded
    from underlay.plan import PlannedStatement

Became = Literal["went", "changed", "came"]


@dataclass(frozen=True)
class StatementChange:
    """A statement that isn't as before; ``old`` or ``new`` is None where it isn't there.

    One between the same ends that says something else about them is changed. ``before`` is how it
    stood with the old statement, empty for one that came, and ``would`` how it stands with that in
    the new lab, None for one that came or whose lab is gone.
    """

    old: PlannedStatement | None
    new: PlannedStatement | None
    before: str = ""
    would: Judged[Expectation] | None = None

    @property
    def what(self) -> Became:
        """What became of it."""
        if self.old and self.new:
            return "changed"
        return "went" if self.old else "came"

    @property
    def loses(self) -> bool:
        """Whether the new lab breaks what the old one kept, and nobody would say so any more."""
        broken = self.would is not None and self.would.word == "broken"
        return broken and self.before == "kept"


def changed_statements(
    old: Loaded | None,
    new: Loaded | None,
    stood: Mapping[str, str],
    prediction: Prediction | None = None,
) -> tuple[StatementChange, ...]:
    """Return the statements that aren't as before, those of the old lab first, in its order.

    They are compared by what they say, so that neither their order nor their spelling matters.
    ``stood`` says how it stood with the old lab's, by their text, and ``prediction`` is that of
    the new lab, where there is one already.
    """
    was = old.plan.intent if old else ()
    is_now = new.plan.intent if new else ()
    pairs = list(_paired(_without(was, is_now), _without(is_now, was)))
    gone = [before for before, _ in pairs if before]
    would = _would(old, new, gone, prediction) if old and new and gone else {}
    return tuple(
        StatementChange(was_said, now, stood.get(was_said.text, ""), would.get(was_said.number))
        if was_said
        else StatementChange(None, now)
        for was_said, now in pairs
    )


def _without(
    statements: Sequence[PlannedStatement], others: Sequence[PlannedStatement]
) -> list[PlannedStatement]:
    """Return the ``statements`` that ``others`` don't say; one that is said twice counts once."""
    there = {one.text for one in others}
    return list({one.text: one for one in statements if one.text not in there}.values())


def _paired(
    gone: Sequence[PlannedStatement], come: Sequence[PlannedStatement]
) -> Iterator[tuple[PlannedStatement | None, PlannedStatement | None]]:
    left = list(come)
    for one in gone:
        now = next((other for other in left if _between(other) == _between(one)), None)
        if now:
            left.remove(now)
        yield one, now
    yield from ((None, other) for other in left)


def _between(statement: PlannedStatement) -> tuple[Ends, Ends]:
    """Return between whom a statement is, as it names them: of the whole lab, between nobody."""
    if statement.unplanned:
        return Ends(()), Ends(())
    said = said_in(statement.text)
    return said.sources, said.destinations


def _would(
    old: Loaded, new: Loaded, gone: Sequence[PlannedStatement], prediction: Prediction | None
) -> dict[int, Judged[Expectation]]:
    """Return how it would stand with the old statements ``gone`` in the new lab, by number."""
    asked = new.lab.model_copy(update={"expect": old.lab.expect})
    numbers = {one.number for one in gone}
    statements = [one for one in with_statements(asked, new.plan).intent if one.number in numbers]
    found = of_predictions(statements, prediction or Prediction(new.plan))
    return {one.statement.number: one for one in found}
