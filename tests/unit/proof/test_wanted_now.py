"""Statements of a running lab: those of its file, where that leads to the same lab still."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.state.lab import LabState
from underlay.lint import load
from underlay.proof.lab import wanted_now
from underlay.storage import paths
from underlay.storage.paths import root

if TYPE_CHECKING:
    import pytest

LAB = (root() / "labs" / "intent.yml").read_text(encoding="utf-8")


def test_a_new_statement_needs_no_other_lab(tmp_path: Path) -> None:
    file = tmp_path / "intent.yml"
    file.write_text(LAB)
    started = load(file).plan
    state = LabState("intent", str(file), "uml")
    assert wanted_now(state, started) == started
    file.write_text(f"# One line more.\n{LAB}  - web -> web icmp\n")
    now = wanted_now(state, started)
    assert now.intent[-1].text == "web -> web icmp"
    assert now.intent[0].line == started.intent[0].line + 1
    assert replace(now, intent=()) == replace(started, intent=())
    # Another lab by now: what is measured is the one that was started, and so is what is wanted.
    file.write_text(f"{LAB.replace('count: 2', 'count: 1')}  - web -> web icmp\n")
    assert wanted_now(state, started).intent == started.intent
    file.write_text(f"{LAB}  - webb -> web icmp\n")
    assert wanted_now(state, started).intent == started.intent
    file.unlink()
    assert wanted_now(state, started).intent == started.intent


def test_a_file_that_has_not_changed_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(paths.HOME, str(tmp_path / "home"))
    file = tmp_path / "intent.yml"
    file.write_text(LAB)
    started = load(file).plan
    state = LabState("intent", str(file), "uml")
    state.write(started)
    assert not state.text_is_noted()
    assert wanted_now(state, started) == started
    assert state.text_is_noted()
    file.write_text(f"{LAB}  - web -> web icmp\n")
    assert not state.text_is_noted()
    assert wanted_now(state, started).intent[-1].text == "web -> web icmp"
    # It leads to another plan than the one that was started, so it is read each time.
    assert not state.text_is_noted()
    file.write_text(LAB)
    assert state.text_is_noted()
    # What the nodes are by now is another lab's.
    state.write(replace(started, lab="another"))
    assert not state.text_is_noted()
