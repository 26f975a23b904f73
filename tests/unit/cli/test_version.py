"""`underlay --version`: which versions, from where, and how fast."""

from __future__ import annotations

import json
import os
import re
import subprocess
from importlib.metadata import version as installed_version
from pathlib import Path

import pytest

from underlay import __version__, cli
from underlay.cluster import versions
from underlay.cluster.image import build as image
from underlay.errors import Infrastructure


def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == f"underlay {__version__}"
    assert f"ansible-core {installed_version('ansible-core')}" in lines
    assert [line.split()[0] for line in lines] == [
        "underlay", "Python", "Vagrant", "ansible-core", "User", "nodes'",
    ]  # fmt: skip
    assert err == ""


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["underlay"] == __version__
    assert document["image"] == image.current().key
    assert document["image_built"] is image.current().exists
    assert re.match(r"\d+\.", document["vagrant"])
    assert re.match(r"\d+\.", document["kernel"])


def test_other_options_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version", "--verbose"]) == 2
    assert "--version takes no '--verbose'" in capsys.readouterr().err


def test_what_is_missing_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise Infrastructure("/usr/bin/linux.uml is missing")

    def no_dpkg(*arguments: object, **options: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(image, "current", fail)
    monkeypatch.setattr(subprocess, "Popen", no_dpkg)
    monkeypatch.setattr(versions, "distribution_version", lambda name: "not installed")
    assert cli.main(["--version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:] == [
        "Vagrant unknown",
        "ansible-core not installed",
        "User Mode Linux unknown",
        "nodes' image unknown: /usr/bin/linux.uml is missing (not built)",
    ]


def test_vagrant_is_not_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It would take half a second; on a PATH where it fails, the version is the same."""
    (tmp_path / "vagrant").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "vagrant").chmod(0o755)
    before = versions.versions()
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert versions.versions() == before
