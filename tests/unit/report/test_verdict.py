from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from underlay.expect import Expectation
from underlay.observe import Observation, Seen, observation_from_json
from underlay.report import document
from underlay.verdict import (
    NEVER_ASKED,
    NEVER_HEARD,
    NEVER_LEFT,
    NEVER_PROBED,
    NEVER_SENT,
    Verdict,
    judge,
)

EXPECTED = Expectation(
    source="net-1a",
    destination="net-2a",
    protocol="icmp",
    reachable=True,
    stop="",
    because="It is so.",
    reference="somebody's book",
    rule="so",
    destination_address="20.1.1.129",
)
WALL = replace(
    EXPECTED, destination="core-01", reachable=False, stop="no_neighbour", also=("no_answer",)
)
SEEN = Seen("net-1a", "net-2a", "icmp", "reachable", arrived=True, rtt_ms=0.5, attempts=1)
SILENCE = Seen("net-1a", "core-01", "icmp", "unreachable", stopped_at="no_neighbour", attempts=2)


def verdict(*seen: Seen, expected: tuple[Expectation, ...] = (EXPECTED, WALL)) -> Verdict:
    return judge("lab", "uml", expected, Observation(seen, {"probe": 2.0}, {}), {"up": 9.0})


def test_as_expected_is_0() -> None:
    judged = verdict(SEEN, SILENCE)
    summary = judged.summary
    assert (summary.cells, summary.as_expected) == (2, 2)
    assert (summary.differs, summary.not_measured, summary.stopped_elsewhere) == (0, 0, 0)
    assert judged.exit_code == 0


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        ((replace(SEEN, observed="unreachable", stopped_at="no_answer"), SILENCE), 1),
        ((SEEN, replace(SILENCE, observed="reachable", stopped_at="")), 1),
        ((SEEN,), 3),
        ((), 3),
        ((SEEN, replace(SILENCE, observed="not_measured", reason="gone")), 3),
        ((replace(SEEN, observed="unreachable"),), 1),
    ],
    ids=["lost", "found", "one left out", "nothing seen", "not measured", "lost and left out"],
)
def test_anything_else_is_not(seen: tuple[Seen, ...], code: int) -> None:
    assert verdict(*seen).exit_code == code


def test_no_cell_at_all_is_not_a_pass() -> None:
    assert verdict(expected=()).exit_code == 3


def test_what_was_never_seen_is_not_measured() -> None:
    cell = verdict(SEEN).cells[1]
    assert (cell.observed, cell.reason) == ("not_measured", NEVER_PROBED)


def test_a_stop_elsewhere_differs() -> None:
    also = verdict(SEEN, replace(SILENCE, stopped_at="no_answer"))
    other = verdict(SEEN, replace(SILENCE, stopped_at="refused"))
    assert (also.summary.stopped_elsewhere, also.exit_code) == (0, 0)
    assert (other.summary.stopped_elsewhere, other.summary.differs, other.exit_code) == (1, 1, 1)


def test_a_request_that_arrives_where_none_should_differs() -> None:
    leak = replace(SILENCE, stopped_at="no_answer", arrived=True)
    one_way = replace(WALL, arrives=True)
    assert (verdict(SEEN, leak).summary.leaks, verdict(SEEN, leak).exit_code) == (1, 1)
    assert verdict(SEEN, leak, expected=(EXPECTED, one_way)).exit_code == 0


def test_silence_of_whom_nobody_hears_says_nothing() -> None:
    deaf = verdict(replace(SEEN, observed="unreachable", stopped_at="no_neighbour"), SILENCE)
    assert [cell.observed for cell in deaf.cells] == ["unreachable", "not_measured"]
    assert deaf.cells[1].reason == NEVER_HEARD
    assert deaf.cells[1].follows
    # What arrives where nothing should is no silence, whatever its source is told.
    leak = replace(SILENCE, stopped_at="no_answer", arrived=True)
    told_nothing = verdict(replace(SEEN, observed="unreachable", stopped_at="no_answer"), leak)
    assert (told_nothing.summary.leaks, told_nothing.summary.not_measured) == (1, 0)
    # Another protocol, and an end that should reach nobody at all, are judged by themselves.
    udp = verdict(SEEN, replace(SILENCE, protocol="udp"), expected=(replace(WALL, protocol="udp"),))
    assert udp.exit_code == 0


