"""Two commands at once on one lab: one is at work, the other says who that is and waits."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from underlay.cluster.state.lab import LabState
from underlay.cluster.state.lock import forget_unheld, holder, lock, turn
from underlay.errors import Infrastructure
from underlay.storage import locks, paths

ROOT = Path(__file__).resolve().parents[3]
HOLD = """\
import sys, time
from pathlib import Path
from underlay.storage import paths
from underlay.cluster.state.lock import turn
there = Path(sys.argv[1])
paths.home = lambda: there
sys.argv = ["/usr/bin/underlay", "up", "twice"]
with turn("twice"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "home", lambda: tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
def other(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the lab's turn until it is told to go on."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_says_who_is_at_work(other: subprocess.Popen[str]) -> None:
    with pytest.raises(Infrastructure) as caught, turn("twice", patience=0):
        pytest.fail("two have the turn")
    since = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d"
    words = rf"`underlay up twice` \(pid {other.pid}, since {since}\) is at work on the lab twice"
    assert re.fullmatch(words, caught.value.message)
    assert caught.value.hint == f"wait for it, or end it: kill {other.pid}"
    assert caught.value.exit_code == 3


def test_the_second_waits_and_then_has_it(other: subprocess.Popen[str]) -> None:
    told: list[str] = []

    def waiting(words: str) -> None:
        told.append(words)
        assert other.stdin
        other.stdin.write("go on\n")
        other.stdin.flush()

    with turn("twice", waiting):
        assert other.wait(timeout=10) == 0
    assert len(told) == 1
    assert f"pid {other.pid}" in told[0]


def test_a_killed_holder_holds_nothing(other: subprocess.Popen[str]) -> None:
    who = holder("twice")
    assert who is not None
    assert who.pid == other.pid
    os.kill(other.pid, signal.SIGKILL)
    began = time.monotonic()
    with turn("twice", patience=10):
        assert time.monotonic() - began < 5
    assert holder("twice") is None


def test_the_locks_of_killed_commands_are_removed_and_no_others(
    home: Path, other: subprocess.Popen[str]
) -> None:
    (home / "locks" / "coreos").write_text("")
    (home / "locks" / "coreos.turn").write_text("{}")
    forget_unheld()
    assert [path.name for path in (home / "locks").iterdir()] == ["twice.turn"]
    with turn("mine"):
        forget_unheld()
        assert holder("mine") is not None
    os.kill(other.pid, signal.SIGKILL)
    other.wait(5)
    forget_unheld()
    assert not home.exists()
    forget_unheld()


def test_one_command_has_it_more_than_once(home: Path) -> None:
    with turn("twice"):
        with turn("twice", patience=0), lock("twice"):
            assert holder("twice") == locks.Holder(os.getpid(), *_words())
        assert holder("twice") is not None
    assert not home.exists(), "nothing is left of a lock"


def _words() -> tuple[str, str]:
    who = holder("twice")
    assert who
    return who.command, who.since


def test_the_holder_is_called_as_its_user_called_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/underlay/__main__.py", "watch", "--serve"])
    with turn("twice", patience=0):
        assert _words()[0] == "underlay watch --serve"


def test_other_labs_are_free(other: subprocess.Popen[str]) -> None:
    with turn("once", patience=0):
        assert other.poll() is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', "\udcff"])
def test_a_lock_file_with_anything_in_it(home: Path, content: str) -> None:
    (home / "locks").mkdir(parents=True)
    (home / "locks/twice.turn").write_text(content, errors="surrogateescape")
    with turn("twice", patience=0):
        assert holder("twice") is not None


def test_two_commands_at_once(
    other: subprocess.Popen[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`down` while `up` is at work: it says so on stderr, waits, and then does its part."""
    from underlay.cli import main
    from underlay.cluster.state import lock as lab_lock
    from underlay.lint.read import read_lab
    from underlay.plan import make_plan

    monkeypatch.setattr(lab_lock, "PATIENCE", 0.5)
    plan = make_plan(read_lab(ROOT / "labs/coreos.yml"))
    state = LabState("twice", str(ROOT / "labs/coreos.yml"), "uml")
    state.write(plan)
    assert main(["down", "--lab", "twice"]) == 3
    said = capfd.readouterr().err
    assert f"`underlay up twice` (pid {other.pid}, since " in said
    assert state.folder.exists(), "nothing was changed meanwhile"
    assert other.stdin
    other.stdin.write("go on\n")
    other.stdin.flush()
    assert main(["down", "--lab", "twice"]) == 0
    assert not state.folder.exists()
