"""Cells that get no answer, as predicted, with what their requests pass as they leave.

Such a cell stops somewhere: a fault that takes its request sooner than the network would moves
where. Who sends nothing at all is found by the very predicate that says which answers a fault
takes. Further on a request may never come.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from underlay.faults.scene import Cell, Scene

if TYPE_CHECKING:
    from underlay.expect.passages import Passage


@dataclass(frozen=True)
class SilentScene(Scene):
    """A scene of the ``silent`` cells alone, and of the first namespace on their way."""

    silent: frozenset[Cell] = field(default_factory=frozenset)

    @cached_property
    def every(self) -> frozenset[Cell]:
        """The silent cells."""
        return self.silent

    @cached_property
    def healthy(self) -> dict[Cell, tuple[Passage, ...]]:
        """Each of them with what its request passes where it is sent from."""
        return {cell: self._leaving(cell) for cell in self.silent}

    def _leaving(self, cell: Cell) -> tuple[Passage, ...]:
        own = self.ends[cell[0]].space
        return tuple(
            passed
            for passed in self._followed(cell)
            if passed.packet.request and passed.direction == "out" and passed.where == own
        )
