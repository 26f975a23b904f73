"""What all tests share: layers, the `all` marker, shares of the full proof, and golden files.

`--update-golden` rewrites golden files and fails every test that wrote one, so
that nobody mistakes a rewriting run for a passing one. CI never passes it.
"""

from __future__ import annotations

import difflib
import gc
import json
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from underlay.storage import private, temporary

TESTS = Path(__file__).resolve().parent
LAYERS = ("unit", "golden", "cluster")
# Seconds that an interrupted process of tests gets to clean up.
PATIENCE = 50.0
# How many tests are left to --all.
LEFT = pytest.StashKey[int]()

# Tests are the same whoever starts them: in colours, on a narrow terminal, or behind a shell's `&`,
# which has its jobs ignore interrupts, and all that they start as well.
for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS", "LINES"):
    os.environ.pop(name, None)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# How long an example takes says how busy the machine is.
settings.register_profile(
    "any machine", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("underlay")
    group.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite golden files; every test that writes one fails",
    )
    group.addoption(
        "--record",
        action="store_true",
        help="keep what nodes show under each fault, for tests/unit/proof/test_explain.py",
    )
    group.addoption("--all", action="store_true", help="also run the tests marked `all`")
    group.addoption(
        "--processor",
        action="store_true",
        help="show the files whose tests cost most, by processor",
    )
    for name, what in (
        ("--names", "write the collected tests there: name, what it isn't cut from, if slow"),
        ("--only", "run the tests alone whose names stand there, one a line"),
        ("--timed", "write there how long each test took, its fixtures included"),
        ("--left", "write there how many tests were left to --all"),
    ):
        group.addoption(name, type=Path, metavar="FILE", help=what)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(OwnRuntime())
    if config.getoption("--processor"):
        count_processor_seconds(config)
    timed: Path | None = config.getoption("--timed")
    # The processes that share the tests report to this one.
    if timed is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Timed(timed))
    for layer in LAYERS:
        config.addinivalue_line("markers", f"{layer}: set for every test in tests/{layer}")
    config.addinivalue_line("markers", "all: too slow for every day; runs with --all only")


