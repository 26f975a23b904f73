"""Signals that wait: while a program is started, and until Runner has ended Ansible."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from underlay.cluster.interrupts import interrupts_wait
from underlay.storage import paths


@pytest.fixture
def handled(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """Return the signal, answered as the command line does, whatever nohup(1) has set."""
    number: signal.Signals = request.param
    before = signal.signal(number, signal.default_int_handler)
    yield number
    signal.signal(number, before)


@pytest.mark.parametrize(
    "handled", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], indirect=True, ids=str
)
def test_a_signal_is_noted_and_raised_after_the_block(handled: signal.Signals) -> None:
    seen = []

    def interrupted() -> None:
        with interrupts_wait() as noted:
            seen.append(noted())
            os.kill(os.getpid(), handled)
            seen.append(noted())

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert seen == [False, True]
    assert signal.getsignal(handled) == signal.default_int_handler


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts_wait() as noted:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not noted()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_without_a_signal_nothing_is_raised() -> None:
    with interrupts_wait() as noted:
        assert not noted()


def test_another_thread_leaves_signals_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    handlers = []

    def work() -> None:
        with interrupts_wait() as noted:
            handlers.extend([signal.getsignal(signal.SIGTERM), noted()])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [before, False]


def test_what_runner_kills_takes_ansible_along_by_sigterm(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text(
        "#!/bin/sh\ntrap 'echo told to end; exit' TERM\necho runs\nwhile :; do sleep 0.05; done\n"
    )
    program.chmod(0o755)
    runner = subprocess.Popen(
        [paths.root() / "ansible" / "bin" / "ansible-playbook"],
        env={**os.environ, "UNDERLAY_PYTHON": str(program)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert runner.stdout is not None
    assert runner.stdout.readline() == "runs\n"
    os.killpg(runner.pid, signal.SIGKILL)
    assert runner.wait(timeout=10) == -signal.SIGKILL
    # The pipe ends with the last that holds it.
    assert runner.stdout.read() == "told to end\n"
    runner.stdout.close()
