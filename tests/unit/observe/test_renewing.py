"""Which neighbour is asked for once more, where an address is known by several interfaces."""

from __future__ import annotations

import pytest

from underlay.observe.on_node import renewing
from underlay.observe.on_node.packets import packed
from underlay.observe.on_node.rtnetlink import INCOMPLETE
from underlay.observe.on_node.spaces import Space

STALE = 0x04  # NUD_STALE
WANTED = packed("20.0.1.132")


@pytest.mark.parametrize(
    ("first", "second", "hop"),
    [(STALE, INCOMPLETE, (2, WANTED)), (INCOMPLETE, STALE, (1, WANTED)), (STALE, STALE, None)],
)
def test_the_one_that_is_looked_for(first: int, second: int, hop: tuple[int, bytes] | None) -> None:
    """A request by another leg had left an entry there: the wire's own one wasn't renewed."""
    nowhere = Space.__new__(Space)  # what the table holds is enough
    assert renewing._hop(nowhere, {(1, WANTED): first, (2, WANTED): second}, WANTED) == hop
