"""Folders for temporary files: gone with their command, or with the next one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from underlay.storage import temporary

SOURCE = Path(__file__).resolve().parents[3] / "src"
HOLD = """\
import sys
from underlay.storage import temporary
with temporary.folder("held") as folder:
    (folder / "big").touch()
    print(folder, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def holder() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )


def test_nothing_is_left_afterwards(above: Path) -> None:
    with temporary.folder("some") as folder:
        assert folder.parent == above
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(above.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), temporary.folder("some"):
        raise KeyboardInterrupt
    assert list(above.iterdir()) == []


def test_what_a_killed_command_has_left_goes_with_the_next(above: Path) -> None:
    with holder() as process:
        assert process.stdout is not None
        held = Path(process.stdout.readline().strip())
        with temporary.folder("some"):
            assert (held / "big").exists()
        assert list(temporary.left()) == []
        process.kill()
    assert list(temporary.left()) == [held]
    with temporary.folder("some") as folder:
        assert list(above.iterdir()) == [folder]


def test_what_is_not_ours_stays(above: Path) -> None:
    other = above / "underlay-other"
    other.mkdir()
    temporary.sweep()
    assert other.exists()
