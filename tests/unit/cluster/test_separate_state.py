"""The folder in which `check DIR` keeps its labs: apart from all others, swept after a death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from underlay.cluster.state.separate import end_kept, separate_state, sweep
from underlay.storage import paths

SOURCE = Path(__file__).resolve().parents[3] / "src"
HOLD = """\
import sys
from underlay.storage import paths
from underlay.cluster.state.separate import separate_state
with separate_state():
    (paths.states() / "left").mkdir(parents=True)
    print("held", flush=True)
    sys.stdin.readline()
"""
SWEEP = """\
import select, sys
from underlay.cluster.state.separate import sweep
while not select.select([sys.stdin], [], [], 0)[0]:
    sweep()
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.HOME, str(tmp_path / "home"))
    return tmp_path / "home"


def test_state_is_elsewhere_within_and_where_it_was_after(home: Path) -> None:
    with separate_state() as outer:
        assert outer == home
        assert paths.home() == home / "checks" / str(os.getpid())
        paths.state("lab").mkdir(parents=True)
    assert paths.home() == home
    assert not home.exists()


def test_who_was_killed_is_swept_and_who_lives_is_not(home: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    folder = home / "checks" / str(process.pid)
    assert sweep() == []
    assert folder.is_dir()
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    process.stdout.close()
    assert folder.is_dir()
    assert sweep() == ["left"]
    assert not home.exists()


def test_a_folder_that_is_swept_before_it_is_locked_is_made_again(home: Path) -> None:
    sweeping = [sys.executable, "-c", SWEEP]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(sweeping, env=environment, stdin=subprocess.PIPE) as other:
        for _ in range(200):
            with separate_state():
                assert (paths.home() / ".lock").exists()
    # The end of its input has ended the other one.
    assert other.returncode == 0
    assert not home.exists()


def test_labs_that_tests_have_left_up_are_ended_wherever_they_are(home: Path) -> None:
    for name in ("4711", "4712"):
        (paths.kept_home(home, name) / "labs" / "web").mkdir(parents=True)
    assert end_kept() == ["web", "web"]
    assert not home.exists()
    assert end_kept() == []
