"""An error as people read it on stderr."""

from __future__ import annotations

from underlay.storage.seated import followable


def error_lines(head: str, detail: str, hint: str) -> list[str]:
    """Return the lines of an error: ``head``, what failed in its own words, and what to try.

    A learner in a seat is told what can be done there.
    """
    hint = followable(hint)
    lines = [head, *([detail.rstrip()] if detail else [])]
    return lines + (["", *(f"hint: {line}" for line in hint.splitlines())] if hint else [])
