"""The record of `break`: what becomes of it where `break` fails, or dies, at any of its steps."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from underlay.cli.which_lab import refuse_broken
from underlay.cluster.state.lab import LabState
from underlay.errors import BadInput, Infrastructure
from underlay.expect import Prediction
from underlay.faults import Fault, Place, Scene, record
from underlay.faults.step import Step
from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.storage import paths

NODE = "core-01"
PLACE = Place(NODE, "eth1", NODE)


class Marked(Fault):
    """Two files that are there stand for a fault; the second is made by a tool of its own."""

    id = "marked"
    folder: ClassVar[Path]

    def inject(self, scene: Scene, place: Place) -> list[Step]:
        return [
            Step(NODE, '> "$1"', (str(self.folder / "one"),)),
            Step(NODE, 'special-tool "$1"', (str(self.folder / "two"),)),
        ]

    def undo(self, scene: Scene, place: Place) -> list[Step]:
        return [
            Step(NODE, 'special-tool -d "$1"', (str(self.folder / "two"),)),
            Step(NODE, 'rm -f "$1"', (str(self.folder / "one"),)),
        ]


class Killed(BaseException):
    """The end of the process, at the step that raises it."""


class Node:
    """A node whose shell is this machine's; ``dies_at`` is the step, from 1, that is never run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dies_at = 0
        self.steps = 0
        (folder / "bin").mkdir()

    def has_the_tool(self, text: str = '[ "$1" != -d ] || exec rm -f "$2"; : >"$1"') -> None:
        tool = self.folder / "bin" / "special-tool"
        tool.write_text(f"#!/bin/sh\n{text}\n")
        tool.chmod(0o755)

    def lost_the_tool(self) -> None:
        (self.folder / "bin" / "special-tool").unlink()

    def marks(self) -> list[str]:
        return [name for name in ("one", "two") if (self.folder / name).exists()]

    def run_in(
        self, state: LabState, target: str, arguments: list[str], *, deadline: float
    ) -> subprocess.CompletedProcess[str]:
        self.steps += 1
        if self.steps == self.dies_at:
            raise Killed
        environment = {"PATH": f"{self.folder}/bin:/usr/bin:/bin"}
        return subprocess.run(
            arguments, env=environment, capture_output=True, text=True, timeout=deadline
        )


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    monkeypatch.setenv(paths.HOME, str(tmp_path / "home"))
    node = Node(tmp_path)
    monkeypatch.setattr(record, "run_in", node.run_in)
    monkeypatch.setattr(Marked, "folder", tmp_path, raising=False)
    return node


@pytest.fixture
def state(node: Node) -> LabState:
    file = paths.root() / "labs" / "coreos.yml"
    state = LabState("coreos", str(file), "uml")
    state.write(make_plan(read_lab(file)))
    return state


def inject(state: LabState, place: Place = PLACE) -> record.Broken:
    return record.inject(state, Scene(Prediction(state.plan())), Marked(), place)


def written(state: LabState) -> list[dict[str, Any]]:
    """Return what is recorded, as it stands in the file."""
    file = state.folder / "broken.json"
    rows: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []
    return rows


def test_what_is_broken_is_mended(node: Node, state: LabState) -> None:
    node.has_the_tool()
    assert inject(state).whole
    assert node.marks() == ["one", "two"]
    assert [row["whole"] for row in written(state)] == [True]
    assert [broken.fault for broken in record.mend(state)] == ["marked"]
    assert node.marks() == written(state) == []


def test_what_is_broken_already_is_not_broken_again(node: Node, state: LabState) -> None:
    node.has_the_tool()
    inject(state)
    with pytest.raises(BadInput, match=f"is at {PLACE} already"):
        inject(state)
    assert len(written(state)) == 1
    record.mend(state)
    assert inject(state).whole


def test_who_mended_it_by_hand_is_told_what_is_recorded_and_may_mend(
    node: Node, state: LabState
) -> None:
    node.has_the_tool()
    done = inject(state)
    for mark in node.marks():
        (node.folder / mark).unlink()
    with pytest.raises(BadInput) as refused:
        refuse_broken(state)
    assert f"{done.fault} at {done.where}" in refused.value.message
    assert "by hand already, that does no harm" in refused.value.hint
    record.mend(state)
    refuse_broken(state)


