"""The verb ``env``: which lab its variables are about where none is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.cli.verbs.env import command
from underlay.cluster.state.lab import LabState
from underlay.errors import BadInput
from underlay.lint import load
from underlay.storage import paths


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(paths.HOME, str(tmp_path))


def up(name: str) -> None:
    file = paths.root() / "labs" / f"{name}.yml"
    LabState(name, str(file), "uml").write(load(file).plan)


def test_without_a_name_it_is_the_lab_that_is_up(capsys: pytest.CaptureFixture[str]) -> None:
    command()
    assert "labs/coreos.yml" in capsys.readouterr().out
    up("flat")
    command()
    said = capsys.readouterr().out
    assert "labs/flat.yml" in said
    assert "labs/flat/vagrant" in said
    # A provider is for a lab that is to be started.
    command(provider="libvirt")
    assert "labs/coreos.yml" in capsys.readouterr().out
    up("intent")
    with pytest.raises(BadInput, match="2 labs are up: flat, intent"):
        command()
    command(lab="intent")
    assert "labs/intent.yml" in capsys.readouterr().out
