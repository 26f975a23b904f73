"""Waiting for a machine's ssh server, played by a socket of the test's own."""

from __future__ import annotations

import dataclasses
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from underlay.cluster import ready, ssh
from underlay.cluster.providers.uml import node as uml_node
from underlay.cluster.providers.uml.sandbox import Sandbox
from underlay.errors import Infrastructure
from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.plan.memory import need
from underlay.storage.paths import root

HERE = "127.0.0.1"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.create_server((HERE, 0)) as server:
        monkeypatch.setattr(ready, "SSH_PORT", server.getsockname()[1])
        monkeypatch.setattr(ready, "REACH_DEADLINE", 0.1)
        yield server


def test_a_server_that_speaks_is_there(server: socket.socket) -> None:
    def greet() -> None:
        connection, _ = server.accept()
        with connection:
            connection.send(b"SSH-2.0-test\r\n")

    greeting = threading.Thread(target=greet)
    greeting.start()
    assert ready.wait_for_ssh(HERE, time.monotonic() + 30)
    greeting.join()


def test_an_open_port_alone_is_no_server(server: socket.socket) -> None:
    tries: list[float] = []
    limit = time.monotonic() + 0.5
    assert not ready.wait_for_ssh(HERE, limit, lambda: tries.append(time.monotonic()))
    assert tries
    assert tries[-1] > limit


def test_whoever_knows_that_it_is_in_vain_ends_it(server: socket.socket) -> None:
    def ended() -> None:
        raise Infrastructure("core-01: its machine ended while booting (poweroff)")

    with pytest.raises(Infrastructure, match="its machine ended"):
        ready.wait_for_ssh(HERE, time.monotonic() + 30, ended)


PRINTED = """\
Out of memory: Killed process 782 (cloud-init) total-vm:53808kB, anon-rss:31588kB, UID:0
Out of memory: Killed process 2384 (exe) total-vm:1840344kB, anon-rss:18312kB, UID:0
Out of memory: Killed process 2399 (exe) total-vm:1840344kB, anon-rss:18312kB, UID:0
"""


def test_what_the_kernel_killed_for_its_memory_comes_before_what_followed() -> None:
    plan = make_plan(read_lab(root() / "labs" / "flat.yml"))
    late = Infrastructure("core-01: its set-up did not finish within the deadline", detail="words")
    node = plan.nodes[0]
    assert ready.out_of_memory(late, plan, node, "Out of memory: Killed\n") is late
    needed, enough = need(plan, node).mib, need(plan, node).enough
    counted = f"nodes: {{memory: {enough}}} is what lint counts for its containers"
    short = dataclasses.replace(node, memory=needed - 1)
    assert ready.out_of_memory(late, plan, short, "").hint == counted
    other = Infrastructure("core-01: docker: no such network")
    assert ready.out_of_memory(other, plan, short, "") is other
    for memory, cure in (
        (needed - 1, counted),
        (enough, f"nodes: {{memory: N}} with N above {enough}"),
    ):
        own = dataclasses.replace(node, memory=memory)
        error = ready.out_of_memory(late, plan, own, PRINTED)
        assert error.message == "core-01: out of memory: its kernel killed cloud-init, exe"
        assert error.detail == f"{late.message}\nwords"
        assert error.hint == cure


def test_a_node_without_memory_is_waited_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    console, now = tmp_path / "console.log", [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    starving = ready.Starving("core-01", console)
    starving()  # nothing is printed yet
    console.write_text("Out of memory: it is said that there is none\n")
    now[0] += 2 * ready.MERCY
    starving()
    console.write_text(PRINTED)
    starving()
    now[0] += ready.MERCY
    starving()
    now[0] += 1
    with pytest.raises(Infrastructure, match="core-01: its set-up had not finished 45 s after"):
        starving()


def test_a_node_is_not_waited_for_once_its_sandbox_has_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Who interrupts a start ends the sandbox; every ssh fails from then on."""
    plan = make_plan(read_lab(root() / "labs" / "lean.yml"))
    tries: list[object] = []

    def lost(*words: object, **_: object) -> subprocess.CompletedProcess[str]:
        tries.append(words)
        return subprocess.CompletedProcess([], ready.LOST, "", "")

    monkeypatch.setattr(uml_node, "boot", lambda *_, **__: None)
    monkeypatch.setattr(uml_node, "_wait_for_ssh", lambda *_: None)
    monkeypatch.setattr(ready, "run", lost)
    gone = Sandbox("another boot", 1, 1, 1, 1)
    with pytest.raises(Infrastructure, match="core-01: the lab's sandbox has ended"):
        uml_node.start(plan, plan.nodes[0], gone, tmp_path / "disk", tmp_path, 600.0)
    assert len(tries) == 1
    ssh.close(tmp_path)
