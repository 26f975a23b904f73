"""That `soak` finds what has lost its parent, its session, its environment and its name."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from underlay.cluster.providers.uml.sandbox import start_time
from underlay.proof.bench.descendants import descendants

SOURCE = Path(__file__).resolve().parents[3] / "src"
# What a sandbox does: nothing about it tells of the command that has started it.
LEAK = "env -i setsid bash -c 'exec -a other sleep 30' >/dev/null 2>&1 & echo $!"
PROGRAM = f"""\
import os, signal, subprocess, sys, time
from pathlib import Path
from underlay.proof.bench.descendants import continue_in_child, descendants
ancestor = continue_in_child()
assert descendants(ancestor) == [], descendants(ancestor)
subprocess.run(["bash", "-c", {LEAK!r}], stdout=subprocess.DEVNULL, timeout=10)
while [left.words for left in descendants(ancestor)] != ["other 30"]:
    time.sleep(0.05)
(left,) = descendants(ancestor)
print(left.words, left.parent == ancestor)
os.kill(left.pid, signal.SIGKILL)
while Path("/proc", str(left.pid)).exists():
    time.sleep(0.05)
print("reaped", flush=True)
if sys.argv[1] == "wait":
    time.sleep(30)
sys.exit(int(sys.argv[1]))
"""
SAID = "other 30 True\nreaped\n"


def program(word: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, word],
        env={"PYTHONPATH": str(SOURCE), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_orphan_is_found_whatever_it_is_called_and_reaped_when_it_ends() -> None:
    with program("5") as process:
        assert process.communicate(timeout=30) == (SAID, "")
        assert process.returncode == 5


def test_a_signal_to_the_ancestor_reaches_who_works() -> None:
    with program("wait") as process:
        assert process.stdout is not None
        for line in SAID.splitlines(keepends=True):
            assert process.stdout.readline() == line
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 128 + signal.SIGTERM


def test_who_works_does_not_outlive_its_ancestor() -> None:
    with program("wait") as process:
        assert process.stdout is not None
        for line in SAID.splitlines(keepends=True):
            assert process.stdout.readline() == line
        (worker,) = descendants(process.pid)
        process.kill()
        assert process.wait(timeout=10) == -signal.SIGKILL
        end = time.monotonic() + 10
        while start_time(worker.pid) is not None:
            assert time.monotonic() < end
            time.sleep(0.05)
