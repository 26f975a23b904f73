"""A lab's life as far as it needs no nodes: what ``up`` and ``down`` leave, and what they end.

State folders, records, locks and lint are the real ones. Made up are the provider, whose nodes
are files, and Vagrant, which would need real nodes: it asks the provider as the engine does.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from underlay.cluster import lifecycle, prepare
from underlay.cluster.process import refuse
from underlay.cluster.providers import NAMES
from underlay.cluster.providers.base import Provider
from underlay.cluster.ssh import lab_key
from underlay.cluster.state.lab import LabState, read_state
from underlay.errors import BadInput, Infrastructure
from underlay.lint import load
from underlay.plan import Plan
from underlay.storage import paths

LAB = """\
name: paper
nodes: 2
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  lannet: {driver: macvlan, segment: lan, subnet: 20.1.1.0/24}
containers:
  - {count: 1, networks: [lannet]}
"""
NODES = ("core-01", "core-02")


class Paper(Provider):
    """Its nodes are files in the lab's state folder; ``breaks`` is raised for the second node."""

    name = "uml"
    title = "paper"

    def __init__(self) -> None:
        self.started: list[str] = []
        self.destroyed: list[Path] = []
        self.breaks: BaseException | None = None
        self.answers = True
        # Whether the lab was ready for nodes whenever Vagrant was called.
        self.stood_before: list[bool] = []
        # What the nodes say keeps them from being ready.
        self.says: list[str] = []

    def verify(self, plan: Plan, state: Path) -> None:
        refuse(self.says)

    def prepare(self, plan: Plan, state: Path, progress: Callable[[str], None]) -> None:
        (state / "nodes").mkdir(exist_ok=True)

    def stands(self, state: Path) -> bool:
        return (state / "nodes").is_dir()

    def machine(self, plan: Plan, node: str, state: Path) -> dict[str, Any]:
        return {"name": node}

    def start(self, plan: Plan, node: str, state: Path) -> None:
        if self.breaks and node == NODES[1]:
            raise self.breaks
        (state / "nodes" / node).touch()
        self.started.append(node)

    def stop(self, plan: Plan, node: str, state: Path) -> None:
        (state / "nodes" / node).unlink(missing_ok=True)

    def states(self, plan: Plan, state: Path) -> dict[str, str]:
        if not self.answers:
            raise Infrastructure("the sandbox does not answer")
        there = {node.name: (state / "nodes" / node.name).exists() for node in plan.nodes}
        return {node: "running" if runs else "not_created" for node, runs in there.items()}

    def ssh(self, plan: Plan, node: str, state: Path) -> dict[str, object] | None:
        return None

    def destroy(self, state: Path) -> None:
        self.destroyed.append(state)
        for node in NODES:
            (state / "nodes" / node).unlink(missing_ok=True)


class PaperVagrant:
    """Starts and stops every node by the provider, unless it ``does_nothing`` and says no word.

    ``fails`` is what ``vagrant destroy`` says.
    """

    fails = ""
    does_nothing = False

    def __init__(self, by: Paper, state: LabState) -> None:
        self._by = by
        self._state = state

    def start(self, provider: str, meanwhile: Callable[[], None] | None = None) -> None:
        self._by.stood_before.append(self._by.stands(self._state.folder))
        if meanwhile is not None:
            meanwhile()
        for node in () if self.does_nothing else NODES:
            if not (self._state.folder / "nodes" / node).exists():
                self._by.start(self._state.plan(), node, self._state.folder)

    def end(self) -> None:
        if self.fails:
            raise Infrastructure("vagrant failed with exit code 1", detail=self.fails)
        for node in () if self.does_nothing else NODES:
            self._by.stop(self._state.plan(), node, self._state.folder)


def refused(*_: object) -> None:
    raise Infrastructure("vagrant was ended by SIGKILL")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNDERLAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "home"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "paper.yml"
    file.write_text(LAB)
    return file


