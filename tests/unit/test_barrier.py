"""The points at which tests hold commands: that they hold, and that nothing is left of them."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from barrier import Barrier, Point


def start(barrier: Barrier, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words,
        env={**os.environ, **barrier.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )


def running(process: subprocess.Popen[str]) -> bool:
    return process.poll() is None


def test_a_command_is_held_before_and_after_a_program(tmp_path: Path) -> None:
    barrier = Barrier(tmp_path / "barrier")
    made = tmp_path / "made it"
    before = barrier.hold("touch", "made it")
    after = barrier.hold("touch", "made it", after=True)
    process = start(barrier, "sh", "-c", f'touch {tmp_path}/other; touch "{made}"; exit 3')
    before.wait(lambda: running(process))
    assert (tmp_path / "other").exists()
    assert not made.exists()
    before.release()
    after.wait(lambda: running(process))
    assert made.exists()
    assert running(process)
    after.release()
    assert process.wait(timeout=30) == 3


def test_only_the_first_is_held(tmp_path: Path) -> None:
    barrier = Barrier(tmp_path / "barrier")
    point = barrier.hold("printf")
    process = start(barrier, "sh", "-c", "env printf one & env printf two; wait")
    point.wait(lambda: running(process))
    assert process.stdout is not None
    assert process.stdout.read(3) in ("one", "two")
    assert running(process)
    point.release()
    point.release()
    assert process.wait(timeout=30) == 0


def test_a_point_may_be_one_for_later_only(tmp_path: Path) -> None:
    barrier = Barrier(tmp_path / "barrier")
    mark = tmp_path / "mark"
    point = barrier.hold("printf", when=f"[ -e {mark} ]")
    process = start(barrier, "sh", "-c", f"env printf one; touch {mark}; env printf two")
    point.wait(lambda: running(process))
    assert process.stdout is not None
    assert process.stdout.read(3) == "one"
    barrier.release()
    assert process.communicate(timeout=30)[0] == "two"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_who_is_held_ends_by_any_signal(number: int, tmp_path: Path) -> None:
    barrier = Barrier(tmp_path / "barrier")
    point = barrier.hold("true")
    process = start(barrier, "env", "true")
    point.wait(lambda: running(process))
    os.killpg(process.pid, number)
    assert process.wait(timeout=30) == -number


def test_who_is_held_may_be_kept_from_going_on(tmp_path: Path) -> None:
    barrier = Barrier(tmp_path / "barrier")
    point = barrier.hold("touch")
    process = start(barrier, "sh", "-c", f"env touch {tmp_path}/made; exit 3")
    point.wait(lambda: running(process))
    point.kill()
    assert process.wait(timeout=30) == 3
    point.kill()
    point.release()
    assert not (tmp_path / "made").exists()


def test_a_command_that_does_not_come_is_no_success(tmp_path: Path) -> None:
    point = Point(tmp_path / "never")
    with pytest.raises(AssertionError, match="over before it came to never"):
        point.wait(lambda: False)
    with pytest.raises(AssertionError, match="nobody came to never"):
        point.wait(lambda: True, 0.1)
