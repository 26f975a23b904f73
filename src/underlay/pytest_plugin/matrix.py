"""The measured matrix of a lab, as tests ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from underlay.errors import BadInput, listed
from underlay.proof.choice import Choice
from underlay.pytest_plugin.cells import Answer, Asked, MeasuredCell, cause_words, reached

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from underlay.expect import Prediction
    from underlay.proof.lab import Proof
    from underlay.verdict import Cell, Verdict

# What errors call the three things that choose cells.
CALLED = ("the ends", "without", "protocol")
# A cell by source, destination, protocol and family.
Key = tuple[str, str, str, int]
Words = str | tuple[str, ...] | list[str]


class Matrix:
    """Who reaches whom, as measured once; ``verdict`` is what `check` prints.

    Ends are names or patterns, as in `check --only`.
    """

    def __init__(self, prediction: Prediction, proof: Proof, note: Callable[[Asked], None]) -> None:
        self._prediction, self._explanation, self._note = prediction, proof.explanation, note
        self.verdict: Verdict = proof.verdict
        self._cells: dict[Key, Cell] = {
            (c.source, c.destination, str(c.protocol), c.family): c for c in self.verdict.cells
        }

    def __repr__(self) -> str:
        """Return what a failed assertion shows of it."""
        return f"<matrix of {self.verdict.lab}>"

    def reaches(
        self,
        source: str,
        destination: str,
        protocol: Words = (),
        *,
        family: int | None = None,
    ) -> Answer:
        """Return whether ``source`` reaches ``destination``, by ``protocol`` or by all of them.

        Where either is a pattern, or no protocol or family is given, yes means that all these cells
        are reachable and no that none is. The test fails where it is some of each, where one wasn't
        measured, and where there is no such cell.
        """
        __tracebackhide__ = True
        found = self._chosen((f"{source} -> {destination}",), (), protocol, family)
        if not as_tuple(protocol):
            found = [cell for cell in found if cell.kind == "reach"]
        return reached(found, self._explanation, self._note)

    def cell(
        self, source: str, destination: str, protocol: str, *, family: int | None = None
    ) -> MeasuredCell:
        """Return the one cell between two ends; the test fails where there are more, or none."""
        __tracebackhide__ = True
        found = self._chosen((f"{source} -> {destination}",), (), protocol, family)
        if len(found) > 1:
            names = listed(f"{one.source} -> {one.destination} ({one.label})" for one in found)
            pytest.fail(f"{len(found)} cells are called so, expected one: {names}")
        return self._measured(found[0])

    def cells(
        self, *ends: str, without: Words = (), protocol: Words = (), family: int | None = None
    ) -> tuple[MeasuredCell, ...]:
        """Return the cells of ``ends``, such as ``"web* -> db"``; all where nothing is said."""
        __tracebackhide__ = True
        return tuple(map(self._measured, self._chosen(ends, without, protocol, family)))

    def named(self, key: Key) -> MeasuredCell:
        """Return the cell of a source, destination, protocol and family."""
        return self._measured(self._cells[key])

    @property
    def as_expected(self) -> Answer:
        """Whether every cell was measured and is as predicted, as `check` says it."""
        wrong = [c for c in self.verdict.cells if c.differs or not c.measured]
        self._note(Asked(tuple(wrong), self._explanation))
        found = self.verdict.summary
        words = (
            f"{found.cells} cells: {found.as_expected} as expected, {found.differs} differ,"
            f" {found.not_measured} not measured"
        )
        cause = cause_words(wrong, self._explanation)
        return Answer(self.verdict.as_predicted, f"{words}: {cause}" if cause else words)

    @property
    def as_wanted(self) -> Answer:
        """Whether all that the lab file expects is kept; it fails where that is nothing."""
        __tracebackhide__ = True
        stands = self.verdict.intent
        if not stands:
            pytest.fail(f"the lab {self.verdict.lab} says nothing of what is wanted (`expect`)")
        wrong = [one for one in stands if one.word != "kept"]
        cells = tuple(cell for one in wrong for cell in (*one.broken, *one.untold))
        self._note(Asked(cells, self._explanation))
        said = "; ".join(
            f"line {one.statement.line}: {one.statement.text}: {one.word}" for one in wrong
        )
        kept = f"{len(stands) - len(wrong)} of {len(stands)} statements kept"
        cause = cause_words(cells, self._explanation)
        return Answer(not wrong, ": ".join(filter(None, (kept, said, cause))))

    def _measured(self, cell: Cell) -> MeasuredCell:
        return MeasuredCell(cell, self._explanation, self._note)

    def _chosen(
        self, ends: Sequence[str], without: Words, protocol: Words, family: int | None
    ) -> list[Cell]:
        __tracebackhide__ = True
        try:
            keys = chosen_keys(self._prediction, ends, without, protocol, family)
        except BadInput as error:
            words = f"{error.message}: {error.hint}" if error.hint else error.message
            raise pytest.fail.Exception(words) from None
        return [self._cells[key] for key in keys]


def chosen_keys(
    prediction: Prediction,
    ends: Sequence[str],
    without: Words = (),
    protocol: Words = (),
    family: int | None = None,
) -> list[Key]:
    """Return the cells of a lab that are chosen, as its plan predicts them; nothing is up for that.

    Raises BadInput for a name that nobody has, a protocol that isn't measured, and no cell.
    """
    choice = Choice(tuple(ends), as_tuple(without), as_tuple(protocol), CALLED)
    chosen = choice.of_prediction(prediction)
    found: list[Key] = [
        (one.source, one.destination, str(one.protocol), one.family)
        for one in chosen.expectations(prediction.cells)
        if family in (None, one.family)
    ]
    if not found:
        raise BadInput(f"no cell of {prediction.plan.lab} there is of family {family}")
    return found


def as_tuple(words: Words) -> tuple[str, ...]:
    """Return one word, or several, as several."""
    return (words,) if isinstance(words, str) else tuple(words)
