"""What `up` does where it is cut short, and cut short again while it cleans up; without nodes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from underlay import cli
from underlay.cluster import lifecycle
from underlay.cluster.state.lab import LabState
from underlay.errors import Infrastructure
from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.storage import paths

FILE = paths.root() / "labs" / "coreos.yml"
LEFT = "interrupted before all of the lab coreos was removed"
DOWN = "underlay down --lab coreos"


def raising(error: BaseException) -> Callable[..., None]:
    def act(*_: object, **__: object) -> None:
        raise error

    return act


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home for state; a start there records the lab and is interrupted then."""
    monkeypatch.setenv(paths.HOME, str(tmp_path))
    monkeypatch.setattr(lifecycle, "begin", records_and(KeyboardInterrupt()))
    return tmp_path


def records_and(error: BaseException) -> Callable[..., None]:
    def prepare(*_: object, **__: object) -> None:
        LabState("coreos", str(FILE), "uml").write(make_plan(read_lab(FILE)))
        raise error

    return prepare


def test_an_interrupted_start_leaves_nothing(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["up", "coreos"]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "interrupted"
    assert [path for path in home.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt()),
        (Infrastructure("no node is ready"), KeyboardInterrupt()),
        (KeyboardInterrupt(), Infrastructure("the sandbox does not end")),
    ],
    ids=("twice", "of a failed one", "that fails"),
)
def test_an_interrupted_cleaning_says_what_is_left(
    first: BaseException,
    second: BaseException,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(lifecycle, "begin", records_and(first))
    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "_down", raising(second))
        assert cli.main(["up", "coreos", "--json"]) == 130
    out, err = capsys.readouterr()
    assert err.splitlines()[-3:] == [LEFT, "", f"hint: {DOWN}"]
    said = {"document": "underlay error", "version": 1, "error": LEFT, "hint": DOWN}
    assert json.loads(out) == said
    assert cli.main(DOWN.split()[1:]) == 0
    assert [path for path in home.rglob("*") if path.is_file()] == []


def test_an_interrupt_when_all_is_removed_has_nothing_to_say(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    down = lifecycle._down

    def late(name: str, progress: Callable[[str], None]) -> None:
        down(name, progress)
        raise KeyboardInterrupt

    monkeypatch.setattr(lifecycle, "_down", late)
    assert cli.main(["up", "coreos"]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "interrupted"
