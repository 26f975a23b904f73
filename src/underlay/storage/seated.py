"""Whether a learner reads what a verb prints: somebody in a workshop's seat, who has no shell here.

A seat's shell says so to each verb that it runs, by an environment variable. Such a learner types
the words of that shell alone, so no line may stand there that only a shell would take.
"""

from __future__ import annotations

import os

SEAT = "UNDERLAY_SEAT"
# What a learner can do about what only the trainer's machine can mend.
AFRESH = "reset  boots your lab afresh; if it helps nothing, tell your trainer"


def in_seat() -> bool:
    """Whether this process prints for a learner."""
    return bool(os.environ.get(SEAT))


def typed(command: str) -> str:
    """Return ``command``, a verb with its arguments, as whoever reads it types it."""
    return command if in_seat() else f"underlay {command}"


def followable(hint: str) -> str:
    """Return ``hint``, or what a learner can do instead where it is a command line for a shell."""
    return AFRESH if in_seat() and "underlay " in f"{hint} " else hint
