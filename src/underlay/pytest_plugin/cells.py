"""Measured cells and the answers they give to a test, which say why where an assertion fails.

An answer is true or false as a bool is, and its ``repr``, which pytest shows of a failed assertion,
names the cause. What wasn't measured is neither: whoever asks for it, the test fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from underlay.proof.choice import Chosen
from underlay.report.cell_words import asked as who_asks
from underlay.report.cell_words import became
from underlay.report.explanation import explanation_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from underlay.expect import Value
    from underlay.proof.explanation import Explanation
    from underlay.verdict import Cell

SHOWN = 8
WIDTH = 98


@dataclass(frozen=True)
class Asked:
    """Cells that a test has asked for, and what explains those that aren't as predicted."""

    cells: tuple[Cell, ...]
    explanation: Explanation


class Answer:
    """Yes or no, with the ``words`` that say it whole."""

    def __init__(self, yes: bool, words: str) -> None:
        self._yes, self.words = yes, words

    def __bool__(self) -> bool:
        """Whether the answer is yes."""
        return self._yes

    def __repr__(self) -> str:
        """Return the words; pytest shows them where an assertion fails."""
        return self.words


class MeasuredCell:
    """One cell of the matrix: who asked whom and how, what was expected, and what was observed."""

    def __init__(self, cell: Cell, whole: Explanation, note: Callable[[Asked], None]) -> None:
        self._cell, self._whole, self._note = cell, whole, note

    def __repr__(self) -> str:
        """Return the cell in a line; pytest shows it where an assertion fails."""
        return f"{who_asks(self._cell)}: {became(self._cell)}{self._why(', ')}"

    @property
    def source(self) -> str:
        """Who asks."""
        return self._cell.source

    @property
    def destination(self) -> str:
        """Who is asked; the network of a broadcast or multicast."""
        return self._cell.destination

    @property
    def protocol(self) -> str:
        """How: a protocol, with a port as ``tcp:5432``, or a check such as ``pmtu``."""
        return self._cell.protocol

    @property
    def family(self) -> int:
        """4 or 6."""
        return self._cell.family

    @property
    def expected(self) -> Value:
        """What is predicted: reachable, unreachable, or the value of a check."""
        return self._cell.expected

    @property
    def observed(self) -> Value:
        """What was measured, in the same words. A cell that wasn't measured fails the test."""
        __tracebackhide__ = True
        self._ask()
        return self._cell.observed

    @property
    def reachable(self) -> Answer:
        """Whether the source reaches the destination."""
        __tracebackhide__ = True
        return reached([self._cell], self._whole, self._note)

    @property
    def as_expected(self) -> Answer:
        """Whether that is as predicted; who stops elsewhere than predicted isn't."""
        __tracebackhide__ = True
        self._ask()
        return Answer(not self._cell.differs, repr(self))

    @property
    def because(self) -> str:
        """Why the prediction is what it is, with its source."""
        return f"{self._cell.because} ({self._cell.reference})"

    @property
    def cause(self) -> str:
        """Why the cell isn't as predicted, as ``explain`` has it; empty where it is."""
        return cause_words([self._cell], self._whole)

    def _ask(self) -> None:
        __tracebackhide__ = True
        self._note(Asked((self._cell,), self._whole))
        refuse_unmeasured([self._cell], self._whole)

    def _why(self, before: str) -> str:
        return f"{before}{self.cause}" if self.cause else ""


def reached(cells: Sequence[Cell], whole: Explanation, note: Callable[[Asked], None]) -> Answer:
    """Return whether every source of ``cells`` reaches its destination: yes, or no for all of them.

    The test fails where one wasn't measured, where some do and others don't, and where they are of
    a check, of which another thing is seen.
    """
    __tracebackhide__ = True
    note(Asked(tuple(cells), whole))
    refuse_unmeasured(cells, whole)
    values = [cell for cell in cells if cell.kind == "value"]
    if values:
        pytest.fail(f"{who_asks(values[0])} asks what is seen: compare `observed` of the cell")
    yes = [cell for cell in cells if cell.observed == "reachable"]
    no = [cell for cell in cells if cell.observed != "reachable"]
    words = "; ".join(filter(None, (_reach_words(part, whole) for part in (no, yes))))
    if yes and no:
        pytest.fail(f"some of each, so that neither yes nor no is true: {words}")
    return Answer(bool(yes), words)


def refuse_unmeasured(cells: Iterable[Cell], whole: Explanation) -> None:
    """Fail the test where one of ``cells`` wasn't measured: that is neither yes nor no."""
    __tracebackhide__ = True
    unknown = [cell for cell in cells if not cell.measured]
    if unknown:
        cause = cause_words(unknown, whole)
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        why = f"; {cause}" if cause else ""
        pytest.fail(f"{who_asks(unknown[0])}{more} was not measured: {unknown[0].reason}{why}")


def cause_words(cells: Iterable[Cell], whole: Explanation) -> str:
    """Return the causes for which ``cells`` aren't as predicted, in a line; empty where all are."""
    wrong = [cell for cell in cells if cell.differs or not cell.measured]
    if not wrong:
        return ""
    names = {(one.source, one.destination, str(one.protocol), one.family) for one in wrong}
    causes = [one for one in whole.causes if not names.isdisjoint(one.cells)]
    if not causes:
        return "no cause found"
    return "; ".join(f"{one.finding.fault.title} ({one.where})" for one in causes)


def told(asked: Iterable[Asked]) -> str:
    """Return all that there is to say of cells that a failed test has asked for.

    What isn't as predicted comes with its causes, their evidence and cures, as `explain` has them;
    what is, with the reason.
    """
    text = []
    for one in {one.cells: one for one in asked}.values():
        wrong = [cell for cell in one.cells if cell.differs or not cell.measured]
        shown = wrong or list(one.cells)
        text += [f"{who_asks(cell)}: {became(cell)}" for cell in shown[:SHOWN]]
        text += [f"and {len(shown) - SHOWN} cells more"] if len(shown) > SHOWN else []
        reasons = dict.fromkeys(f"{cell.because} ({cell.reference})" for cell in shown)
        text += [f"Expected so because: {reason}" for reason in list(reasons)[:SHOWN]]
        if wrong:
            chosen = frozenset((c.source, c.destination, str(c.protocol)) for c in wrong)
            of_these = Chosen(chosen).explanation(one.explanation)
            text += ["", explanation_text(of_these, width=WIDTH).plain]
    return "\n".join(text)


def _reach_words(cells: Sequence[Cell], whole: Explanation) -> str:
    """Return in a line that all of ``cells`` are reached, or that none is."""
    if not cells:
        return ""
    first = cells[0]
    yes = first.observed == "reachable"
    how = first.label
    verb = "reaches" if yes else "does not reach"
    words = f"{first.source} {verb} {first.destination} by {how}"
    if len(cells) > 1:
        words += f" (and {len(cells) - 1} more)"
    cause = cause_words(cells, whole)
    return (
        f"{words}, not as predicted: {cause}"
        if cause
        else f"{words}, as predicted: {first.because}"
    )
