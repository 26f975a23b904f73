"""Standard streams that a caller has closed, that are full, or that can't print a name."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from underlay.cli import streams

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = f"{sys.executable} -P -m underlay"


def shell(words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment}
    return subprocess.run(
        ["sh", "-c", words], capture_output=True, text=True, timeout=60, env=environment, cwd=ROOT
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("verb", "code"), [("--version", 0), ("lint coreos --json", 0), ("lint nonsuch", 2)]
)
def test_a_closed_stream_is_no_defect(verb: str, code: int, closed: str, tmp_path: Path) -> None:
    done = shell(f"{PROGRAM} {verb} {closed}", UNDERLAY_HOME=str(tmp_path))
    assert done.returncode == code, done.stderr
    assert "defect" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_file_that_may_not_grow_is_said(unbuffered: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = f"ulimit -f 1; {PROGRAM} lint coreos --json >'{out}'"
    done = shell(words, PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 3
    assert done.stderr.startswith("error: File too large: stdout")
    assert "ulimit -f unlimited" in done.stderr


def test_a_full_disk_is_said() -> None:
    done = shell(f"{PROGRAM} lint coreos >/dev/full")
    assert done.returncode == 3
    assert done.stderr.startswith("error: No space left on device: stdout")


@pytest.mark.parametrize(
    ("text", "printed"), [("\udcff", b"\xff"), ("\ud800", b"\\ud800"), ("ä", b"\xc3\xa4")]
)
def test_any_text_can_be_printed(
    text: str, printed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    under = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(under, encoding="utf-8"))
    streams.repair()
    print(text, end="", flush=True)
    assert under.getvalue() == printed
