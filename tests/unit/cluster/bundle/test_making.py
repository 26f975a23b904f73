"""Making a bundle that can't be finished: the file isn't there then, and nothing beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ending import ends, interrupted_once, noted
from underlay import cli
from underlay.cluster.bundle import debian
from underlay.cluster.bundle.contents import Needed
from underlay.cluster.image import build
from underlay.cluster.image.build import Image


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where a bundle is to be written, on a machine like those that can make one."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "target").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")
    monkeypatch.setattr(debian, "system", lambda: ("debian", "13", "amd64"))
    monkeypatch.setattr(debian, "needed", lambda: [Needed("python3", "x")])
    monkeypatch.setattr(build, "ensure", lambda progress: Image("0" * 16, tmp_path))
    return tmp_path / "target" / "a.tar"


def apt_get(target: Path, text: str) -> None:
    program = target.parents[1] / "bin" / "apt-get"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


def test_interrupted_it_leaves_nothing(target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note = target.parents[1] / "pid"
    apt_get(target, f"echo $$ >{note}; exec sleep 600")
    with interrupted_once(note):
        code = cli.main(["bundle", str(target)])
    assert code == 130
    assert ends(noted(note))
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        ("E: Unable to locate package x", 3, "apt-get can't fetch the packages"),
        ("E: You don't have enough free space in /x.", 2, "No space left on device"),
        ("E: Write error - write (28: No space left on device)", 2, "No space left on device"),
    ],
)
def test_what_apt_says_is_shown(
    said: str, code: int, message: str, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apt_get(target, f'echo "{said}" >&2; exit 100')
    target.write_text("before")
    assert cli.main(["bundle", str(target), "--force"]) == code
    err = capsys.readouterr().err
    assert message in err
    assert said in err
    assert (code == 3) or f"cannot write {target}: " in err
    assert target.read_text() == "before"
    assert [path.name for path in target.parent.iterdir()] == ["a.tar"]


def test_a_mirror_that_cannot_be_reached_is_an_error(
    target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Update itself only warns of it, and ends well."""
    apt_get(target, 'echo "W: Failed to fetch x  Could not resolve" >&2')
    assert cli.main(["bundle", str(target)]) == 3
    err = capsys.readouterr().err
    assert "Could not resolve" in err
    assert "hint: a bundle is made where there is network" in err


def test_another_kernel_than_mirrors_have_is_an_error(
    target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "E: Version '6.12um1' for 'user-mode-linux' was not found"
    apt_get(target, f'case "$*" in *update) ;; *) echo "{words}" >&2; exit 100; esac')
    assert cli.main(["bundle", str(target)]) == 3
    assert "install user-mode-linux busybox-static; then" in capsys.readouterr().err
