"""What processes of xdist note about their labs, and how long an interrupted run waits for them."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from underlay.pytest_plugin import sharing
from underlay.pytest_plugin.sharing import NOTES


class Config:
    """As much of pytest's as is asked for here; ``said`` is what the other process has told."""

    def __init__(self, notes: Path | None, said: dict[str, str] | None = None) -> None:
        self.stash, self.inipath = pytest.Stash(), None
        if notes is not None:
            self.stash[NOTES] = notes
        if said is not None:
            self.workerinput = said

    def getoption(self, name: str) -> None:
        """No lab is named on the command line."""

    def getini(self, name: str) -> str:
        """Nor in pytest's file."""
        return ""


def worker(notes: Path) -> Any:
    return Config(None, {"underlay_notes": str(notes), "workerid": "gw1"})


def handing_out(notes: Path | None) -> Any:
    return Config(notes)


def test_a_process_notes_its_lab_and_how_a_kept_one_is_reached(tmp_path: Path) -> None:
    with sharing.noted_as_up(worker(tmp_path)) as ending:
        assert [one.name for one in tmp_path.iterdir()] == ["gw1.up"]
        ending()
        assert [one.name for one in tmp_path.iterdir()] == ["gw1.ending"]
    assert list(tmp_path.iterdir()) == []
    sharing.note_kept(worker(tmp_path), ["one", "two"])
    assert sharing.kept_by_workers(handing_out(tmp_path)) == ["[gw1] one", "[gw1] two"]


def test_a_process_on_its_own_notes_nothing(tmp_path: Path) -> None:
    with sharing.noted_as_up(handing_out(None)) as ending:
        ending()
    sharing.note_kept(handing_out(None), ["one"])
    assert sharing.kept_by_workers(handing_out(None)) == []


def test_runs_without_a_lab_share_no_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNDERLAY_LAB", raising=False)

    class Node:
        config = handing_out(None)
        workerinput: dict[str, str] = {}  # noqa: RUF012

    sharing.prepare_worker(Node)
    assert Node.workerinput == {}
    assert NOTES not in Node.config.stash


def test_an_interrupted_run_waits_for_labs_alone(tmp_path: Path) -> None:
    for config in (handing_out(None), handing_out(tmp_path)):
        began = time.monotonic()
        sharing.wait_for_workers(config)
        assert time.monotonic() - began < 1.0


def test_an_interrupted_run_waits_until_the_labs_have_ended(tmp_path: Path) -> None:
    note = tmp_path / "gw0.ending"
    note.touch()
    timer = threading.Timer(0.5, note.unlink)
    timer.start()
    sharing.wait_for_workers(handing_out(tmp_path))
    assert not note.exists()


def test_a_process_that_was_not_told_is_interrupted_and_not_waited_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "UNTOLD", 0.1)
    monkeypatch.setattr(sharing, "PATIENCE", 1.0)
    with subprocess.Popen(["sleep", "60"]) as process:
        (tmp_path / "gw0.up").write_text(str(process.pid))
        sharing.wait_for_workers(handing_out(tmp_path))
        assert process.wait(timeout=10) == -signal.SIGINT
