"""The cells that ask what is seen, with what their packets pass, as a scene of their own.

A fault that is looked for in it says which of these cells it changes, by the very predicate that
says so of the others: nobody is credited with a value that only happens to lie between two ends
which it parts.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from underlay.expect.value_cells import NOBODY
from underlay.faults.scene import Cell, Scene, cell_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.expect import Expectation
    from underlay.expect.passages import Passage

ARRIVING, RESOLVED, HEARD = ("source", "macs", "pmtu"), ("arp", "nd"), ("broadcast", "multicast")


class ValueScene(Scene):
    """A scene whose cells are a plan's values.

    What a receiver sees depends on the way there; who answers a question for a neighbour also on
    the way back; and who hears an end on the ways to all that should.
    """

    @cached_property
    def every(self) -> frozenset[Cell]:
        """The cells of kind value."""
        return frozenset(cell_of(wanted) for wanted in self.values)

    @cached_property
    def healthy(self) -> dict[Cell, tuple[Passage, ...]]:
        """Each of them with all that its packets pass."""
        return {cell_of(wanted): tuple(self._ways(wanted)) for wanted in self.values}

    def _ways(self, wanted: Expectation) -> Iterator[Passage]:
        cell = cell_of(wanted)
        there = [wanted.destination]
        if wanted.protocol in HEARD:
            there = list(wanted.value) if isinstance(wanted.value, tuple) else []
        for name in there:
            pair = self._pairs.get((wanted.source, name, int(wanted.family)))
            if pair is None or (wanted.protocol in RESOLVED and wanted.value == NOBODY):
                continue
            for passage in self.prediction.passages.of(cell, pair):
                if passage.packet.request or wanted.protocol in RESOLVED:
                    yield passage