def test_silence_of_what_never_left_says_nothing_unless_that_is_planned() -> None:
    silent = replace(SILENCE, stopped_at="not_sent", unsent=True)
    assert verdict(SEEN, silent).exit_code == 3
    assert verdict(SEEN, silent).cells[1].reason == NEVER_LEFT
    assert verdict(SEEN, silent, expected=(replace(WALL, stop="not_sent"),)).exit_code == 0
    # A kernel that says so itself stops it elsewhere than planned.
    assert verdict(SEEN, replace(silent, unsent=False)).exit_code == 1


OWNER = replace(EXPECTED, protocol="arp", kind="value", value="02:75:10:02:00:01")
NO_OWNER = replace(WALL, protocol="arp", reachable=True, kind="value", value="nobody")
ASKED = Seen("net-1a", "net-2a", "arp", "nobody", attempts=2, kind="value")
LOST = replace(SEEN, observed="unreachable", arrived=False, rtt_ms=None, stopped_at="no_neighbour")
UNSENT = replace(SILENCE, stopped_at="not_sent", unsent=True)
REFUSED_BY_KERNEL = replace(SILENCE, stopped_at="no_route", reason="Network is unreachable")


def value_of(
    value: Seen, *seen: Seen, wanted: Expectation = OWNER, wall: Expectation = WALL
) -> tuple[Any, str]:
    judged = verdict(value, *seen, expected=(EXPECTED, wall, wanted))
    cell = judged.cells[2]
    return cell.observed, cell.reason


def test_nobody_is_a_value_where_something_left_the_asker() -> None:
    assert value_of(ASKED, SEEN, SILENCE) == ("nobody", "")
    # It reaches nobody, and yet what isn't answered was seen to leave, or did arrive.
    assert value_of(ASKED, LOST, SILENCE) == ("nobody", "")
    assert value_of(ASKED, replace(LOST, arrived=True)) == ("nobody", "")
    assert value_of(ASKED, replace(LOST, stopped_at="refused")) == ("nobody", "")
    assert value_of(ASKED, replace(LOST, answered_by="net-3a")) == ("nobody", "")


@pytest.mark.parametrize("wall", [UNSENT, REFUSED_BY_KERNEL], ids=["silently", "by the kernel"])
def test_nobody_is_no_value_where_nothing_left_the_asker(wall: Seen) -> None:
    assert value_of(ASKED, LOST, wall) == ("not_measured", NEVER_ASKED)
    assert value_of(replace(ASKED, observed=()), LOST, wall) == ("not_measured", NEVER_ASKED)
    # What was seen all the same is known, and of another family nothing follows.
    assert value_of(replace(ASKED, observed="02:00:00:00:00:09"), LOST, wall)[1] == ""
    six = replace(OWNER, protocol="nd", family=6)
    asked_six = replace(ASKED, protocol="nd", family=6)
    assert value_of(asked_six, LOST, wall, wanted=six) == ("nobody", "")
    # One that sends to others is at fault only where nothing leaves for this one.
    assert value_of(ASKED, SEEN, wall) == ("nobody", "")
    own_wall = replace(ASKED, destination="core-01")
    wanted = replace(NO_OWNER, value="02:75:10:02:00:01")
    assert value_of(own_wall, SEEN, wall, wanted=wanted) == ("not_measured", NEVER_ASKED)


def test_a_stop_that_was_predicted_says_nothing_of_the_asker() -> None:
    planned = replace(WALL, stop="not_sent")
    assert value_of(ASKED, SEEN, UNSENT, wall=planned) == ("nobody", "")
    own_wall = replace(ASKED, destination="core-01")
    assert value_of(own_wall, SEEN, UNSENT, wanted=NO_OWNER, wall=planned) == ("nobody", "")


def test_where_nobody_looked_an_asker_lost_to_all_may_have_sent_nothing() -> None:
    assert value_of(ASKED, LOST) == ("not_measured", NEVER_ASKED)
    # Another value has the word where its packets were watched as they left.
    source = replace(OWNER, protocol="source", value="20.1.1.65")
    for seen, word in (
        (Seen("net-1a", "net-2a", "source", "nothing", kind="value"), ""),
        (
            Seen("net-1a", "net-2a", "source", "not_measured", kind="value", unsent=True),
            NEVER_ASKED,
        ),
    ):
        judged = verdict(LOST, ASKED, seen, expected=(EXPECTED, source, OWNER))
        assert judged.cells[2].reason == word


