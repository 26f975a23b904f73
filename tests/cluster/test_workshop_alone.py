"""Courses without a room: played in a terminal and proven, and nothing is left of either."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import Checkout
from cluster.small_course import EXERCISE, write_course
from documents import problems
from underlay.proof.bench.soak import waited

DEADLINE = 400.0


@pytest.fixture
def course(tmp_path: Path) -> Path:
    return write_course(tmp_path, {"one": EXERCISE})


def test_a_course_is_played_by_its_words(copy: Checkout, course: Path) -> None:
    before = interfaces()
    words = "check\nskip\nnext\nanswer 1\nskip\nnext\n"
    done = copy.underlay("workshop", "try", str(course), text=words, deadline=DEADLINE)
    assert done.code == 0, str(done)
    said = done.out
    for line in (
        "web-1a → web-1b (icmp): expected reachable, observed unreachable",
        "Stage 2 of 2: Whose card?",
        "That isn't it.",
        "Its own filter dropped all.",
        "That was the last exercise: the course is done.",
    ):
        assert line in said, str(done)
    prove_nothing_is_left(copy, before)


def test_its_exit_code_is_that_of_the_last_word(copy: Checkout, course: Path) -> None:
    done = copy.underlay("workshop", "try", str(course), text="check\n", deadline=DEADLINE)
    assert done.code == 1, str(done)
    assert "Not done yet." in done.out


def test_a_lab_ends_with_its_terminal_however_that_ends(copy: Checkout, course: Path) -> None:
    before = interfaces()
    process = copy.start("workshop", "try", str(course), stdout=subprocess.PIPE)
    assert process.stdout is not None
    folder = copy.root / ".underlay" / "checks"
    waited(lambda: any(folder.glob("*/seat/journal.jsonl")), DEADLINE)
    journal = next(folder.glob("*/seat/journal.jsonl"))
    waited(lambda: '"ok"' in journal.read_text() or process.poll() is not None, DEADLINE)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    # Its folder is removed by the next command that makes one, or by `down --all`.
    assert copy.underlay("down", "--all").code == 0
    prove_nothing_is_left(copy, before)


@pytest.mark.all
def test_an_author_is_told_what_is_not_so(copy: Checkout, course: Path) -> None:
    before = interfaces()
    done = copy.underlay("workshop", "prove", str(course), deadline=DEADLINE)
    assert done.code == 0, str(done)
    assert "1 of 1 exercise is as it says, on 1 boot" in done.out
    # What is so is told as text, and what isn't as a document.
    file = course / "one" / "exercise.yml"
    file.write_text(EXERCISE.replace("web-1a, web-1c", "web-1a"))
    done = copy.underlay("workshop", "prove", str(course), "--json", deadline=DEADLINE)
    assert done.code == 1, str(done)
    assert problems("workshop", done.document()) == []
    (one,) = done.document()["exercises"]
    assert (one["exercise"], one["result"]) == ("one", "not so")
    unnamed = "stage 1 (Heard again) begins with red cells that it doesn't name: web-1b →"
    assert any(unnamed in problem for problem in one["problems"])
    file.write_text(EXERCISE.replace("web-1a, web-1c", "web-1x"))
    done = copy.underlay("workshop", "prove", str(course), "--no-nodes")
    assert done.code == 2, str(done)
    assert "nobody in one is called web-1x" in done.err
    prove_nothing_is_left(copy, before)
