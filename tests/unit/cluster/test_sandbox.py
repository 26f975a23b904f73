"""A lab's sandbox: it ends with whoever makes it, and has room and time for many nodes."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from barrier import Point
from underlay.cluster.prepare import load_plan
from underlay.cluster.providers.uml import holder, sandbox
from underlay.cluster.providers.uml.holder import Handler, Server
from underlay.cluster.providers.uml.provider import NODE_DEADLINE, patience
from underlay.cluster.providers.uml.sandbox import REQUEST_DEADLINE
from underlay.cluster.ready import EACH
from underlay.errors import Infrastructure
from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.storage import paths

SLOW = [(["sleep", "300"], "")]


def holders() -> list[str]:
    """Return the command lines of the sandboxes that this process has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                words = (entry / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if parent == os.getpid() and "unshare" in words:
                found.append(" ".join(words))
    return found


def test_it_ends_with_its_starter_while_the_switch_is_made() -> None:
    made = subprocess.Popen(
        [*sandbox.UNSHARE, sys.executable, "-I", "-S", str(holder.__file__)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert made.stdin
    made.stdin.write(json.dumps({"tmpfs_mib": 1, "commands": SLOW}).encode() + b"\n")
    made.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        made.wait(1)
    out, _ = made.communicate(timeout=30)
    assert (made.returncode, out) == (1, b"")


def test_an_interrupt_while_the_switch_is_made_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    making = Point(tmp_path / "making")
    # In a root of its own it couldn't come to the point, which is a file of this host.
    holding = [sys.executable, "-I", "-S", str(holder.__file__)]
    monkeypatch.setattr(sandbox, "_first_process", lambda *_: holding)
    monkeypatch.setattr(sandbox, "setup", lambda _: [(["sh", "-c", making.script], "")])
    plan = load_plan(paths.root() / "labs" / "coreos.yml")
    main = threading.main_thread().ident or 0

    def interrupt() -> None:
        making.wait(lambda: True)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        sandbox.start(plan, tmp_path)
    thread.join()
    assert holders() == []
    assert not (tmp_path / "sandbox.json").exists()


def test_an_interrupt_while_its_deadline_is_set_leaves_no_thread_that_waits_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A command's end waits for its threads: it once came 90 seconds after Ctrl-C."""
    before = threading.enumerate()
    start = threading.Timer.start

    def start_interrupted(timer: threading.Timer) -> None:
        start(timer)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(threading.Timer, "start", start_interrupted)
    with pytest.raises(KeyboardInterrupt):
        sandbox.start(load_plan(paths.root() / "labs" / "coreos.yml"), tmp_path)
    left = [each for each in threading.enumerate() if each not in before]
    assert [each for each in left if not each.daemon] == []
    for each in left:
        each.join(timeout=30)
        assert not each.is_alive()
    assert holders() == []


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exec sleep 300", ""),
        ("echo making it >&2; printf half; sleep 300", "half\nmaking it"),
        ("sleep 300 & wait", ""),
    ],
    ids=("nothing", "half a word", "nothing, by its child"),
)
def test_a_sandbox_that_never_stands_is_ended_and_its_words_are_shown(
    script: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = ("sh", "-c", script, "unshare")
    monkeypatch.setattr(sandbox, "UNSHARE", words)
    monkeypatch.setattr(sandbox, "START_DEADLINE", 1.0)
    plan = load_plan(paths.root() / "labs" / "coreos.yml")
    with pytest.raises(Infrastructure, match="did not stand within 1 s") as caught:
        sandbox.start(plan, tmp_path)
    assert caught.value.detail == said
    assert holders() == []
    assert not (tmp_path / "sandbox.json").exists()


def test_a_sandbox_that_reads_nothing_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """More is written to it than a pipe holds."""
    monkeypatch.setattr(sandbox, "UNSHARE", ("sh", "-c", "sleep 300; exit", "unshare"))
    monkeypatch.setattr(sandbox, "setup", lambda _: [(["true"], "x" * (1 << 20))])
    monkeypatch.setattr(sandbox, "START_DEADLINE", 1.0)
    plan = load_plan(paths.root() / "labs" / "coreos.yml")
    with pytest.raises(Infrastructure, match="did not stand within 1 s"):
        sandbox.start(plan, tmp_path)
    assert holders() == []


def test_a_switch_that_cannot_be_made_says_why_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sandbox, "setup", lambda _: [(["ip", "link", "show", "nobody"], "")])
    plan = load_plan(paths.root() / "labs" / "coreos.yml")
    with pytest.raises(Infrastructure) as caught:
        sandbox.start(plan, tmp_path)
    assert "nobody" in caught.value.detail
    assert holders() == []


def test_forty_nodes_call_before_anybody_is_answered(tmp_path: Path) -> None:
    path = str(tmp_path / "holder")
    with ExitStack() as stack:
        stack.enter_context(Server(path, Handler))  # listens; nothing is served yet
        for _ in range(40):
            caller = stack.enter_context(socket.socket(socket.AF_UNIX))
            caller.settimeout(REQUEST_DEADLINE)
            caller.connect(path)


@pytest.mark.parametrize(
    ("nodes", "cores", "times"), [(3, 2, 1), (8, 2, 1), (20, 2, 2.5), (20, 16, 1), (6, 1, 1.5)]
)
def test_many_on_a_processor_get_more(
    monkeypatch: pytest.MonkeyPatch, nodes: int, cores: int, times: float
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    plan = make_plan(read_lab(paths.root() / "labs" / "flat.yml"))
    many = dataclasses.replace(plan, nodes=plan.nodes[:1] * nodes, containers=())
    assert patience(many) == NODE_DEADLINE * times


def test_many_containers_get_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(2)))
    plan = make_plan(read_lab(paths.root() / "labs" / "flat.yml"))
    one = dataclasses.replace(plan.containers[0], runtime="docker")
    full = dataclasses.replace(plan, containers=(one,) * 62)
    assert patience(full) == NODE_DEADLINE + 62 * EACH["docker"]
    # The nodes start theirs side by side.
    spread = [dataclasses.replace(one, node=node.name) for node in plan.nodes for _ in range(4)]
    assert patience(dataclasses.replace(plan, containers=tuple(spread))) == (
        NODE_DEADLINE + 4 * EACH["docker"]
    )


# It ends its first thread, as pthread_exit does, and lives on until its input ends.
FIRST_THREAD_ENDS = """
import ctypes, sys, threading
threading.Thread(target=lambda: (print("on", flush=True), sys.stdin.read())).start()
ctypes.CDLL(None).pthread_exit(None)
"""


def test_a_process_lives_as_long_as_its_last_thread() -> None:
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", FIRST_THREAD_ENDS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == b"on\n"
        began = sandbox.start_time(process.pid)
        assert began
        ended(process.pid)
        assert sandbox.start_time(process.pid) == began
        process.stdin.close()
        for _ in range(1000):
            if sandbox.start_time(process.pid) is None:
                return
            time.sleep(0.01)
    pytest.fail("it is still alive")


def test_a_process_that_nobody_has_waited_for_is_dead() -> None:
    with subprocess.Popen(["true"]) as process:
        ended(process.pid)
        assert sandbox.start_time(process.pid) is None


def ended(pid: int) -> None:
    """Wait until the first thread of process ``pid`` has ended."""
    for _ in range(1000):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.01)
    pytest.fail(f"the first thread of process {pid} has not ended")
