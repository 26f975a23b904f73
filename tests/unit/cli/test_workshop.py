"""The verb ``workshop``: which actions there are, and which options each of them takes."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from documents import problems
from underlay import cli
from underlay.cli.verbs.workshop import ACTIONS
from underlay.cli.workshop_actions.up import counted
from underlay.workshop import proving
from underlay.workshop.proving import Proofs, Proven

OPTIONS = {
    "seats": ["--seats", "2"],
    "listen": ["--listen", "127.0.0.2"],
    "port": ["--port", "0"],
    "inventory": ["--inventory", "hosts.yml"],
    "keys": ["--keys", "keys"],
    "new-password": ["--new-password", "1"],
    "skip": ["--skip", "no"],
    "serve": ["--serve"],
    "json": ["--json"],
    "csv": ["--csv"],
    "no-nodes": ["--no-nodes"],
}


@pytest.mark.parametrize(
    ("action", "option"),
    [(action, one) for action in ACTIONS for one in OPTIONS if one not in ACTIONS[action][1]],
)
def test_an_option_that_an_action_does_not_take_is_refused(
    action: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["workshop", action, *OPTIONS[option]]) == 2
    assert f"`underlay workshop {action}` takes no --{option}" in capsys.readouterr().err


def test_the_nearest_action_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["workshop", "sets"]) == 2
    assert "did you mean seats?" in capsys.readouterr().err


def test_a_wrong_course_is_said_before_a_missing_number(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["workshop", "up", "find-the-falt"]) == 2
    complaint = capsys.readouterr().err
    assert "there is no course 'find-the-falt'" in complaint
    assert "did you mean find-the-fault?" in complaint
    assert cli.main(["workshop", "up", "find-the-fault"]) == 2
    complaint = capsys.readouterr().err
    assert "needs --seats N" in complaint
    assert "underlay workshop up find-the-fault --seats 8" in complaint


@pytest.mark.parametrize(
    ("good", "of", "own", "said"),
    [
        (2, 2, True, "2 seats and your own"),
        (1, 1, True, "1 seat and your own"),
        (1, 2, True, "1 of 2 seats and your own"),
        (2, 2, False, "2 seats, but not your own"),
        (0, 1, True, "0 of 1 seats and your own"),
    ],
)
def test_seats_are_counted_beside_the_trainers(good: int, of: int, own: bool, said: str) -> None:
    assert counted(good, of, own=own) == said


def test_only_try_and_prove_take_an_exercise(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["workshop", "down", "find-the-fault", "two-owners"]) == 2
    assert "takes no exercise, such as two-owners" in capsys.readouterr().err


def test_the_list_is_of_all_courses(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["workshop", "list", "find-the-fault"]) == 2
    assert "takes no course" in capsys.readouterr().err


def test_proofs_are_one_document(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nodes would show is made up; each word of what became of an exercise is told."""
    proofs = Proofs(
        [
            Proven("half-of-the-room", (), 1, 40, 12.5),
            Proven("second", ("stage 1 isn't red",), 2, 40, 3.0, fresh=True),
            Proven("third", ("its lab: no node came up",), 2, down=True),
        ],
        boots=3,
    )

    def prove(exercises: object, tell: object, show: Callable[[Proven], None]) -> Proofs:
        for one in proofs.proven:
            show(one)
        return proofs

    monkeypatch.setattr(proving, "prove", prove)
    assert cli.main(["workshop", "prove", "find-the-fault", "--json"]) == 1
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert problems("workshop", document) == []
    assert document["boots"] == 3
    results = [one["result"] for one in document["exercises"]]
    assert results == ["proven", "not so", "not known"]
    assert document["exercises"][1]["problems"] == ["stage 1 isn't red"]
    # While the others are still waited for, people read how one went.
    assert "✓ half-of-the-room" in told.err
    assert cli.main(["workshop", "prove", "find-the-fault", "--no-nodes", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert problems("workshop", document) == []
    assert {one["result"] for one in document["exercises"]} == {"read"}
    assert len(document["exercises"]) > 1
