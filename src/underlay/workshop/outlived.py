"""Whether a workshop's ssh server has outlived its workshop, which nobody has ended by `down`.

A test that is killed, a machine whose memory ran out: then the sandboxes are gone, and their
records stay. They are looked for by identity, so that nobody else's process counts as one.
"""

from __future__ import annotations

import time
from pathlib import Path

from underlay.cluster.providers.uml import sandbox
from underlay.workshop.record import FILE

# Seconds between two looks, and for how long nothing may live before that is the end.
LOOK, GRACE = 2.0, 20.0
# In a lab's state: which process its sandbox is.
RECORDS = ("sandbox.json", sandbox.IDENTITY)


class Outlived:
    """What a server knows of its ``workshop``, whose folder it is, from look to look."""

    def __init__(self, workshop: Path) -> None:
        self._workshop = workshop
        self._has_lived = False
        self._since: float | None = None

    def why(self, *, busy: bool) -> str:
        """Return why there is nothing left to serve; nothing while there is, or may be again.

        A server that was started for labs that were gone already serves on, for whoever comes to
        boot them afresh. So does one where somebody is in, who keeps it ``busy``, and one whose
        labs have all been ended in order: their records are gone as well.
        """
        if not (self._workshop / FILE).exists():
            return "the workshop's record is gone"
        recorded = [
            each for each in self._workshop.glob("seats/*/home/labs/*") if _is_recorded(each)
        ]
        lives = any(sandbox.find(each) is not None for each in recorded)
        self._has_lived |= lives
        if lives or busy or not recorded or not self._has_lived:
            self._since = None
            return ""
        self._since = self._since or time.monotonic()
        if time.monotonic() - self._since < GRACE:
            return ""
        return f"no seat's sandbox has lived for {GRACE:.0f} s, and none was ended in order"


def _is_recorded(state: Path) -> bool:
    """Whether a lab's state says which process its sandbox is, whether that lives or not."""
    return any((state / name).is_symlink() or (state / name).exists() for name in RECORDS)
