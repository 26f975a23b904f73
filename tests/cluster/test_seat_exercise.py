"""An exercise in a seat, from its beginning to the next: what it says, and what a kill leaves.

A seat that was killed in any phase is made whole by a reset, and nothing of it stays behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.left_behind import command_lines
from cluster.running import Checkout
from cluster.small_course import EXERCISE, write_course
from underlay.cli.seat_words import run_word
from underlay.cluster.access import run_in
from underlay.errors import BadInput
from underlay.storage import paths
from underlay.workshop import seat as words
from underlay.workshop import stage
from underlay.workshop.booting import end_labs, running
from underlay.workshop.reading import load_course
from underlay.workshop.seat import Seat

# Does one word in a seat, and kills itself as soon as it is told the line that begins so.
KILLED = """
import os, signal, sys
from pathlib import Path
from underlay.workshop import stage
from underlay.workshop.reading import load_course
from underlay.workshop.seat import Seat
course, folder, word, line = sys.argv[1:]
seat = Seat(load_course(Path(course)), 3, Path(folder)).make()
def tell(text):
    if text.startswith(line):
        os.kill(os.getpid(), signal.SIGKILL)
if word == "begin":
    stage.begin(seat, seat.course.exercises[0], tell)
else:
    getattr(stage, word)(seat, tell)
"""
DEADLINE = 240.0


@pytest.fixture
def seat(here: Checkout, tmp_path: Path) -> Iterator[Seat]:
    course = load_course(write_course(tmp_path, {"one": EXERCISE, "two": EXERCISE}))
    made = Seat(course, 3, tmp_path / "seats" / "03").make()
    yield made
    end_labs(made)


def silent(_: str) -> None:
    """Say nothing."""


def on(seat: Seat, target: str, script: str) -> str:
    """Do something in the seat's lab, as its learner would."""
    with seat.at_home():
        return run_in(running(seat), target, ["sh", "-c", script], deadline=60.0).stdout


def killed(seat: Seat, word: str, line: str) -> None:
    """Do a word in another process, which is killed where it says ``line``."""
    arguments = [str(seat.course.folder), str(seat.folder), word, line]
    done = subprocess.run(
        [sys.executable, "-P", "-c", KILLED, *arguments],
        env=os.environ | {"PYTHONPATH": str(paths.PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def in_seat(seat: Seat) -> list[str]:
    """Return the command lines of the processes that run for the seat's labs."""
    return [line for _, line in command_lines() if f"{seat.home}/" in line]


def test_an_exercise_is_done_by_what_a_learner_does(seat: Seat) -> None:
    with pytest.raises(BadInput, match="no exercise has begun"):
        stage.check(seat, silent)
    assert stage.next_(seat, silent) == (seat.course.exercises[0], 0)
    result = stage.check(seat, silent)
    assert not result.done
    assert len(result.red) == 4
    assert result.red[0].startswith("web-1a → web-1b (icmp): expected reachable, observed")
    with pytest.raises(BadInput, match="isn't done yet"):
        stage.next_(seat, silent)

    # What must not be done is noticed.
    on(seat, "web-1b", "ip address flush dev eth0; ip address add 20.1.2.9/24 dev eth0")
    assert "web-1b keeps its address." in stage.check(seat, silent).noticed

    stage.reset(seat, silent)
    assert len(stage.check(seat, silent).red) == 4
    on(seat, "web-1b", "iptables -D INPUT -j DROP")
    result = stage.check(seat, silent)
    assert (result.done, result.is_last) == (True, False)

    assert stage.next_(seat, silent) == (seat.course.exercises[0], 1)
    assert stage.check(seat, silent).question == "Which MAC address has eth1 of core-01?"
    assert stage.answer(seat, "02:00:00:00:00:01", silent) == (False, None)
    card = on(seat, "core-01", "cat /sys/class/net/eth1/address").strip()
    is_right, result_of = stage.answer(seat, f"  {card.upper()} ", silent)
    assert is_right
    assert result_of is not None
    assert (result_of.done, result_of.is_last) == (True, True)
    assert seat.progress().done == ("one",)

    # The solutions of the stages before this one are run.
    stage.reset(seat, silent)
    assert on(seat, "web-1b", "iptables -S INPUT").strip() == "-P INPUT ACCEPT"
    assert stage.next_(seat, silent) == (seat.course.exercises[1], 0)
    assert [stage.hint(seat).number for _ in range(3)] == [1, 2, 2]
    assert stage.skip(seat, silent).result.done
    stage.next_(seat, silent)
    assert stage.skip(seat, silent).result.done
    assert stage.next_(seat, silent) is None
    assert in_seat(seat) == []
    at = seat.progress()
    assert at.done == ("one", "two")
    assert at.skipped == (("two", 0), ("two", 1))


@pytest.mark.parametrize(
    ("word", "line"),
    [
        pytest.param("begin", "booting", marks=pytest.mark.all),
        pytest.param("begin", "making the sandbox", marks=pytest.mark.all),
        ("begin", "setting the exercise up"),
        pytest.param("reset", "booting", marks=pytest.mark.all),
        pytest.param("reset", "setting the exercise up", marks=pytest.mark.all),
        pytest.param("skip", "running the solution", marks=pytest.mark.all),
    ],
)
def test_a_seat_that_was_killed_is_made_whole_by_a_reset(seat: Seat, word: str, line: str) -> None:
    if word != "begin":
        stage.begin(seat, seat.course.exercises[0], silent)
    killed(seat, word, line)
    assert not seat.progress().whole
    with pytest.raises(BadInput, match="has not come to its end"):
        stage.check(seat, silent)
    stage.reset(seat, silent)
    assert seat.progress().whole
    assert len(stage.check(seat, silent).red) == 4
    end_labs(seat)
    assert in_seat(seat) == []


def test_a_check_that_was_killed_leaves_the_seat_as_it_is(seat: Seat) -> None:
    stage.begin(seat, seat.course.exercises[0], silent)
    killed(seat, "check", "measuring")
    assert seat.progress().whole
    assert len(stage.check(seat, silent).red) == 4
    assert [one.word for one in seat.entries() if one.word == words.CHECK] == [words.CHECK] * 3


def test_no_word_shows_the_solution(
    seat: Seat, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither what was done to the lab nor what undoes it, also where one of these fails."""
    stage.begin(seat, seat.course.exercises[0], silent)
    for typed in ("story", "status", "check", "hint", "hint", "answer x", "next", "explain"):
        run_word(lambda: seat, typed.split())
    failing = EXERCISE.replace("iptables -D INPUT -j DROP", "iptables -D INPUT -j DROPPED")
    course = load_course(write_course(tmp_path / "failing", {"one": failing}))
    run_word(lambda: replace(seat, course=course), ["skip"])
    said = capfd.readouterr()
    assert "error: the solution of this stage has failed" in said.out
    assert "iptables" not in said.out + said.err
    told = [one for one in seat.entries() if one.result == "failed"]
    assert "DROPPED" in told[-1].detail["detail"]
