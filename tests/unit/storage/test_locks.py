"""Locks between commands: who has one, since when, and that nothing else is taken for one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from underlay.errors import Infrastructure
from underlay.storage import locks, paths, private

SOURCE = Path(__file__).resolve().parents[3] / "src"
HOLD = """\
import sys
from pathlib import Path
from underlay.storage import locks
path = Path(sys.argv[1])
sys.argv = ["/usr/bin/underlay", "image", "build"]
with locks.held(path, "builds", deadline=0, kept=True):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / ".lock"


@pytest.fixture
def other(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until it is told to go on."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_past_the_deadline_it_says_who_has_it(path: Path, other: subprocess.Popen[str]) -> None:
    told: list[str] = []
    began = time.monotonic()
    with pytest.raises(Infrastructure) as caught:
        locks.wait_for(path, "builds", deadline=0.3, waiting=told.append)
    assert 0.3 <= time.monotonic() - began < 5
    assert caught.value.message.startswith(f"`underlay image build` (pid {other.pid}, since ")
    assert caught.value.hint == f"wait for it, or end it: kill {other.pid}"
    assert told == [f"{caught.value.message}, waiting for it"], "once, not at each attempt"
    assert locks.holder(path) is not None


def test_two_that_ask_who_has_it_do_not_hinder_each_other(path: Path) -> None:
    with locks.held(path, "works", deadline=0, kept=True):
        pass
    for _ in range(50):
        threads = [threading.Thread(target=locks.holder, args=(path,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        found = locks.holder(path)
        for thread in threads:
            thread.join()
        assert found is None


def test_a_kept_file_names_no_holder_of_the_past(path: Path, other: subprocess.Popen[str]) -> None:
    assert other.stdin
    other.stdin.write("go on\n")
    other.stdin.flush()
    other.wait(10)
    assert path.read_bytes() == b""
    assert locks.holder(path) is None


def test_the_file_goes_with_the_lock(path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), locks.held(path, "works", deadline=0):
        raise KeyboardInterrupt
    assert list(path.parent.iterdir()) == []


def test_a_lock_is_closed_to_others(path: Path) -> None:
    def closed() -> int:
        private.make(path.parent)
        return private.opened(path.parent)

    before = os.umask(0)
    try:
        descriptor = locks.wait_for(path, "works", deadline=0, folder=closed)
    finally:
        os.umask(before)
    os.close(descriptor)
    assert [p.stat().st_mode & 0o777 for p in (path, path.parent)] == [0o600, 0o700]


def test_a_link_is_no_lock(path: Path, tmp_path: Path) -> None:
    """Whoever may write to the folder could have any file of ours emptied and signed."""
    precious = tmp_path / "precious"
    precious.write_text("data")
    path.parent.mkdir()
    path.symlink_to(precious)
    with pytest.raises(Infrastructure, match="is a symbolic link, where a lock belongs"):
        locks.wait_for(path, "works", deadline=10)
    assert locks.holder(path) is None
    locks.forget_unheld(path.parent)
    assert path.is_symlink()
    assert precious.read_text() == "data"


def test_a_lock_that_its_holder_has_removed_is_not_taken(path: Path) -> None:
    """What a waiter has opened is no lock any more once another file is in its place."""
    first = locks.wait_for(path, "works", deadline=0)
    with pytest.raises(BlockingIOError):
        locks.take(path)
    path.unlink()
    second = locks.take(path)
    os.close(first)
    with pytest.raises(BlockingIOError):
        locks.take(path)
    os.close(second)


def test_one_at_a_time(path: Path) -> None:
    """Threads count, each in turn, in a file that goes with each of their locks."""
    counted = path.parent.parent / "counted"
    counted.write_text("0")

    def count() -> None:
        for _ in range(20):
            with locks.held(path, "counts", deadline=30):
                value = int(counted.read_text())
                time.sleep(0.0005)
                counted.write_text(str(value + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted.read_text() == "80"


def test_a_folder_that_goes_with_its_last_lock_is_made_again(path: Path) -> None:
    """`mkdir` finds it there, and it is gone when Python asks whether it is a folder."""
    failed: list[OSError] = []

    def come_and_go() -> None:
        for _ in range(300):
            try:
                with locks.held(path, "works", deadline=30):
                    pass
            except OSError as error:
                failed.append(error)
            paths.remove_empty(path.parent)

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


@pytest.mark.parametrize("kind", ["file", "dangling"])
def test_what_is_no_folder_is_said_at_once(path: Path, kind: str) -> None:
    if kind == "file":
        path.parent.touch()
    else:
        path.parent.symlink_to(path.parent.parent / "nowhere")
    began = time.monotonic()
    with pytest.raises(FileExistsError):
        locks.wait_for(path, "works", deadline=30)
    assert time.monotonic() - began < 5
