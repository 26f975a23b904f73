"""That `soak` finds what has lost its parent, its session, its environment and its name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src"
# What a sandbox does: nothing about it tells of the command that has started it.
LEAK = "env -i setsid bash -c 'exec -a other sleep 30' >/dev/null 2>&1 & echo $!"
ADOPT = f"""\
import os, signal, subprocess, time
from underlay.bench.offspring import adopt, offspring
adopt()
assert offspring() == [], offspring()
done = subprocess.run(["bash", "-c", {LEAK!r}], stdout=subprocess.PIPE, text=True, timeout=10)
time.sleep(0.5)
(left,) = offspring()
print(left.words, left.parent == os.getpid())
os.kill(left.pid, signal.SIGKILL)
while offspring():
    time.sleep(0.05)
try:
    os.waitpid(left.pid, os.WNOHANG)
except ChildProcessError:
    print("reaped")
"""


def test_an_orphan_is_found_whatever_it_is_called_and_reaped_when_it_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ADOPT],
        env={"PYTHONPATH": str(SOURCE), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("other 30 True\nreaped\n", "")
