"""A workshop's ssh server ends by itself where all that it serves was killed, and only then."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from underlay.cluster.providers.uml.sandbox import boot_id, start_time
from underlay.storage import paths
from underlay.workshop import outlived, sign_in
from underlay.workshop.outlived import Outlived
from underlay.workshop.ssh_server import LOG
from unit.workshop.test_sign_in import made

pytest.importorskip("asyncssh", reason="pip install asyncssh")


@contextmanager
def living() -> Iterator[subprocess.Popen[bytes]]:
    """Run a process whose identity stands for a sandbox's: what counts is whether it lives."""
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            yield process
        finally:
            process.kill()


def record(workshop: Path, process: subprocess.Popen[bytes], seat: int = 1) -> Path:
    state = workshop / "seats" / f"{seat:02d}" / "home" / "labs" / "nothing"
    state.mkdir(parents=True)
    started = start_time(process.pid)
    who = {"boot": boot_id(), "pid": process.pid, "started": started}
    outer = {"outer": process.pid, "outer_started": started}
    (state / "sandbox.json").write_text(json.dumps(who | outer))
    return state


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(timeout=60)


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    return made(tmp_path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list whose last number is the time."""
    now = [1000.0]
    monkeypatch.setattr(outlived.time, "monotonic", lambda: now[-1])
    return now


def look(watch: Outlived, clock: list[float], *, busy: bool = False) -> str:
    """Look twice, further apart than the grace."""
    watch.why(busy=busy)
    clock.append(clock[-1] + outlived.GRACE + 1)
    return watch.why(busy=busy)


def test_it_has_outlived_sandboxes_that_were_killed(workshop: Path, clock: list[float]) -> None:
    watch = Outlived(workshop)
    with living() as first, living() as second:
        record(workshop, first, 1)
        record(workshop, second, 2)
        assert look(watch, clock) == ""
        end(first)
        assert look(watch, clock) == "", "one seat is still there"
        end(second)
        assert watch.why(busy=False) == "", "a moment is none"
        assert look(watch, clock, busy=True) == "", "somebody is in, and may boot it afresh"
        assert "no seat's sandbox" in look(watch, clock)


def test_another_process_of_the_same_number_is_none(workshop: Path, clock: list[float]) -> None:
    watch = Outlived(workshop)
    with living() as process:
        state = record(workshop, process)
        assert look(watch, clock) == ""
        told = json.loads((state / "sandbox.json").read_text())
        (state / "sandbox.json").write_text(json.dumps(told | {"started": told["started"] - 1}))
        assert "no seat's sandbox" in look(watch, clock)


def test_labs_that_were_ended_in_order_or_never_lived_are_no_end(
    workshop: Path, clock: list[float]
) -> None:
    watch = Outlived(workshop)
    assert look(watch, clock) == "", "nothing has booted"
    with living() as process:
        state = record(workshop, process)
        assert look(watch, clock) == ""
        end(process)
        again = Outlived(workshop)
        shutil.rmtree(state)
        assert look(watch, clock) == "", "who was last has come to the course's end"
        record(workshop, process)
        assert look(again, clock) == "", "started for labs that were gone already"


def test_a_server_without_a_workshop_has_outlived_it(workshop: Path) -> None:
    watch = Outlived(workshop)
    assert watch.why(busy=False) == ""
    (workshop / "workshop.json").unlink()
    assert "record is gone" in watch.why(busy=True)


def test_the_server_ends_with_the_last_sandbox(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(paths.HOME, str(tmp_path / "home"))
    with living() as process:
        record(workshop, process)
        server = sign_in.start(workshop, range(3), port=0)
        try:
            time.sleep(3 * outlived.LOOK)
            assert server.alive
            end(process)
            assert os.waitpid(server.pid, 0)[1] == 0
            assert not server.alive
            log = (workshop / sign_in.FOLDER / LOG).read_text()
            assert "ended: no seat's sandbox has lived" in log
        finally:
            sign_in.stop(workshop)
