"""How many cells are made for something: each costs time, and most can be told by their kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from underlay.expect import Prediction

T = TypeVar("T")


def cells_made(act: Callable[[], T]) -> tuple[T, int]:
    """Return what ``act`` returns, and how many cells of predictions it has made."""
    made = 0
    own = Prediction.cell

    def counted(self: Prediction, *words: Any) -> Any:
        nonlocal made
        made += 1
        return own(self, *words)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Prediction, "cell", counted)
        found = act()
    return found, made
