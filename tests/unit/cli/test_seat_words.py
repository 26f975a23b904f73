"""What a learner reads in a seat: wrapped by words, and nothing that only a shell would take."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from underlay.cli import seat_text, seat_words
from underlay.cli.error_lines import error_lines
from underlay.cli.verbs import trace
from underlay.cli.wrapping import wrapped
from underlay.errors import BadInput
from underlay.faults import Step
from underlay.report import pasted, unplanned
from underlay.storage.seated import AFRESH, SEAT
from underlay.workshop.checking import StageResult, standing
from underlay.workshop.course import Exercise
from underlay.workshop.reading import courses

SYSCTL = Step("web-2b", 'sysctl -qw "$1"', ("net.ipv4.icmp_echo_ignore_all=0",))
# As the console of a verb is.
PLAIN: dict[str, Any] = {
    "highlight": False, "markup": False, "emoji": False, "soft_wrap": True
}  # fmt: skip
EXERCISES = [exercise for course in courses() for exercise in course.exercises]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Return what is printed on a terminal of 60 columns."""
    text = io.StringIO()
    out = Console(file=text, width=60, force_terminal=True, color_system=None, **PLAIN)
    for module in (seat_text, seat_words):
        monkeypatch.setattr(module, "out", out)
    return text


def test_a_cure_is_a_line_of_the_seats_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = pasted.pasted(SYSCTL, "a lab")
    assert plain.startswith("underlay exec web-2b --lab 'a lab' -- sysctl -qw")
    monkeypatch.setenv(SEAT, "1")
    assert pasted.pasted(SYSCTL, "a lab") == (
        "exec web-2b -- sysctl -qw net.ipv4.icmp_echo_ignore_all=0"
    )


@pytest.mark.parametrize(
    ("restart", "target", "lines"),
    [
        (False, "web-2b", ["exec web-2b -- sysctl -qw net.ipv4.icmp_echo_ignore_all=0"]),
        (True, "web-2b", ["reset"]),
        # Nobody but the trainer may run anything there: the cure is told in words.
        (False, "switch", []),
    ],
)
def test_what_a_learner_can_do_is_told(
    restart: bool, target: str, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SEAT, "1")
    step = Step(target, SYSCTL.script, SYSCTL.arguments)
    fault = SimpleNamespace(needs_restart=restart)
    cause: Any = SimpleNamespace(finding=SimpleNamespace(fault=fault, steps=(step,)))
    explanation: Any = SimpleNamespace(lab="x", keep_by="", file="x")
    assert pasted.commands(explanation, cause) == lines


def test_a_look_at_the_unplanned_is_typed_in_the_seat(monkeypatch: pytest.MonkeyPatch) -> None:
    one: Any = SimpleNamespace(interface="eth0", brought="", kind="broadcast", end="web-1a")
    assert unplanned.look(one).startswith("underlay exec switch -- bridge vlan show; underlay exec")
    monkeypatch.setenv(SEAT, "1")
    assert unplanned.look(one) == "switch vlans; exec web-1a -- tc filter show dev eth0 ingress"


def test_trace_sends_no_learner_to_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    told: Any = SimpleNamespace(
        source="a", destination="b", source_address="1", destination_address="2",
        packet=SimpleNamespace(words="an echo"), last=lambda points: "Nothing was seen.",
        expected=None,
    )  # fmt: skip
    for seat, expected in (("", True), ("1", False)):
        text = io.StringIO()
        monkeypatch.setenv(SEAT, seat)
        monkeypatch.setattr(trace, "out", Console(file=text, width=100, **PLAIN))
        trace._show(told, [], back=False, there=None)
        assert ("underlay explain" in text.getvalue()) is expected


def test_a_hint_for_a_shell_becomes_one_for_the_seat(monkeypatch: pytest.MonkeyPatch) -> None:
    assert error_lines("error: x", "", "underlay up lab")[-1] == "hint: underlay up lab"
    monkeypatch.setenv(SEAT, "1")
    assert error_lines("error: x", "", "underlay up lab")[-1] == f"hint: {AFRESH}"
    assert error_lines("error: x", "", "did you mean web-1a?")[-1] == "hint: did you mean web-1a?"


