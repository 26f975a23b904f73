"""What a probe is asked, and what it says of it: rows that travel as JSON lists, with names.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer. The
caller makes and reads the same rows, so that neither counts columns.
"""

from __future__ import annotations

from typing import Any, NamedTuple

# The phases of cells about reachability. Those that begin so, with a number, are turns (turns.py):
# of two that a cell joins, one asks and the other doesn't.
COLD = "cold"
# Then all that are expected to get no answer ask together, so that silence is waited for once.
TOGETHER = "together"
# Last are the turns of those of them that others may have helped, or cut off.
AGAIN = "again"


class Cell(NamedTuple):
    """What one node is to ask.

    ``number`` is the cell's in this measurement, the same on all nodes; every packet carries it.
    ``space`` is the index of the asker's namespace in the specification. ``phase`` is that in
    which it is asked, and ``again`` that in which it is asked once more by itself, if it is.
    """

    number: int
    space: int
    source: str
    destination: str
    phase: str = TOGETHER
    again: str = ""


class Answer(NamedTuple):
    """What came of a cell: ``attempts`` packets of ``protocol``, or of a check's word.

    ``result`` holds ``stop``, and what the protocol or check adds. It is None where
    nothing was decided.
    """

    number: int
    protocol: str
    attempts: int
    result: dict[str, Any] | None


class Received(NamedTuple):
    """A packet that reached a namespace: of which cell, which attempt, and what it showed.

    ``detail`` is what the check asks about: an address, an interface or a MAC address. For
    ``pmtu`` the attempt is the packet's size.
    """

    number: int
    attempt: int
    detail: str = ""