@pytest.fixture
def by(monkeypatch: pytest.MonkeyPatch) -> Paper:
    by = Paper()
    for module in (lifecycle, prepare):
        monkeypatch.setattr(module, "provider", lambda name: by)
    monkeypatch.setattr(lifecycle, "Vagrant", lambda state, force=False: PaperVagrant(by, state))
    monkeypatch.setattr(lifecycle, "verify", by.verify)
    return by


def up(file: Path) -> LabState:
    """Start the lab, whose files are rendered already: Ansible would take seconds for that."""
    (paths.state("paper") / "files").mkdir(parents=True, exist_ok=True)
    # Without the key that they were rendered for they would count as somebody else's.
    lab_key("paper")
    state, _ = lifecycle.up(load(file), "uml", lambda line: None)
    return state


def test_a_second_up_changes_nothing(file: Path, by: Paper) -> None:
    first = up(file)
    assert by.started == [*NODES]
    assert up(file) == first == read_state("paper")
    assert by.started == [*NODES]


def test_up_starts_what_does_not_run_any_more(file: Path, by: Paper) -> None:
    state = up(file)
    by.stop(state.plan(), NODES[0], state.folder)
    up(file)
    assert by.started == [*NODES, NODES[0]]


def test_an_up_that_fails_leaves_nothing_but_the_reason(file: Path, by: Paper, home: Path) -> None:
    by.breaks = Infrastructure("core-02: its set-up did not finish")
    with pytest.raises(Infrastructure, match="its set-up did not finish") as failure:
        up(file)
    assert by.destroyed == [paths.state("paper")]
    assert not home.exists()
    kept = Path(failure.value.detail.removeprefix("kept: "))
    assert kept.is_relative_to(paths.cache())
    assert {path.name for path in kept.iterdir()} >= {"plan.json", "lab.json", "failure.json"}


@pytest.mark.parametrize("beside", [True, False])
def test_no_node_runs_but_by_vagrant(
    beside: bool, file: Path, by: Paper, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Paper, "prepares_beside_vagrant", beside)
    monkeypatch.setattr(PaperVagrant, "does_nothing", True)
    words = r"vagrant ended without an error, but has not started core-01, core-02$"
    with pytest.raises(Infrastructure, match=words) as failure:
        up(file)
    assert "the program called was " in failure.value.detail
    assert failure.value.hint == "underlay doctor"
    assert by.started == []
    assert not home.exists()


@pytest.mark.parametrize("beside", [True, False])
def test_the_lab_is_made_ready_while_vagrant_starts_where_that_may_be(
    beside: bool, file: Path, by: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Paper, "prepares_beside_vagrant", beside)
    up(file)
    assert by.stood_before == [not beside]
    assert by.started == [*NODES]


