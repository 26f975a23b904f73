"""What is kept of failed runs: what is in it, what never is, and how much there can be."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from underlay.cluster import converging, switching
from underlay.cluster.state import run_folder
from underlay.cluster.state.lab import LabState
from underlay.cluster.state.run_folder import MARKER, keep_failure, keep_run, runs
from underlay.errors import Infrastructure
from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.storage import paths

COREOS = Path(__file__).resolve().parents[3] / "labs" / "coreos.yml"


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "home", lambda: tmp_path / "home")
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    state = paths.state("small")
    (state / "nodes" / "core-01").mkdir(parents=True)
    (state / "plan.json").write_text("{}")
    (state / "key").write_text("PRIVATE")
    (state / "nodes" / "core-01" / "seed.iso").write_text("SEED")
    (state / "nodes" / "core-01" / "console.log").write_text("Kernel panic\n")
    return tmp_path


def kept(what: str = "up") -> Path:
    folder = keep_run("small", what, {"failure": {"message": "it rains"}})
    assert folder is not None
    return folder


def test_it_holds_what_tells_why_and_no_secret() -> None:
    folder = kept()
    assert folder.parent == runs()
    assert folder.name.startswith("small-up-")
    assert {path.name for path in folder.iterdir()} == {
        MARKER, "plan.json", "core-01-console.log", "failure.json",
    }  # fmt: skip
    assert json.loads((folder / "failure.json").read_text()) == {"message": "it rains"}
    assert (folder / "core-01-console.log").read_text() == "Kernel panic\n"


def test_a_long_console_is_kept_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder, "LONGEST", 6)
    assert (kept() / "core-01-console.log").read_text() == "panic\n"


def test_number_and_size_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder, "KEPT", 3)
    folders = []
    for number in range(5):
        folders.append(kept(f"up{number}"))
        os.utime(folders[-1] / MARKER, (number, number))
    run_folder.forget_oldest()
    assert {path.name for path in runs().iterdir()} == {folder.name for folder in folders[2:]}
    monkeypatch.setattr(run_folder, "ALL", 1)
    run_folder.forget_oldest()
    assert [path.name for path in runs().iterdir()] == [folders[-1].name]


def test_folders_without_the_marker_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    (runs() / "mine").mkdir(parents=True)
    monkeypatch.setattr(run_folder, "KEPT", 1)
    kept("one"), kept("two")
    assert (runs() / "mine").is_dir()
    assert len(list(runs().iterdir())) == 2


def test_where_nothing_can_be_kept_nothing_is_said(own: Path) -> None:
    (own / "cache").mkdir()
    (own / "cache" / "runs").write_text("in the way")
    assert keep_run("small", "up", {}) is None


def test_a_failure_says_where_it_is_kept() -> None:
    error = Infrastructure("it rains", detail="cats and dogs", hint="underlay doctor")
    keep_failure("small", "up", error)
    (folder,) = runs().iterdir()
    assert error.detail == f"cats and dogs\nkept: {folder}"
    said = json.loads((folder / "failure.json").read_text())
    assert said == {"message": "it rains", "detail": "cats and dogs", "hint": "underlay doctor"}


@pytest.mark.parametrize("verb", ["switch", "converge"])
def test_a_running_lab_that_cannot_change_is_kept_too(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the name that it has by then, with the mark that nodes and record may disagree."""
    state = LabState("coreos", str(COREOS), "uml")
    plan = make_plan(read_lab(COREOS))
    state.write(plan)
    (state.folder / "key.pub").write_text("ssh-ed25519 PUBLIC")
    asked = []

    def fails(*words: object, **options: object) -> None:
        raise Infrastructure("core-02 is deaf")

    class Rewired:
        def change_segments(self, *words: object) -> None:
            pass

    for module in (switching, converging):
        monkeypatch.setattr(module, "provider", lambda name: Rewired())
    monkeypatch.setattr(switching, "apply", fails)
    monkeypatch.setattr(converging, "_run", fails)
    monkeypatch.setattr("underlay.render.copy_rendered", lambda entry, output: None)
    monkeypatch.setattr("underlay.render.render_all", lambda *words: [tmp_path])
    monkeypatch.setattr(run_folder, "_journals", lambda alive, folder: asked.append(alive.lab))

    def change() -> None:
        if verb == "switch":
            other = dataclasses.replace(plan, lab="other")
            switching.become(state, other, COREOS, tmp_path, lambda line: None)
        else:
            converging._converge(state, plan, lambda line: None, check=False)

    with pytest.raises(Infrastructure, match="core-02 is deaf") as failure:
        change()
    (folder,) = runs().iterdir()
    name = "other" if verb == "switch" else "coreos"
    assert folder.name.startswith(f"{name}-{verb}-")
    assert failure.value.detail == f"kept: {folder}"
    assert asked == [name]
    assert {"failure.json", "plan.json", "lab.json"} <= {path.name for path in folder.iterdir()}
