"""A seat's journal: what it holds, and how far a seat has come by it, whatever cut it short."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from course_folder import course_in
from underlay.storage import paths
from underlay.workshop import seat as words
from underlay.workshop.reading import load_course
from underlay.workshop.seat import Seat


@pytest.fixture
def seat(tmp_path: Path) -> Seat:
    return Seat(load_course(course_in(tmp_path)), 7, tmp_path / "seats" / "07").make()


def test_a_seat_is_closed_to_others(seat: Seat) -> None:
    seat.write(words.BEGIN, "left")
    assert seat.name == "seat-07"
    for path in (seat.folder, seat.home):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE(seat.journal.stat().st_mode) == 0o600


def test_its_home_is_that_of_its_labs(seat: Seat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(paths.HOME, raising=False)
    with seat.at_home():
        assert paths.state("left") == seat.home / "labs" / "left"
    assert paths.HOME not in os.environ


def test_nothing_has_begun(seat: Seat) -> None:
    at = seat.progress()
    assert (at.exercise, at.whole, seat.stage()) == ("", True, None)


def test_what_began_and_never_ended_leaves_the_seat_not_whole(seat: Seat) -> None:
    seat.write(words.BEGIN, "left")
    assert not seat.progress().whole
    seat.write(words.RESET, "left")
    seat.write(words.RESET, "left", 0, "failed")
    assert not seat.progress().whole
    seat.write(words.RESET, "left", 0, "ok")
    assert seat.progress().whole


def test_a_check_that_was_cut_short_leaves_it_whole(seat: Seat) -> None:
    seat.write(words.BEGIN, "left", 0, "ok")
    seat.write(words.CHECK, "left")
    at = seat.progress()
    assert at.whole
    assert at.last_check is None


def test_a_line_that_a_crash_has_cut_off_is_left_out(seat: Seat) -> None:
    seat.write(words.BEGIN, "left", 0, "ok")
    with seat.journal.open("a") as file:
        file.write('{"time": 12, "wor')
    assert [entry.word for entry in seat.entries()] == [words.BEGIN]
    seat.write(words.HINT, "left", 0, "ok", number=1)
    assert [entry.word for entry in seat.entries()] == [words.BEGIN, words.HINT]


def test_progress_counts_what_has_become_of_each_stage(seat: Seat) -> None:
    seat.write(words.BEGIN, "left", 0, "ok")
    seat.write(words.HINT, "left", 0, "ok", number=1)
    seat.write(words.ANSWER, "left", 0, "wrong", text="7")
    assert not seat.progress().answered
    seat.write(words.ANSWER, "left", 0, "right", text="8")
    seat.write(words.SKIP, "left", 0, "ok")
    seat.write(words.CHECK, "left", 0, "done")
    seat.write(words.DONE, "left", 0, "ok")
    at = seat.progress()
    assert (at.done, at.skipped, at.finished) == (("left",), (("left", 0),), True)
    assert at.hints == {("left", 0): 1}
    assert ("left", 0) in at.answered
    assert at.last_check is not None
    assert at.last_check.result == "done"


def test_who_comes_in_is_noted_once_until_something_is_done(seat: Seat) -> None:
    seat.write(words.BEGIN, "left", 0, "ok")
    for _ in range(3):
        seat.enter()
    assert [entry.word for entry in seat.entries()] == [words.BEGIN, words.ENTER]
    seat.write(words.HINT, "left", 0, "ok", number=1)
    seat.enter()
    assert [entry.word for entry in seat.entries()][2:] == [words.HINT, words.ENTER]
    assert (seat.entries()[-1].exercise, seat.progress().whole) == ("left", True)


def test_who_begins_again_has_answered_nothing(seat: Seat) -> None:
    seat.write(words.BEGIN, "left", 0, "ok")
    seat.write(words.ANSWER, "left", 0, "right", text="8")
    seat.write(words.BEGIN, "left", 0, "ok")
    assert not seat.progress().answered