def test_nobody_as_expected_is_known_only_of_who_can_ask() -> None:
    asked = replace(ASKED, destination="core-01")
    assert value_of(asked, SEEN, SILENCE, wanted=NO_OWNER) == ("nobody", "")
    assert value_of(asked, LOST, SILENCE, wanted=NO_OWNER) == ("not_measured", NEVER_HEARD)
    # Who should reach nobody is never found to be deaf by that: a frame must have left.
    deaf = replace(EXPECTED, reachable=False, stop="no_neighbour")
    for wall, expected in ((SILENCE, "nobody"), (UNSENT, "not_measured")):
        judged = verdict(LOST, wall, asked, expected=(deaf, WALL, NO_OWNER))
        assert judged.cells[2].observed == expected
        assert (judged.exit_code, judged.cells[2].reason) == (
            (0, "") if expected == "nobody" else (3, NEVER_LEFT)
        )


def test_the_kernels_own_word_stays_where_it_is_no_consequence() -> None:
    told = replace(ASKED, observed="not_measured", reason="Network is down", unsent=True)
    assert value_of(told, SEEN, SILENCE) == ("not_measured", "Network is down")
    assert value_of(told, LOST, REFUSED_BY_KERNEL) == ("not_measured", "Network is down")
    at_wall = replace(told, destination="core-01")
    assert value_of(at_wall, SEEN, SILENCE, wanted=NO_OWNER) == ("not_measured", "Network is down")
    assert value_of(at_wall, LOST, SILENCE, wanted=NO_OWNER) == ("not_measured", NEVER_HEARD)


@pytest.mark.parametrize("stop", ["no_route", "not_sent"])
def test_a_kernels_word_says_nothing_of_whom_no_frame_was_seen(stop: Any) -> None:
    """Unless none should be seen of it: then that word is all there is, and it is as planned."""
    home = replace(WALL, destination="net-3a", stop=stop, also=())
    word = replace(SILENCE, destination="net-3a", stopped_at=stop, reason="Network is unreachable")
    gone = replace(SILENCE, stopped_at="no_route", reason="Network is unreachable")
    broken = verdict(gone, word, expected=(WALL, home))
    assert [(cell.observed, cell.differs) for cell in broken.cells] == [
        ("unreachable", True), ("not_measured", False)
    ]  # fmt: skip
    assert (broken.cells[1].reason, broken.cells[1].follows) == (NEVER_SENT, True)
    discarding = replace(SILENCE, stopped_at="not_sent", unsent=True)
    assert verdict(discarding, word, expected=(WALL, home)).summary.not_measured == 2
    assert verdict(SILENCE, word, expected=(WALL, home)).exit_code == 0
    assert verdict(word, expected=(home,)).exit_code == 0
    maybe = replace(WALL, also=("not_sent",))
    assert verdict(discarding, word, expected=(maybe, home)).exit_code == 0
    # What differs goes on differing.
    other = replace(word, stopped_at="refused")
    assert verdict(gone, other, expected=(WALL, home)).summary.differs == 2


def test_lost_packets_are_counted() -> None:
    assert verdict(replace(SEEN, attempts=2, lost=1), SILENCE).summary.lost == 1
    value = replace(ASKED, observed=OWNER.value, lost=1)
    assert verdict(SEEN, SILENCE, value, expected=(EXPECTED, WALL, OWNER)).summary.lost == 1


def test_both_owners_of_an_address_are_named() -> None:
    wrong = replace(SEEN, observed="unreachable", stopped_at="no_answer", answered_by="net-3a")
    (rivals,) = verdict(wrong, SILENCE).rivals
    assert (rivals.address, rivals.meant, rivals.answered_by) == ("20.1.1.129", "net-2a", "net-3a")


def test_the_document_has_the_fields_that_were_promised() -> None:
    made = document(verdict(SEEN, SILENCE))
    assert list(made) == [
        "lab",
        "provider",
        "summary",
        "cells",
        "timings",
        "intent",
        "unplanned",
        "blind",
        "strangers",
    ]
    assert {"cells", "as_expected", "differs", "not_measured"} <= set(made["summary"])
    assert made["timings"] == {"probe": 2.0, "up": 9.0}
    there: dict[str, Any] = made["cells"][0]
    assert list(there)[:10] == [
        "source",
        "destination",
        "protocol",
        "expected",
        "observed",
        "stopped_at",
        "answered_by",
        "because",
        "rule",
        "reference",
    ]
    assert (there["stopped_at"], there["answered_by"], there["rtt_ms"]) == (None, None, 0.5)
    assert made["cells"][1]["stopped_at"] == "no_neighbour"


def test_an_observation_survives_json() -> None:
    observation = Observation((SEEN, SILENCE), {"probe": 2.0}, {"core-03": "asleep"})
    assert observation_from_json(observation.to_json()) == observation
    with pytest.raises(ValueError, match="not an observation"):
        observation_from_json('{"cells": [{}]}')
