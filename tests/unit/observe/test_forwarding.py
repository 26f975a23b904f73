"""A container's port on the loopback: what the relay does, and what `forward` refuses."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from documents import problems
from underlay import cli
from underlay.cli.verbs import forward as verb
from underlay.cluster.state.lab import LabState
from underlay.errors import BadInput, Infrastructure
from underlay.lint import load
from underlay.observe import forwarding
from underlay.observe.commands import pack
from underlay.observe.on_node import relaying
from underlay.storage.paths import root

COREOS = load(root() / "labs" / "coreos.yml").plan
STATE = LabState("coreos", "labs/coreos.yml", "uml")
PATIENCE = 20.0


class Stdin:
    """Standard input as a pipe that the test closes."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()

    def fileno(self) -> int:
        return self.reading

    def close(self) -> None:
        os.close(self.writing)


class Said:
    """What the relay writes, as it comes."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._came = threading.Condition()

    def say(self, row: dict[str, Any]) -> None:
        with self._came:
            self.rows.append(json.loads(json.dumps(row)))
            self._came.notify_all()

    def wait(self, enough: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        with self._came:
            assert self._came.wait_for(lambda: enough(self.rows), PATIENCE), self.rows
            return list(self.rows)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    """Have the relay work in this very network namespace."""
    said = Said()
    monkeypatch.setattr(relaying, "say", said.say)
    monkeypatch.setattr(relaying, "opened", lambda *_: -1)
    monkeypatch.setattr(relaying, "enter", lambda _: None)
    monkeypatch.delenv("SUDO_UID", raising=False)
    return said


@contextmanager
def relay(path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run the relay within the block; its socket must be gone after it."""
    stdin = Stdin()
    monkeypatch.setattr(relaying.sys, "stdin", stdin)
    task = {"name": "a", "kind": "cni", "addresses": ["127.0.0.1"], "port": port, "path": str(path)}
    thread = threading.Thread(target=relaying.main, args=(pack(task),), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stdin.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        assert not path.exists()


@contextmanager
def echoing() -> Iterator[int]:
    """Answer each connection with what it sent, once it has sent all."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer(taken: socket.socket) -> None:
            with taken:
                taken.sendall(b"".join(iter(lambda: taken.recv(65536), b"")))

        def serve() -> None:
            while True:
                try:
                    taken, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(taken,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def ask(path: Path, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(PATIENCE)
        asking.connect(str(path))
        threading.Thread(
            target=lambda: (asking.sendall(data), asking.shutdown(socket.SHUT_WR)), daemon=True
        ).start()
        return b"".join(iter(lambda: asking.recv(65536), b""))


def test_all_bytes_pass_both_ways_whoever_else_asks(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "socket"
    large = os.urandom(1 << 20)
    with echoing() as port, relay(path, port, monkeypatch):
        rows = said.wait(bool)
        assert rows[0]["ready"] is True
        assert port in rows[0]["listening"]
        assert path.stat().st_mode & 0o777 == 0o600
        # One that says nothing keeps nobody waiting.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as idle:
            idle.connect(str(path))
            assert ask(path, large) == large
            assert ask(path, b"") == b""
        said.wait(lambda rows: sum("closed" in row for row in rows) == 3)


def test_a_port_that_nobody_listens_at_is_said_with_those_that_are(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        silent = held.getsockname()[1]
    with echoing() as port, relay(tmp_path / "socket", silent, monkeypatch):
        rows = said.wait(bool)
    assert rows[0]["ready"] is False
    assert port in rows[0]["listening"]
    with pytest.raises(Infrastructure) as told:
        forwarding._refuse_silent({"ready": False, "listening": [80]}, "coreos", "lannet-1a", 81)
    assert told.value.message == "nobody listens at TCP port 81 of lannet-1a"
    assert "somebody listens at 80" in told.value.hint


def test_who_stops_listening_is_a_connection_that_fails(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "socket"
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        running = relay(path, port, monkeypatch)
        running.__enter__()
        said.wait(bool)
    assert ask(path, b"") == b""
    rows = said.wait(lambda rows: len(rows) > 1)
    assert "refused" in rows[1]["why"]
    running.__exit__(None, None, None)


def test_a_service_of_the_loopback_alone_is_asked_there() -> None:
    own = ["10.1.1.2", "fd00::2"]
    assert relaying.targets(["127.0.0.1"], own) == ["127.0.0.1"]
    assert relaying.targets(["0.0.0.0"], own)[:2] == own
    assert relaying.targets([], own) == []


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("lannet-1", "the lab coreos has no container 'lannet-1'", "lannet-1"),
        ("core-01", "core-01 is a node, not a container", "lannet-1a"),
    ],
)
def test_another_name_is_refused_with_the_nearest(name: str, message: str, hint: str) -> None:
    with pytest.raises(BadInput) as told:
        forwarding.container_named(COREOS, name)
    assert told.value.message == message
    assert hint in told.value.hint


def test_a_port_in_use_is_refused_and_another_one_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        with pytest.raises(BadInput) as told:
            forwarding.local_port(port, 80)
        assert (
            told.value.message == f"port {port} of 127.0.0.1 can't be used: address already in use"
        )
        assert forwarding.local_port(None, port) != port
    assert forwarding.local_port(None, 80) >= forwarding.FIRST_OF_USERS


@pytest.mark.parametrize("what", ["lannet-1a", "lannet-1a:http", "lannet-1a:0", ":80", "a:70000"])
def test_what_is_no_container_with_a_port_is_refused(
    what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["forward", what]) == 2
    assert "expected CONTAINER:PORT" in capsys.readouterr().err


class Stopped:
    """A forwarding that ends as its user would have it."""

    def events(self) -> Iterator[dict[str, Any]]:
        yield {"opened": 1}
        yield {"closed": 1}
        yield {"failed": 2, "why": "10.1.1.2 port 80: Connection refused"}
        raise KeyboardInterrupt


def test_its_document_and_what_it_says_of_connections(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def stand_in(*_: object) -> Iterator[Stopped]:
        yield Stopped()

    monkeypatch.setattr(forwarding, "forwarded", stand_in)
    monkeypatch.setattr(verb, "running_state", lambda _: STATE)
    monkeypatch.setattr(LabState, "plan", lambda _: COREOS)
    noted: list[str] = []
    monkeypatch.setattr(verb.err, "print", lambda text, **_: noted.append(str(text)))
    assert cli.main(["forward", "lannet-1a:80", "--json"]) == 130
    document = json.loads(capsys.readouterr().out)
    assert not problems("forward", document)
    assert document["address"] == f"127.0.0.1:{document['local_port']}"
    assert "2 connections, 1 failed" in noted
    assert any("Connection refused" in line for line in noted)


def test_the_relays_last_word_is_told_where_the_way_is_gone() -> None:
    process = forwarding.piped(["sh", "-c", "echo 'bind: Address already in use' >&2; exit 255"])
    found = forwarding.Forwarding(process, "core-01")
    began = time.monotonic()
    with pytest.raises(Infrastructure) as told:
        found.first()
    process.wait()
    assert told.value.detail == "bind: Address already in use"
    assert time.monotonic() - began < PATIENCE
