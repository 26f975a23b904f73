"""What a plan's statements call the ends of its matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from underlay.expect import End


def key_of(end: End) -> str:
    """Return what a plan's statements call ``end``: see ``plan.statements.Named``."""
    if end.kind != "container" or end.further:
        return end.name
    return f"{end.space}@{end.network}"
