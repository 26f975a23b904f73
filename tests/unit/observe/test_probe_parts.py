"""Parts of the probe, each by itself: a question, who joins groups, whom one asks once more."""

from __future__ import annotations

import errno
import socket
from contextlib import closing
from types import SimpleNamespace
from typing import cast

import pytest

from underlay.observe.on_node import hearing, renewing, rtnetlink
from underlay.observe.on_node.cells import Cell
from underlay.observe.on_node.packets import Token, packed
from underlay.observe.on_node.probe import Prober
from underlay.observe.on_node.question import Question
from underlay.observe.on_node.rtnetlink import INCOMPLETE
from underlay.observe.on_node.spaces import Space

PORT = 27007
GROUPS = ["239.255.27.7", "ff12::27:7"]
STALE = 0x04  # NUD_STALE
WANTED = packed("20.0.1.132")


def test_a_late_answer_is_an_answer_all_the_same() -> None:
    question = Question(Cell(7, 0, "10.1.1.65", "10.1.1.11"), "icmp", None)
    assert question.open
    question.finish("")
    assert (question.silent, question.open) == (True, True)


def test_a_packet_of_the_question_before_is_nobody_s() -> None:
    cell = Cell(7, 0, "10.1.1.65", "10.1.1.11", again="again-2")
    before = Question(cell, "icmp", None)
    again = Question(cell, "icmp", None, before)
    before.sent, again.sent = [0.0, 0.3], [1.0]
    assert [before.is_about(Token(7, "icmp", n)) for n in (0, 1, 8)] == [True, True, False]
    assert [again.is_about(Token(7, "icmp", n)) for n in (0, 1, 8)] == [False, False, True]
    again.answered("somebody", 0, 1.2)
    assert again.row().result == {
        "stop": "", "by": "somebody", "attempt": 8, "rtt": 200.0, "lost": 0,
        "first": 8, "phase": "again-2",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("stop", "stopped", "alone"),
    [("no_route", "", True), ("", "no_neighbour", True), ("", "no_answer", False),
     ("refused", "", False), ("no_answer", "", False), ("no_neighbour", "", True)],
)  # fmt: skip
def test_what_others_can_have_helped_is_asked_again(stop: str, stopped: str, alone: bool) -> None:
    question = Question(Cell(7, 0, "10.1.1.65", "10.1.1.11"), "udp", None)
    assert not question.alone
    question.finish(stop)
    question.stopped = stopped
    assert question.alone is alone


def test_no_answer_counts_after_an_error() -> None:
    question = Question(Cell(7, 0, "10.1.1.65", "10.1.1.11"), "icmp", None)
    question.finish("no_route")
    assert not question.open


@pytest.mark.parametrize(
    ("packets", "sending", "stop"),
    [(0, True, "no_route"), (1, True, "no_route"), (2, True, "no_neighbour"),
     (2, False, "no_neighbour"), (1, False, "")],
)  # fmt: skip
def test_an_unreachable_host_is_no_route_at_the_first_packet_only(
    packets: int, sending: bool, stop: str
) -> None:
    # What came back of a first packet may be about another's request: it is asked again.
    question = Question(Cell(7, 0, "10.1.1.65", "10.1.1.11"), "udp", None)
    question.sent = [float(number) for number in range(packets)]
    question.failed(OSError(errno.EHOSTUNREACH, "No route to host"), sending=sending)
    assert (question.result or {"stop": ""})["stop"] == stop


def test_a_router_that_finds_nobody_is_asked_again() -> None:
    question = Question(Cell(7, 0, "10.1.1.65", "10.2.1.65"), "icmp", None)
    question.sent = [0.0]
    question.unreachable(1, "10.1.1.1")
    assert question.result is None
    question.sent = [0.0, 1.0]
    question.unreachable(1, "10.1.1.1")
    assert question.result == {
        "stop": "no_answer",
        "reason": "ICMP unreachable, code 1, from 10.1.1.1",
    }


def test_what_a_router_has_said_is_kept_with_the_silence_after_it() -> None:
    question = Question(Cell(7, 0, "10.1.1.65", "10.2.1.65"), "icmp", None)
    question.sent = [0.0]
    question.unreachable(1, "10.1.1.1")
    question.give_up()
    assert question.silent
    assert question.result == {"stop": "", "reason": "ICMP unreachable, code 1, from 10.1.1.1"}


def test_groups_of_a_family_that_is_not_measured_are_left_alone() -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as four:
        # This namespace has IPv6 addresses, if only its loopback's, but no socket for them.
        space = SimpleNamespace(netlink=rtnetlink.connect(), udp={(4, PORT): four})
        hearing._join(cast("Space", space), GROUPS, PORT)


@pytest.mark.parametrize(
    ("first", "second", "hop"),
    [(STALE, INCOMPLETE, (2, WANTED)), (INCOMPLETE, STALE, (1, WANTED)), (STALE, STALE, None)],
)
def test_the_one_that_is_looked_for(first: int, second: int, hop: tuple[int, bytes] | None) -> None:
    """A request by another leg had left an entry there: the wire's own one wasn't renewed."""
    nowhere = Space.__new__(Space)  # what the table holds is enough
    assert renewing._hop(nowhere, {(1, WANTED): first, (2, WANTED): second}, WANTED) == hop


@pytest.mark.parametrize(
    ("asked", "unfound", "stop"),
    [(True, True, "no_neighbour"), (True, False, "not_sent"), (False, True, "not_sent")],
    ids=["asked for in vain", "found, and nothing left", "never asked for"],
)
def test_a_next_hop_that_is_known_too_late_was_not_found(
    *, asked: bool, unfound: bool, stop: str
) -> None:
    """It has asked for somebody itself by the time that the tables are read."""
    made = Question(Cell(0, 0, "20.1.1.65", "20.1.1.129"), "udp", None)
    made.hop_unfound = unfound
    witness = SimpleNamespace(
        watches=lambda _: True, left_for=lambda _: False, asked_for=lambda *_: asked
    )
    prober = cast("Prober", SimpleNamespace(witness=witness))
    assert Prober.stop(prober, made, (1, b"hop"), unresolved=False) == stop
