"""How long round trips take, which says how long silence is waited for.

Runs on the node as part of the probe: standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

from underlay.observe.on_node.cells import AGAIN, TOGETHER

LONGEST = 3.0  # s; a round trip longer than this makes nobody wait longer


class RoundTrips:
    """``slowest`` is the longest round trip in seconds that any node has seen, of those that count.

    While all ask together, a packet may wait a second until its neighbour is asked for once more
    (Linux net/core/neighbour.c, RETRANS_TIME). What that took counts in that phase, and not where
    cells are asked again by themselves, unless no round trip is known from the turns before.
    """

    def __init__(self) -> None:
        self.slowest = 0.0
        self._in_turns = 0.0

    def learn(self, seconds: float) -> None:
        """Take one in."""
        self.slowest = max(self.slowest, min(seconds, LONGEST))

    def begin(self, phase: str) -> None:
        """Have those count that say something about ``phase``, which begins now."""
        if phase == TOGETHER:
            self._in_turns = self.slowest
        elif phase.startswith(AGAIN) and self._in_turns:
            self.slowest, self._in_turns = self._in_turns, 0.0