def count_processor_seconds(config: pytest.Config) -> None:
    """Count in each process that runs tests, and add up in the one that tells of them."""
    import processor

    shares = hasattr(config, "workerinput")
    if shares or not config.getoption("numprocesses", None):
        config.pluginmanager.register(processor.Measured())
    if not shares:
        config.pluginmanager.register(processor.Costs())


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep Python's garbage collector from thousands of tests, which all stay.

    While they are collected it would look through them again and again, and find nothing;
    afterwards it looks at what tests leave alone.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What pytest's own options leave out is out by now, so that it isn't counted here."""
    for item in items:
        layer = layer_of(item.path)
        if layer:
            item.add_marker(layer)
    if not config.getoption("--all"):
        slow = [item for item in items if item.get_closest_marker("all")]
        leave_out(config, items, slow)
        config.stash[LEFT] = len(slow)
    only: Path | None = config.getoption("--only")
    if only is not None:
        names = set(only.read_text(encoding="utf-8").splitlines())
        if lacking := names - {item.nodeid for item in items}:
            raise pytest.UsageError(f"{len(lacking)} tests aren't there: {min(lacking)}")
        leave_out(config, items, [item for item in items if item.nodeid not in names])


def leave_out(config: pytest.Config, items: list[pytest.Item], left_out: list[pytest.Item]) -> None:
    """Take ``left_out`` from ``items``, and have pytest count them."""
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]


def pytest_collection_finish(session: pytest.Session) -> None:
    names: Path | None = session.config.getoption("--names")
    if names is not None:
        found = [
            (item.nodeid, unit_of(item), bool(item.get_closest_marker("all")))
            for item in session.items
        ]
        names.write_text(json.dumps(found), encoding="utf-8")


def unit_of(item: pytest.Item) -> str:
    """Return what ``item`` is not to be cut from where the full proof is shared.

    That are the tests of the lab that is up for it, or those of a share that is proven at once;
    else it is alone where it is slow, and with its file where it isn't.
    """
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if layer_of(item.path) == "cluster":
        for what in ("lab", "share"):
            if isinstance(parameters.get(what), str):
                return f"{what} {parameters[what]}"
    return item.nodeid if item.get_closest_marker("all") else item.nodeid.partition("::")[0]


class Timed:
    """Notes how long each test took, and writes that to ``path`` when all have ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add one of the three parts of a test."""
        self._seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        """Write what was noted."""
        self._path.write_text(json.dumps(self._seconds), encoding="utf-8")


class OwnRuntime:
    """A runtime folder of the run's own; the run fails where a command leaves something in there.

    Sockets of shared ssh connections lie in the user's runtime folder where a state folder has a
    long path, as those of copied checkouts have. The processes that share the tests use one folder.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        # A socket's path is a hundred bytes at most, whatever TMPDIR says.
        short = Path("/tmp")
        inside = short if private.keeps_names(short) else None
        self.folder = self._stack.enter_context(temporary.folder("run", inside=inside))
        os.environ[private.RUNTIME] = str(self.folder)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int
    ) -> Generator[None, None, None]:
        """Look once fixtures and the processes that share the tests have ended."""
        yield
        # What a killed command has left under a lock is swept by the next; these have none.
        left = sorted(path.name for path in self.folder.glob("underlay-ssh-*"))
        if left and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            sys.stdout.write(f"\nfolders of shared ssh connections are left: {', '.join(left)}\n")

    def pytest_unconfigure(self) -> None:
        """Remove the folder."""
        self._stack.close()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a case of bytes by its argument alone.

    Packed bytes hold the second in which they were packed. Two processes that share the tests
    must find the same names, or neither runs any.
    """
    return argname if isinstance(val, bytes) else None


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take over what a process that shares the tests has counted; each finds the same."""
    node.config.stash[LEFT] = getattr(node, "workeroutput", {}).get("left", 0)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Say how many tests were left to --all, once all processes have said so."""
    file: Path | None = config.getoption("--left")
    if file is not None and not hasattr(config, "workerinput"):
        file.write_text(str(config.stash.get(LEFT, 0)), encoding="utf-8")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Let the processes that share the tests end what they have up, where they are interrupted.

    The interrupt has got to all of them, but xdist gives them ten seconds, and interrupts their
    cleaning up after five: too little for a lab.
    """
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left"] = session.config.stash.get(LEFT, 0)
    sharing = session.config.pluginmanager.getplugin("dsession")
    if sharing is None or exitstatus != pytest.ExitCode.INTERRUPTED:
        return
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit and not all(node._down for node in sharing._active_nodes):
        time.sleep(0.1)


@cache
def layer_of(path: Path) -> str:
    """Return the layer that the test file ``path`` belongs to, empty where it has none."""
    if not path.is_relative_to(TESTS):
        return ""
    first = path.relative_to(TESTS).parts[0]
    return first if first in LAYERS else ""


@pytest.fixture
def record(request: pytest.FixtureRequest) -> bool:
    """Whether what nodes show is to be kept for the tests that need none."""
    return bool(request.config.getoption("--record"))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Iterator[Callable[[Path, str], None]]:
    """Return ``golden(path, text)``, which fails unless the file at ``path`` holds ``text``."""
    update = bool(request.config.getoption("--update-golden"))
    written: list[Path] = []

    def compare(path: Path, text: str) -> None:
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
            return
        shown = _shown(path)
        if not path.is_file():
            pytest.fail(f"{shown} is missing; write it with --update-golden", pytrace=False)
        expected = path.read_text(encoding="utf-8")
        if expected != text:
            pytest.fail(_difference(shown, expected, text), pytrace=False)

    yield compare
    if written:
        names = ", ".join(_shown(path) for path in written)
        pytest.fail(f"rewritten by --update-golden: {names}", pytrace=False)


def _shown(path: Path) -> str:
    return str(path.relative_to(TESTS.parent) if path.is_relative_to(TESTS.parent) else path)


def _difference(shown: str, expected: str, text: str) -> str:
    lines = difflib.unified_diff(
        expected.splitlines(keepends=True),
        text.splitlines(keepends=True),
        fromfile=shown,
        tofile="what it is now",
    )
    body = "".join(line if line.endswith("\n") else f"{line}\n\\ no line end\n" for line in lines)
    return f"{shown} differs; if that is meant, rewrite it with --update-golden\n{body}"