def test_up_names_the_node_that_vagrant_left_out(
    file: Path, by: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = up(file)
    by.stop(state.plan(), NODES[1], state.folder)
    monkeypatch.setattr(PaperVagrant, "does_nothing", True)
    with pytest.raises(Infrastructure, match=r"has not started core-02$"):
        up(file)
    monkeypatch.setattr(PaperVagrant, "start", refused)
    with pytest.raises(Infrastructure, match="vagrant was ended by SIGKILL") as failure:
        up(file)
    assert failure.value.hint == f"underlay up {file}  starts what is missing"
    assert by.states(state.plan(), state.folder)[NODES[0]] == "running"


def test_up_believes_the_nodes_and_no_exit_code(file: Path, by: Paper, home: Path) -> None:
    by.says = ["core-02: lannet-2a: its process has ended", "core-02: more"]
    words = r"core-02: lannet-2a: its process has ended \(and 1 more\)$"
    with pytest.raises(Infrastructure, match=words) as failure:
        up(file)
    assert "core-02: more" in failure.value.detail
    assert not home.exists()


def test_up_asks_nodes_that_run_already(file: Path, by: Paper) -> None:
    up(file)
    by.says = ["core-02: docker: refused"]
    with pytest.raises(Infrastructure, match="core-02: docker: refused") as failure:
        up(file)
    assert failure.value.hint.startswith("underlay converge --lab paper")
    assert by.destroyed == []


def test_up_waits_for_a_node_that_boots_since_an_earlier_one(
    file: Path, by: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    up(file)
    by.says = ["core-02: did not say whether it is ready"]
    waited: list[tuple[str, float]] = []

    def prove(config: Path, node: str, seconds: float) -> None:
        waited.append((node, seconds))
        by.says = []

    monkeypatch.setattr(lifecycle, "prove", prove)
    with pytest.raises(Infrastructure, match="did not say"):
        up(file)
    assert waited == []
    left = {NODES[0]: 0.0, NODES[1]: 70.0}
    monkeypatch.setattr(by, "boots_for", lambda plan, node, state: left[node], raising=False)
    up(file)
    assert waited == [(NODES[1], 70.0)]


def test_an_up_that_is_interrupted_leaves_nothing(file: Path, by: Paper, home: Path) -> None:
    by.breaks = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        up(file)
    assert by.destroyed == [paths.state("paper")]
    assert not home.exists()


def test_a_full_disk_is_said_with_the_folder_that_it_holds(file: Path, by: Paper) -> None:
    by.breaks = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left") as failure:
        up(file)
    assert failure.value.filename == str(paths.state("paper"))


def test_an_up_that_fails_leaves_a_lab_that_was_there(file: Path, by: Paper) -> None:
    state = up(file)
    by.stop(state.plan(), NODES[1], state.folder)
    by.breaks = Infrastructure("core-02: its kernel panicked")
    with pytest.raises(Infrastructure, match="panicked"):
        up(file)
    assert by.destroyed == []
    assert read_state("paper") == state
    assert by.states(state.plan(), state.folder)[NODES[0]] == "running"


def test_a_lab_that_is_up_is_not_changed_by_its_file(file: Path, by: Paper) -> None:
    state = up(file)
    file.write_text(LAB.replace("count: 1", "count: 2"))
    with pytest.raises(BadInput, match="has changed since it was started") as refused:
        up(file)
    assert refused.value.hint == "underlay down --lab paper"
    assert (by.destroyed, read_state("paper")) == ([], state)


def test_down_leaves_nothing(file: Path, by: Paper, home: Path) -> None:
    up(file)
    said: list[str] = []
    lifecycle.down("paper", said.append)
    assert said == ["ending 2 nodes through Vagrant"]
    assert by.destroyed == [paths.state("paper")]
    assert not home.exists()


def test_down_does_without_a_vagrant_that_fails(
    file: Path, by: Paper, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up(file)
    monkeypatch.setattr(PaperVagrant, "fails", "a stack trace")
    said: list[str] = []
    lifecycle.down("paper", said.append)
    assert said[1:] == ["vagrant destroy failed; the lab was ended without it: a stack trace"]
    assert by.destroyed == [paths.state("paper")]
    assert not home.exists()


def test_down_says_what_vagrant_has_not_ended(
    file: Path, by: Paper, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up(file)
    monkeypatch.setattr(PaperVagrant, "does_nothing", True)
    said: list[str] = []
    lifecycle.down("paper", said.append)
    assert said[1:] == ["vagrant destroy has not ended core-01, core-02; ended without it"]
    assert by.destroyed == [paths.state("paper")]
    assert not home.exists()


def test_down_asks_no_vagrant_where_nothing_answers(file: Path, by: Paper, home: Path) -> None:
    up(file)
    by.answers = False
    said: list[str] = []
    lifecycle.down("paper", said.append)
    assert (said, by.destroyed) == ([], [paths.state("paper")])
    assert not home.exists()


@pytest.mark.parametrize("record", [None, "", '{"lab": "another"}'], ids=str)
def test_down_without_a_record_ends_what_any_provider_may_have_started(
    record: str | None, by: Paper, home: Path
) -> None:
    folder = paths.state("paper")
    folder.mkdir(parents=True)
    if record is not None:
        (folder / "lab.json").write_text(record)
    lifecycle.down("paper", lambda line: None)
    assert by.destroyed == [folder] * len(NAMES)
    assert not home.exists()


def test_down_of_a_lab_that_never_was_does_nothing(by: Paper, home: Path) -> None:
    lifecycle.down("paper", lambda line: None)
    assert by.destroyed == []
    assert not home.exists()