@pytest.mark.parametrize(("dies_at", "marks"), [(1, []), (2, ["one"])])
@pytest.mark.parametrize("tool", [True, False], ids=("tool", "no tool"))
def test_a_crash_after_the_record_is_mended(
    node: Node, state: LabState, dies_at: int, marks: list[str], tool: bool
) -> None:
    """Between the record and the injection, and in the midst of that: with its tool or without."""
    if tool:
        node.has_the_tool()
    node.dies_at = dies_at
    with pytest.raises(Killed):
        inject(state)
    assert node.marks() == marks
    assert [row["whole"] for row in written(state)] == [False]
    assert [broken.fault for broken in record.mend(state)] == ["marked"]
    assert node.marks() == written(state) == []


def test_a_crash_before_the_last_word_is_mended(
    node: Node, state: LabState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is injected, but the record doesn't say so yet."""
    node.has_the_tool()
    write = record._write

    def dying(state: LabState, broken: list[record.Broken]) -> None:
        if broken[-1].whole:
            raise Killed
        write(state, broken)

    monkeypatch.setattr(record, "_write", dying)
    with pytest.raises(Killed):
        inject(state)
    assert node.marks() == ["one", "two"]
    monkeypatch.undo()
    monkeypatch.setattr(record, "run_in", node.run_in)
    monkeypatch.setenv(paths.HOME, str(node.folder / "home"))
    assert [broken.fault for broken in record.mend(state)] == ["marked"]
    assert node.marks() == written(state) == []


def test_a_crash_in_mend_is_mended(node: Node, state: LabState) -> None:
    node.has_the_tool()
    inject(state)
    node.dies_at = node.steps + 2
    with pytest.raises(Killed):
        record.mend(state)
    assert node.marks() == ["one"]
    assert [row["whole"] for row in written(state)] == [True]
    record.mend(state)
    assert node.marks() == written(state) == []


def test_a_break_without_its_tool_leaves_nothing(node: Node, state: LabState) -> None:
    """What it has done is undone, nothing is recorded, and what was broken before stays so."""
    node.has_the_tool()
    inject(state)
    before = written(state)
    node.lost_the_tool()
    with pytest.raises(Infrastructure, match="exit code 127, so nothing was broken") as failure:
        inject(state, replace(PLACE, device="eth2"))
    assert "special-tool" in failure.value.detail
    assert "mend" not in failure.value.hint
    assert written(state) == before


def test_what_was_broken_waits_for_its_tool(node: Node, state: LabState) -> None:
    """Of a fault that is there, nothing is called mended that isn't."""
    node.has_the_tool()
    inject(state)
    node.lost_the_tool()
    with pytest.raises(Infrastructure, match="exit code 127"):
        record.mend(state)
    assert [row["whole"] for row in written(state)] == [True]
    node.has_the_tool()
    record.mend(state)
    assert node.marks() == written(state) == []


def test_a_failed_break_that_cannot_be_undone_stays_recorded(node: Node, state: LabState) -> None:
    node.has_the_tool("echo no such thing >&2; exit 2")
    with pytest.raises(Infrastructure, match="exit code 2") as failure:
        inject(state)
    assert "special-tool" in failure.value.detail
    assert "-d" not in failure.value.detail
    assert "underlay mend" in failure.value.hint
    assert [row["whole"] for row in written(state)] == [False]
    node.has_the_tool()
    record.mend(state)
    assert node.marks() == written(state) == []


def test_a_record_of_an_earlier_version_is_of_a_whole_fault(node: Node, state: LabState) -> None:
    node.has_the_tool()
    inject(state)
    rows = [{key: row[key] for key in row if key != "whole"} for row in written(state)]
    (state.folder / "broken.json").write_text(json.dumps(rows))
    assert [broken.whole for broken in record.recorded(state)] == [True]
