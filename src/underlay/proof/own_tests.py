"""Underlay's own tests, layer by layer: pytest in a process of its own, under a deadline.

A complete run leaves in the repository which commit was proven, and how.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from underlay.cluster import checkout
from underlay.proof import pytest_family
from underlay.storage import temporary
from underlay.storage.paths import root

LAYERS = ("unit", "golden", "cluster")
# The option of pytest's that tests/conftest.py adds.
ALL = "--all"

# pytest's exit codes; see "Exit codes" in its documentation.
PASSED, FAILED, NOTHING_COLLECTED = 0, 1, 5
# Seconds that pytest and its family get after an interrupt, more than pytest_family.py takes:
# the labs that its tests started are stopped, and whatever else is left is ended.
GRACE = 90.0
# Seconds from a second interrupt until all is gone.
AT_ONCE = 20.0


@dataclass(frozen=True)
class Layer:
    """How a layer went. ``failed`` includes errors, and one for ``problem`` where there is one."""

    name: str
    passed: int
    failed: int
    skipped: int
    seconds: float
    problem: str = ""

    @property
    def ran(self) -> int:
        """How many tests gave a verdict."""
        return self.passed + self.failed

    def document(self) -> dict[str, object]:
        """Return the layer as it stands in JSON documents."""
        return {**asdict(self), "seconds": round(self.seconds, 2)}


def run_layer(
    name: str, options: list[str], seconds: float, *, to_stderr: bool, selected: bool
) -> Layer:
    """Run the tests of layer ``name`` with pytest's ``options`` and return how they went.

    Its output is passed on as it comes, to stderr where ``to_stderr``. After
    ``seconds`` it is interrupted. ``selected`` says that the user picks tests by
    ``options``, so that a layer without any of them is no failure. On an
    interrupt pytest may clean up before KeyboardInterrupt is raised.
    """
    if seconds <= 0:
        return Layer(name, 0, 1, 0, 0.0, "not run: the run's deadline has passed")
    started = time.monotonic()
    with temporary.folder("test") as folder:
        file = folder / "junit.xml"
        workers = _workers(name, options, selected=selected)
        words = [f"tests/{name}", f"--junit-xml={file}", *workers, *options]
        code = _pytest(words, seconds, to_stderr)
        counts = read_junit(file)
    return judge_layer(name, code, counts, time.monotonic() - started, selected=selected)


def judge_layer(
    name: str,
    code: int | None,
    counts: tuple[int, int, int],
    seconds: float,
    *,
    selected: bool,
) -> Layer:
    """Return the layer that pytest left with exit ``code``; None means past its deadline.

    ``counts`` are passed, failed and skipped. Whatever pytest calls neither
    passed nor failed becomes a problem, and so does a layer in which nothing ran.
    """
    passed, failed, skipped = counts
    problem = ""
    if code is None:
        problem = "stopped: the run's deadline has passed"
    elif code == NOTHING_COLLECTED or (code in (PASSED, FAILED) and passed + failed == 0):
        problem = "" if selected else "nothing ran"
    elif code not in (PASSED, FAILED):
        problem = f"pytest ended with exit code {code}"
    elif code == FAILED and failed == 0:
        problem = "pytest failed without a failing test"
    return Layer(name, passed, failed + bool(problem), skipped, seconds, problem)


def read_junit(file: Path) -> tuple[int, int, int]:
    """Return (passed, failed, skipped) from pytest's JUnit file; zeros where it left none."""
    try:
        tree = ElementTree.parse(file)  # noqa: S314 -- pytest, our own child, has just written it
    except (OSError, ElementTree.ParseError):
        return (0, 0, 0)
    passed = failed = skipped = 0
    for suite in tree.iter("testsuite"):
        tests, skips = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
        wrong = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        passed += max(0, tests - wrong - skips)
        failed += wrong
        skipped += skips
    return (passed, failed, skipped)


def write_record(results: list[Layer]) -> Path:
    """Write ``docs/proof/tests.json`` about a complete run and return its path.

    ``dirty`` says whether the checkout held changes that the commit doesn't;
    other proofs, which the same run may write, don't count.
    """
    path = root() / "docs" / "proof" / "tests.json"
    record = {
        "commit": checkout.commit(root()) or "unknown",
        "dirty": checkout.dirty(root()),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "kernel": platform.release(),
            "processors": os.cpu_count(),
            "python": platform.python_version(),
        },
        "layers": [result.document() for result in results],
        "passed": sum(result.passed for result in results),
        "failed": sum(result.failed for result in results),
        "skipped": sum(result.skipped for result in results),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return path


def _workers(name: str, options: list[str], *, selected: bool) -> list[str]:
    """Return the options by which pytest runs several tests at once.

    Every processor tests; with nodes two do, since nodes wait for each other half of the time.
    Tests run one after the other where the user picks among them, and in the full proof of
    those with nodes: it looks for growth, in caches that are everybody's.
    """
    processors = os.cpu_count() or 1
    if selected or processors == 1:
        return []
    if name == "cluster":
        # What stays together is said in tests/cluster/conftest.py.
        return [] if ALL in options else ["--numprocesses=2", "--dist=loadscope"]
    return [f"--numprocesses={processors}", "--dist=worksteal"]


def _pytest(arguments: list[str], seconds: float, to_stderr: bool) -> int | None:
    """Run pytest and return its exit code, or None where it had to be stopped."""
    sys.stdout.flush()
    source = str(Path(pytest_family.__file__).parents[2])
    path = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", pytest_family.__name__, *arguments],
        cwd=root(),
        stdout=sys.stderr if to_stderr else None,
        # In a session of its own, Ctrl-C reaches pytest once, through _interrupt.
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        _interrupt(process, GRACE)
        return None
    except KeyboardInterrupt:
        _interrupt(process, GRACE)
        raise
    finally:
        if process.poll() is None:
            _interrupt(process, AT_ONCE)


def _interrupt(process: subprocess.Popen[bytes], patience: float) -> None:
    """Have pytest stop and clean up. A second call ends all that the tests started at once.

    It is never killed itself: it is who ends what the tests have started.
    """
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=patience)
