"""The engine's protocol, spoken to a real engine as Vagrant's shim speaks it.

No node runs: what is asked needs none, or ends before it would. VirtualBox is a stub, which
is enough for it to prepare a lab.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from underlay.cluster import ssh
from underlay.cluster.engine import AWAIT
from underlay.cluster.prepare import begin, finish, load_plan
from underlay.cluster.ssh import lab_key
from underlay.cluster.state.lab import read_state
from underlay.cluster.state.lock import lock
from underlay.errors import EXIT_BAD_INPUT
from underlay.lint import load
from underlay.storage import paths

SOURCE = Path(__file__).resolve().parents[3] / "src"
STUBS = Path(__file__).with_name("stubs")
LAB = """\
name: boxed
nodes: 2
image: {path: my.box}
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  lannet: {driver: macvlan, segment: lan, subnet: 20.1.1.0/24}
containers:
  - {count: 1, networks: [lannet]}
"""
COMMAND = [sys.executable, "-P", "-m", "underlay.cluster.engine"]
DEADLINE = 60


class Engine:
    """An engine that serves; ``ask`` sends a request, ``reply`` returns the next line it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, number: int, *words: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"id": number, "words": words}) + "\n")
        self._process.stdin.flush()

    def reply(self) -> dict[str, Any]:
        assert self._process.stdout
        said: dict[str, Any] = json.loads(self._process.stdout.readline())
        return said

    def end(self) -> tuple[str, str, int]:
        """Close its standard input; return what it says after that, and how it ends."""
        out, complaint = self._process.communicate(timeout=DEADLINE)
        return out, complaint, self._process.returncode


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Yield the variables that `underlay up` hands to Vagrant, with state of the test's own."""
    file = tmp_path / "boxed.yml"
    file.write_text(LAB)
    monkeypatch.setenv("UNDERLAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{STUBS}:{os.environ['PATH']}")
    monkeypatch.setenv("UNDERLAY_LAB", str(file))
    monkeypatch.setenv("UNDERLAY_PROVIDER", "virtualbox")
    yield {**os.environ, "PYTHONPATH": str(SOURCE)}
    ssh.close(paths.state("boxed"))


def serving(environment: dict[str, str]) -> subprocess.Popen[str]:
    """Start an engine that serves."""
    return subprocess.Popen(
        [*COMMAND, "serve"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def engine(environment: dict[str, str]) -> Iterator[Engine]:
    process = serving(environment)
    try:
        yield Engine(process)
    finally:
        process.kill()
        process.communicate()


def once(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], env=environment, capture_output=True, text=True, timeout=DEADLINE
    )


def test_the_plan_says_what_vagrant_is_to_make(engine: Engine, tmp_path: Path) -> None:
    engine.ask(1, "plan")
    reply = engine.reply()
    assert set(reply) == {"id", "answer"}
    answer = reply["answer"]
    assert (reply["id"], answer["provider"], answer["lab"]) == (1, "virtualbox", "boxed")
    assert [machine["name"] for machine in answer["machines"]] == ["core-01", "core-02"]
    assert not (tmp_path / "home").exists()


def test_of_a_lab_that_was_never_started_nothing_is_there(engine: Engine, tmp_path: Path) -> None:
    for number, (action, answer) in enumerate(
        {"state": "not_created", "ssh": None, "halt": None, "destroy": None}.items()
    ):
        engine.ask(number, action, "core-01")
        assert engine.reply() == {"id": number, "answer": answer}
    assert not (tmp_path / "home").exists()
    assert engine.end() == ("", "", 0)


def test_an_error_ends_its_request_and_no_other(engine: Engine, tmp_path: Path) -> None:
    engine.ask(7, "fly", "core-01")
    assert engine.reply() == {"id": 7, "error": "error: the engine has no action 'fly'"}
    with (tmp_path / "boxed.yml").open("a") as file:
        file.write("hosts:\n  server: {on: {lan: {}}}\n")
    engine.ask(8, "up", "core-01")
    expected = [
        "error: the lab boxed has external hosts, which virtualbox can't make",
        "hint: leave --provider out: uml can",
    ]
    assert engine.reply() == {"id": 8, "error": "\n".join(expected)}
    engine.ask(9, "state", "core-01")
    assert engine.reply() == {"id": 9, "answer": "not_created"}


def test_words_that_mean_nothing_are_answered_too(engine: Engine) -> None:
    engine.ask(1)
    reply = engine.reply()
    assert reply["id"] == 1
    assert reply["error"].startswith("error: the engine failed: TypeError(")


def test_progress_of_one_request_comes_while_others_are_answered(
    engine: Engine, tmp_path: Path
) -> None:
    leave_rendered(tmp_path / "boxed.yml")
    with lock("boxed"):
        engine.ask(1, "before", "core-01")
        said = engine.reply()
        assert set(said) == {"id", "say"}
        assert said["id"] == 1
        assert "is at work on the lab boxed" in said["say"]
        engine.ask(2, "fly")
        assert engine.reply()["id"] == 2
    assert engine.reply() == {"id": 1, "answer": None}
    state = read_state("boxed")
    assert state is not None
    assert (state.folder / "nodes" / "core-01" / "seed.iso").is_file()
    engine.ask(3, "state", "core-01")
    assert "this is a stub of VBoxManage" in engine.reply()["error"]


def test_a_node_waits_for_the_command_that_makes_its_lab_ready(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """And the engine makes nothing then, however long that takes: two would be at it."""
    leave_rendered(tmp_path / "boxed.yml")
    engine = Engine(serving({**environment, AWAIT: "1"}))
    try:
        engine.ask(1, "before", "core-01")
        engine.ask(2, "fly")
        assert engine.reply()["id"] == 2
        assert read_state("boxed") is None
        state, _ = begin(load(tmp_path / "boxed.yml"), "virtualbox", lambda _: None)
        engine.ask(3, "fly")
        assert engine.reply()["id"] == 3
        assert not (state.folder / "nodes").exists()
        finish(state, lambda _: None)
        assert engine.reply() == {"id": 1, "answer": None}
        assert (state.folder / "nodes" / "core-01" / "seed.iso").is_file()
    finally:
        engine.end()


def leave_rendered(file: Path) -> None:
    """Leave the nodes' files as Ansible would have rendered them, for the lab's key."""
    plan = load_plan(file)
    lab_key(plan.lab)
    for node in plan.nodes:
        files = paths.state(plan.lab) / "files" / node.name
        files.mkdir(parents=True)
        for name in ("user-data", "meta-data", "network-config"):
            (files / name).touch()


def test_a_single_action_prints_its_answer(environment: dict[str, str]) -> None:
    done = once(environment, "state", "core-02")
    assert (done.stdout, done.stderr, done.returncode) == ('"not_created"\n', "", 0)
    nothing = once(environment, "ssh", "core-02")
    assert (nothing.stdout, nothing.returncode) == ("", 0)


def test_a_single_action_that_fails_says_so_as_text(environment: dict[str, str]) -> None:
    done = once(environment, "fly", "core-02")
    expected = ("", "error: the engine has no action 'fly'\n", EXIT_BAD_INPUT)
    assert (done.stdout, done.stderr, done.returncode) == expected
