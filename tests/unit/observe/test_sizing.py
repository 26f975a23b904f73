"""Which sizes are tried next, where answers come back and where none does."""

from __future__ import annotations

import socket

from underlay.observe.on_node.cells import Cell
from underlay.observe.on_node.sizing import _Search

LEAST = 1280


def found(largest: int, narrow: int, sizes: list[int], *, answered: bool) -> int:
    """Return the largest size that is tried and arrives, where ``narrow`` bytes are the most."""
    arrived = 0
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as made:
        search = _Search(Cell(1, 0, "fd00::1", "fd00::2"), made, largest, sizes)
        while search.tried:
            passed = [size for size in search.tried if size <= narrow]
            arrived = max([arrived, *passed])
            if answered:
                search.low = max([search.low, *passed])
            left = [size for size in search.tried if size > search.low]
            search.high = min([search.high, *left])
            search.tried = search.next_sizes(LEAST)
    return arrived


def test_with_answers_the_largest_is_found_whatever_it_is() -> None:
    for narrow in (1280, 1371, 1400, 1499, 1500):
        assert found(1500, narrow, [1400, 1500], answered=True) == narrow


def test_without_any_answer_it_is_found_where_it_is_an_interfaces() -> None:
    """The twin: of a size that no interface of the lab has only some below it is."""
    for narrow in (1400, 1450, 1500):
        assert found(1500, narrow, [1400, 1450, 1500], answered=False) == narrow
    assert 1390 < found(1500, 1401, [1450, 1500], answered=False) < 1401


def test_a_late_answer_is_one_also_of_what_was_held_for_too_large() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as made:
        search = _Search(Cell(1, 0, "fd00::1", "fd00::2"), made, 1500)
        search.high = 1500
        search.tried = search.next_sizes(LEAST)
        assert search.tried[-1] < 1500
        search.arrived(1500)
        assert search.low > search.tried[-1]
        assert search.next_sizes(LEAST) == []
        # One of a size in between leaves more to be found above it.
        search = _Search(Cell(1, 0, "fd00::1", "fd00::2"), made, 1500)
        search.high = 1400
        search.arrived(1450)
        assert search.next_sizes(LEAST)[-1] > 1480
