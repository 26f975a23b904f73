"""pytest with all that descends from it: where it is interrupted, nothing of that is left.

    python -m underlay.proof.pytest_family PYTEST_ARGUMENTS

`underlay test` starts it once a layer, in the checkout. An interrupt goes to pytest and to the
processes among which it divides the tests, which end what their tests have started. Whatever
lives on is ended by its descent, and what a lab of this checkout has left is removed. A second
signal, and the end of `underlay test` by whatever cause, make it do that at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from underlay.cluster.providers.uml import sandbox
from underlay.cluster.state.lock import holder
from underlay.errors import INTERRUPTS, UnderlayError
from underlay.proof.bench.descendants import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_PDEATHSIG,
    descendants,
    set_attribute,
)
from underlay.storage import paths

# Seconds that pytest gets to clean up: an interrupted `up` may take most of them.
PATIENCE = 60.0
# Seconds until all is gone that was killed.
GONE = 10.0
INTERVAL = 0.1
# pytest's exit codes where it has come to the end of what it was to do.
ENDS = (0, 1, 4, 5)


def main(arguments: list[str]) -> int:
    """Run pytest and return its exit code, as a shell has it."""
    asked: list[int] = []
    for number in INTERRUPTS:
        signal.signal(number, lambda number, _: asked.append(number))
    set_attribute(PR_SET_CHILD_SUBREAPER, 1)
    set_attribute(PR_SET_PDEATHSIG, signal.SIGTERM)
    home = Path.cwd() / ".underlay"
    before = _labs(home)
    words = [sys.executable, "-m", "pytest", *arguments]
    # In a group of its own, which gets the interrupt as from a terminal: this process stays.
    pytest = subprocess.Popen(words, process_group=0)
    code = _collect(pytest.pid, lambda: bool(asked))
    if code is None:
        with suppress(ProcessLookupError):
            os.killpg(pytest.pid, signal.SIGINT)
        limit = time.monotonic() + PATIENCE
        code = _collect(pytest.pid, lambda: len(asked) > 1 or time.monotonic() > limit)
    if asked or code not in ENDS:
        _end_descendants()
        _forget_labs(home, before)
    if code is None:
        return 128 + asked[0]
    return code if code >= 0 else 128 - code


def _collect(pid: int, over: Callable[[], bool]) -> int | None:
    """Reap children until ``pid`` has ended and return its exit code; None if ``over`` is first."""
    while not over():
        while True:
            try:
                ended, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return None
            if ended == pid:
                return os.waitstatus_to_exitcode(status)
            if not ended:
                break
        time.sleep(INTERVAL)
    return None


def _end_descendants() -> None:
    """Kill all that descends from this process, again and again: it may have been starting more."""
    limit = time.monotonic() + GONE
    while (left := descendants(os.getpid())) and time.monotonic() < limit:
        for process in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(INTERVAL / 4)
    for process in left:
        print(f"this process of the tests does not end: {process}", file=sys.stderr)


def _labs(home: Path) -> set[str]:
    return {folder.name for folder in (home / "labs").glob("*")}


def _forget_labs(home: Path, before: set[str]) -> None:
    """Remove what is left of the tests' labs in ``home``, but no lab that somebody else runs."""
    from underlay.cluster.lifecycle import down

    # The tests' own labs are in the checkout, whatever the environment says of others.
    os.environ[paths.HOME] = str(home)
    for name in sorted(_labs(home) - before):
        if sandbox.find(home / "labs" / name) is None and holder(name) is None:
            try:
                down(name, lambda _: None)
            except UnderlayError as error:
                print(f"{error.message}: underlay down --lab {name}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
