"""How long silence is waited for: rounds, round trips that were seen, and what nobody has seen."""

from __future__ import annotations

from typing import Any

import pytest

from underlay.observe.on_node.asking import (
    GIVE_UP,
    LIMIT,
    ONCE_MORE,
    RESEND,
    ROUNDS,
    TRIPS,
    UNHEARD,
    Asking,
    overdue,
)
from underlay.observe.on_node.cells import Cell
from underlay.observe.on_node.question import Question
from underlay.observe.on_node.round_trips import LONGEST, RoundTrips
from underlay.observe.on_node.station import Station

OWN, FAR = "20.1.1.65", "20.1.1.129"
EVER = 1e-6


def station(slowest: float = 0, *, gone: int = ROUNDS, pace: float = 1) -> Station:
    """Return the station of a node that sent in round 0, ``gone`` rounds later."""
    spec: dict[str, Any] = {"nonce": "n", "port": 1, "pace": pace, "spaces": []}
    made = Station(spec | {"cells": [Cell(0, 0, OWN, FAR), Cell(1, 0, OWN, OWN)], "values": {}})
    made.learn(slowest)
    made.round = gone
    return made


def question(destination: str = FAR, packets: int = 1) -> Question:
    made = Question(Cell(0, 0, OWN, destination), "tcp", None)
    made.sent = [100.0] * packets
    return made


def waits(made: Station, asked: Question) -> float:
    """Return the age at which the question's last packet is overdue."""
    asking = Asking(made, [])
    ages = [number / 1000 for number in range(1, 10_000)]
    return next(age for age in ages if asking.overdue(asked, 100.0 + age + EVER))


def test_both_a_time_and_some_rounds_must_have_gone_by() -> None:
    assert not overdue(station(), 0, GIVE_UP - EVER)
    assert overdue(station(), 0, GIVE_UP + EVER)
    assert not overdue(station(gone=ROUNDS - 1), 0, LIMIT - EVER)
    assert overdue(station(gone=0), 0, LIMIT + EVER)


@pytest.mark.parametrize(("trip", "wait"), [(0.2, GIVE_UP), (0.8, 1.0), (1.6, 2.0), (2.4, 3.0)])
def test_the_wait_follows_the_slowest_round_trip(trip: float, wait: float) -> None:
    assert not overdue(station(trip), 0, wait - EVER)
    assert overdue(station(trip), 0, wait + EVER)


def test_a_shorter_round_trip_or_an_absurd_one_changes_nothing() -> None:
    made = station(0.8)
    made.learn(0.001)
    assert made.round_trips.slowest == 0.8
    made.learn(60)
    assert made.round_trips.slowest == LONGEST
    assert TRIPS * LONGEST < LIMIT


def test_what_took_long_while_all_asked_counts_no_more_where_cells_are_asked_again() -> None:
    trips = RoundTrips()
    for phase, took in (("cold-0", 0.2), ("together", 1.4), ("again-0", 0.3), ("again-1", 0.1)):
        trips.begin(phase)
        trips.learn(took)
        assert trips.slowest == {"cold-0": 0.2, "together": 1.4}.get(phase, 0.3)


def test_where_nothing_else_is_known_it_counts_all_the_same() -> None:
    trips = RoundTrips()
    for phase, took in (("together", 1.4), ("again-0", 0.3)):
        trips.begin(phase)
        trips.learn(took)
        assert trips.slowest == 1.4


@pytest.mark.parametrize(("took", "wait"), [(0, ONCE_MORE), (0.04, ONCE_MORE), (1.2, 1.5)])
def test_who_was_answered_before_is_waited_for_as_long(took: float, wait: float) -> None:
    before = question()
    if took:
        before.answered("a-2a", 0, 100.0 + took)
    again = Question(before.cell, "tcp", None, before)
    again.sent = [100.0, 100.0]
    assert waits(station(), again) == pytest.approx(wait, abs=0.002)


def test_how_long_a_packet_was_held_back_says_nothing_of_its_way() -> None:
    before = question()
    before.sent = [100.0, 100.25]
    for attempt, arrived in enumerate((101.9, 101.901)):
        before.answered("a-2a", attempt, arrived)
    again = Question(before.cell, "tcp", None, before)
    again.sent = [100.0, 100.0]
    assert waits(station(), again) == pytest.approx(ONCE_MORE, abs=0.002)
    # The twin: on a way that is slow they come as far apart as they were sent.
    before.answers = {0: 101.9, 1: 102.15}
    assert waits(station(), again) == pytest.approx(TRIPS * 1.9, abs=0.002)


def test_a_slower_node_multiplies_the_least_wait_only() -> None:
    assert overdue(station(pace=3), 0, 3 * GIVE_UP + EVER)
    assert not overdue(station(pace=3), 0, 3 * GIVE_UP - EVER)
    assert overdue(station(2.0, pace=3), 0, 2.5 + EVER)
    assert not overdue(station(gone=0, pace=3), 0, 3 * LIMIT - EVER)


@pytest.mark.parametrize(
    ("destination", "packets", "wait"),
    [(FAR, 1, RESEND), (FAR, 2, UNHEARD), (OWN, 1, RESEND), (OWN, 2, GIVE_UP)],
)
def test_nobody_gives_up_early_what_was_never_heard(
    destination: str, packets: int, wait: float
) -> None:
    assert waits(station(), question(destination, packets)) == wait


def test_what_was_heard_is_given_up_by_what_its_round_trip_took() -> None:
    made = station()
    made.learn(0.9)  # somebody else's, as the caller tells
    assert waits(made, question(packets=2)) == UNHEARD
    made.learn(0.001, question())
    assert waits(made, question(packets=2)) == TRIPS * 0.9


def test_a_connection_that_is_made_has_its_answer_to_come() -> None:
    asked = question(packets=2)
    asked.connected = 101.5
    assert waits(station(), asked) == 1.5 + UNHEARD


@pytest.mark.parametrize(
    ("answers", "resent", "lost"),
    [
        pytest.param({1: 0.5}, 0, 1, id="the first got lost"),
        pytest.param({1: 0.5}, 2, 3, id="and some of the kernel's"),
        pytest.param({0: 0.3}, 0, 1, id="the second got lost"),
        pytest.param({0: 0.5, 1: 0.75}, 0, 0, id="both came late"),
        pytest.param({0: 0.3, 1: 0.301}, 0, 1, id="the first was held back"),
        pytest.param({0: 0.3, 1: 0.299}, 0, 1, id="and overtaken"),
    ],
)
def test_what_had_to_be_sent_again_was_lost(
    answers: dict[int, float], resent: int, lost: int
) -> None:
    asked = question()
    asked.sent = [100.0, 100.25]
    asked.resent = resent
    for attempt, later in answers.items():
        asked.answered("somebody", attempt, 100.0 + later)
    first = next(iter(answers))
    took = round((answers[first] - first / 4) * 1000, 3)
    assert asked.row()[2:] == (
        2 + resent,
        {"by": "somebody", "attempt": first, "lost": lost, "rtt": took, "stop": ""},
    )


def test_a_first_packet_s_answer_is_settled_by_the_last_s() -> None:
    asked = question()
    assert not asked.unsettled
    asked.answered("somebody", 0, 100.1)
    assert (asked.unsettled, asked.open) == (False, False)
    asked.sent.append(100.25)
    assert (asked.unsettled, asked.open) == (True, True)
    asked.answered("somebody", 1, 100.3)
    assert (asked.unsettled, asked.open) == (False, False)
