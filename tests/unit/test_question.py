"""When an answer that comes late still counts."""

from __future__ import annotations

from underlay.observe.question import Question


def given_up(*, cold: bool) -> Question:
    question = Question([7, 0, "10.1.1.65", "10.1.1.11", int(cold)], "icmp", None)
    assert question.open
    question.finish("")
    return question


def test_a_late_answer_is_an_answer_all_the_same() -> None:
    question = given_up(cold=False)
    assert (question.silent, question.open) == (True, True)


def test_a_cold_cells_silence_is_final() -> None:
    question = given_up(cold=True)
    assert (question.silent, question.open) == (True, False)


def test_no_answer_counts_after_an_error() -> None:
    question = Question([7, 0, "10.1.1.65", "10.1.1.11", 0], "icmp", None)
    question.finish("no_route")
    assert not question.open