def test_lines_are_broken_between_words() -> None:
    text = "  web-1a → web-2a, web-2b (icmp): expected reachable, observed: no answer"
    lines = wrapped(text, 30, indent=2).splitlines()
    assert " ".join(" ".join(lines).split()) == text.strip()
    assert max(map(len, lines)) <= 30
    assert all(line.startswith("    ") for line in lines[1:])
    assert wrapped(text, 0) == text


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda one: one.name)
def test_markdown_is_shown_as_it_is_meant(exercise: Exercise, terminal: io.StringIO) -> None:
    seat_text.tell_markdown(exercise.story_text)
    seat_text.tell_markdown(exercise.aha_text)
    for number, stage in enumerate(exercise.stages):
        seat_words._tell_stage(exercise, number)
        for hint in stage.hints:
            seat_text.tell_markdown(hint)
    shown = terminal.getvalue()
    assert "**" not in shown
    assert "`" not in shown
    assert not [line for line in shown.splitlines() if line.startswith("#")]
    picture = [line for line in exercise.story_text.splitlines() if line.startswith("    ")]
    assert picture
    assert [line for line in picture if line not in shown] == []
    # All words are there, whatever they were broken at.
    said = "".join(shown.split())
    for word in exercise.aha_text.replace("`", "").replace("*", "").replace("# ", "").split():
        # A table has lines of its own.
        assert "|" in word or word in said


def test_without_a_terminal_it_is_what_was_written() -> None:
    text = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seat_text, "out", Console(file=text, width=160, **PLAIN))
        seat_text.tell_markdown("# A title\n\n**bold** `code`")
    assert text.getvalue() == "# A title\n\n**bold** `code`\n"


def verdict_of(*well: bool) -> Any:
    return SimpleNamespace(cells=[SimpleNamespace(measured=True, differs=not one) for one in well])


@pytest.mark.parametrize(
    ("well", "more", "told"),
    [
        ((True, True), {"question": "q"}, "2 cells as expected; the question is still open"),
        ((True, False), {"red": ("x",)}, "1 of 2 cells as expected"),
        (
            (True,), {"question": "q", "noticed": ("x",)},
            "1 cell as expected; the question is open, too",
        ),
    ],
)  # fmt: skip
def test_a_check_says_what_was_measured_and_what_is_left(
    well: tuple[bool, ...], more: dict[str, Any], told: str
) -> None:
    assert standing(StageResult("one", 0, "t", True, verdict=verdict_of(*well), **more)) == told


def test_only_a_question_is_left(terminal: io.StringIO) -> None:
    result = StageResult("one", 0, "t", True, question="Who?", verdict=verdict_of(True, True))
    seat: Any = None
    assert seat_words._tell_result(seat, result) == 1
    shown = terminal.getvalue()
    assert "2 cells as expected; the question is still open." in shown
    assert "Not done yet" not in shown
    assert "answer TEXT" in shown


def test_a_stage_says_how_it_is_done(terminal: io.StringIO) -> None:
    named = {exercise.name: exercise for exercise in EXERCISES}
    seat_words._tell_stage(named["half-of-the-room"], 0)
    assert seat_words.MEND in terminal.getvalue()
    assert seat_words.ANSWER not in terminal.getvalue()
    terminal.truncate(0)
    seat_words._tell_stage(named["must-it-be-so"], 0)
    assert seat_words.MEND not in terminal.getvalue()
    assert seat_words.ANSWER in terminal.getvalue()


def test_an_answer_that_nobody_asked_for_is_told_what_the_question_is(tmp_path: Path) -> None:
    from underlay.workshop import stage
    from underlay.workshop.seat import BEGIN, Seat

    course = next(one for one in courses() if one.name == "find-the-fault")
    seat = Seat(course, 1, tmp_path / "seat").make()
    seat.write(BEGIN, "half-of-the-room", 0)
    seat.write(BEGIN, "half-of-the-room", 0, "ok")
    with pytest.raises(BadInput) as raised:
        stage.answer(seat, "the wire", lambda text: None)
    assert "the question in the story is to think about" in raised.value.message
    assert "check" in raised.value.hint
