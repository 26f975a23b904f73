"""What a reader makes of the network: paced, and in words that a cell's stop has."""

from __future__ import annotations

import errno
import time

import pytest

from underlay.observe.on_node.reader import Pace, failed


def test_no_more_packets_leave_than_the_rate_allows() -> None:
    pace = Pace(100)
    began = time.monotonic()
    for _ in range(21):
        pace.wait()
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize(
    ("number", "stop"),
    [
        (errno.ENETUNREACH, "no_route"),
        (errno.EADDRNOTAVAIL, "no_route"),
        (errno.EHOSTUNREACH, "no_neighbour"),
        (errno.EPERM, "not_sent"),
        (errno.ENOBUFS, "no_answer"),
    ],
)
def test_what_the_kernel_says_is_where_a_packet_stopped(number: int, stop: str) -> None:
    found = failed(OSError(number, "words"), "192.0.2.1")
    assert found["stop"] == stop
    assert found["reason"]
