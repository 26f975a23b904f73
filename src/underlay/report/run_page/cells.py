"""The cells of a lab as numbers that a page reads at once: layers of all pairs of ends.

A page of 300 containers has some 90,000 cells of each protocol. Each of them is a place in a list
of outcomes, as in the file of a run, and a round trip; both are packed as 16 bits in base64.
"""

from __future__ import annotations

from array import array
from base64 import b64encode
from sys import byteorder
from typing import TYPE_CHECKING, Any

from underlay.expect.expectation import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from underlay.faults import Cell as Name
    from underlay.verdict import Cell

NONE = 0xFFFF
# ms; 16 bits hold up to 655 ms in these steps.
STEP = 0.01
Shown = dict[str, Any]


class Layers:
    """The cells among ``ends``, one layer for each protocol and family, and those beside them.

    What is seen of a broadcast is asked of a network and no end: such cells are ``beside``.
    """

    def __init__(self, ends: Sequence[str], cells: Iterable[Cell]) -> None:
        self._places = {end: number for number, end in enumerate(ends)}
        self._count = len(ends)
        self._numbers: dict[tuple[str, int], int] = {}
        self._outcomes: dict[tuple[Any, ...], int] = {}
        self._predictions: dict[tuple[Any, ...], int] = {}
        self._layers: list[tuple[Shown, array[int], array[int]]] = []
        self.outcomes: list[Shown] = []
        self.predictions: list[Shown] = []
        self.beside: list[Shown] = []
        for cell in cells:
            self._add(cell)

    def code(self, name: Name) -> int | None:
        """Return the number by which the page knows a cell; None where it is in no layer."""
        source, destination, protocol, family = name
        layer = self._numbers.get((str(protocol), family))
        places = self._places.get(source), self._places.get(destination)
        if layer is None or places[0] is None or places[1] is None:
            return None
        return (layer * self._count + places[0]) * self._count + places[1]

    def codes(self, names: Iterable[Name]) -> list[int]:
        """Return the numbers of those of ``names`` that are in a layer."""
        return [code for name in names if (code := self.code(name)) is not None]

    def document(self) -> list[Shown]:
        """Return the layers as JSON values."""
        return [
            {**head, "outcomes": _packed(outcomes), "rtts": _packed(rtts)}
            for head, outcomes, rtts in self._layers
        ]

    def _add(self, cell: Cell) -> None:
        number = self._outcome(cell)
        if cell.destination not in self._places or cell.source not in self._places:
            names = {"source": cell.source, "destination": cell.destination}
            how = {"protocol": str(cell.protocol), "family": cell.family}
            self.beside.append({**names, **how, "outcome": number})
            return
        key = str(cell.protocol), cell.family
        if key not in self._numbers:
            self._numbers[key] = len(self._layers)
            head = {"protocol": key[0], "family": key[1], "kind": cell.kind}
            empty = array("H", [NONE]) * (self._count**2)
            self._layers.append((head, empty, array("H", [0]) * (self._count**2)))
        _, outcomes, rtts = self._layers[self._numbers[key]]
        place = self._places[cell.source] * self._count + self._places[cell.destination]
        outcomes[place] = number
        if cell.rtt_ms is not None:
            rtts[place] = min(NONE, max(1, round(cell.rtt_ms / STEP)))

    def _outcome(self, cell: Cell) -> int:
        told = (
            *(cell.expected, cell.expected_stop, cell.kind, cell.rule, cell.because),
            *(cell.reference, cell.observed, cell.stopped_at, cell.answered_by, cell.arrived),
            *(cell.attempts, cell.lost, cell.reason, cell.also, cell.arrives),
        )
        known = self._outcomes.get(told)
        if known is not None:
            return known
        self._outcomes[told] = len(self.outcomes)
        self.outcomes.append(
            {
                "prediction": self._prediction(cell),
                "observed": _words(cell.observed),
                "stopped": cell.stopped_at,
                "answeredBy": cell.answered_by,
                "arrived": cell.arrived,
                "attempts": cell.attempts,
                "lost": cell.lost,
                "reason": cell.reason,
                "differs": cell.differs,
                "measured": cell.measured,
            }
        )
        return len(self.outcomes) - 1

    def _prediction(self, cell: Cell) -> int:
        told = cell.expected, cell.expected_stop, cell.rule, cell.because, cell.reference
        if told not in self._predictions:
            self._predictions[told] = len(self.predictions)
            self.predictions.append(
                {
                    "expected": _words(cell.expected),
                    "stop": cell.expected_stop,
                    "rule": cell.rule,
                    "because": cell.because,
                    "reference": cell.reference,
                }
            )
        return self._predictions[told]


def _words(value: Value) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _packed(numbers: array[int]) -> str:
    """Return 16-bit numbers as base64, the lower byte first, as every browser's machine has it."""
    if byteorder == "big":
        numbers = array("H", numbers)
        numbers.byteswap()
    return b64encode(numbers.tobytes()).decode()
