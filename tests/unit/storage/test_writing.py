"""Files are written whole or not at all, whatever gets in between."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from underlay.storage.writing import whole, write_whole

SOURCE = Path(__file__).resolve().parents[3] / "src"
HANG = """\
import sys, time
from pathlib import Path
from underlay.storage.writing import whole
with whole(Path(sys.argv[1])) as fresh:
    fresh.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


@contextmanager
def longest_file(size: int) -> Iterator[None]:
    """Have the kernel refuse to let a file grow beyond ``size``, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("data", ["ä\n", b"\xff\x00", ""])
def test_what_is_written_is_all_that_is_there(tmp_path: Path, data: str | bytes) -> None:
    file = tmp_path / "file"
    file.write_text("something longer that was there before")
    write_whole(file, data)
    assert file.read_bytes() == (data.encode() if isinstance(data, str) else data)
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(("mode", "umask"), [(0o600, 0), (0o666, 0o027), (0o755, 0o022)])
def test_the_mode_is_the_one_asked_for(tmp_path: Path, mode: int, umask: int) -> None:
    file = tmp_path / "file"
    file.touch()
    file.chmod(0o777)
    before = os.umask(umask)
    try:
        write_whole(file, "x", mode=mode)
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == mode & ~umask


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("untouched")
    link = tmp_path / "link"
    link.symlink_to(other)
    write_whole(link, "new")
    assert (link.is_symlink(), link.read_text(), other.read_text()) == (False, "new", "untouched")


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_whole(file, "old")
    with longest_file(4096), pytest.raises(OSError, match="File too large") as caught:
        write_whole(file, "x" * 10000)
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(file), "a message can say which file it is"
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_writer_that_fails_in_between(tmp_path: Path, error: type[BaseException]) -> None:
    def write() -> None:
        with whole(tmp_path / "file") as fresh:
            fresh.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_command_that_is_ended_in_between(tmp_path: Path, sign: signal.Signals) -> None:
    file = tmp_path / "file"
    write_whole(file, "old")
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(
        [sys.executable, "-c", HANG, str(file)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(sign)
    assert file.read_text() == "old"
    write_whole(file, "new")
    assert file.read_text() == "new", "what a killed command has left is in nobody's way"
    assert list(tmp_path.iterdir()) == [file], "and goes with the next"


def test_what_somebody_still_writes_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with whole(file) as fresh:
        fresh.write_text("first")
        write_whole(file, "second")
        assert fresh.read_text() == "first"
    assert file.read_text() == "first"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_of_the_user_s_that_looks_alike_stays(tmp_path: Path) -> None:
    for name in (".file-backup", ".file.underlay"):
        (tmp_path / name).mkdir()
    write_whole(tmp_path / "file", "x")
    assert len(list(tmp_path.iterdir())) == 3


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(folder, "x")
    assert list(tmp_path.rglob("*")) == [folder]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    file = tmp_path / "nonsuch" / "file"
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(file, "x")
    assert caught.value.filename == str(file)


def test_many_writers_at_once(tmp_path: Path) -> None:
    file = tmp_path / "file"
    texts = [str(number) * 100_000 for number in range(8)]
    threads = [threading.Thread(target=write_whole, args=(file, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.read_text() in texts
    assert list(tmp_path.iterdir()) == [file]
