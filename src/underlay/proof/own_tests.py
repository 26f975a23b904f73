"""Underlay's own tests, layer by layer: pytest in a process of its own, under a deadline.

A complete run, or a share of one, leaves in the repository which commit was proven, and how.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from underlay.cluster.image.build import current
from underlay.cluster.process import end_group, run, tail, with_its_starter
from underlay.cluster.providers.uml.sandbox import available_kib
from underlay.errors import Infrastructure
from underlay.proof.parts import LAYERS, Share, SuiteTest, digest, split, units
from underlay.proof.records import keeping
from underlay.storage import temporary
from underlay.storage.paths import root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

# The option of pytest's that tests/conftest.py adds.
ALL = "--all"
# Options of pytest's that mean the same where several processes share the tests: those alone, and
# those that a value follows, behind them or behind a "=".
SHARED = {"-x", "--exitfirst", "-q", "--quiet", "-v", "--verbose", "--processor"}
SHARED_WITH_VALUE = {"-k", "-m", "--maxfail", "--durations", "--durations-min", "--tb", "-r"}

# What runs pytest; it is in a checkout, as the tests are.
FAMILY = Path(__file__).resolve().parents[3] / "tests" / "pytest_family.py"

# pytest's exit codes; see "Exit codes" in its documentation.
PASSED, FAILED, NOTHING_COLLECTED = 0, 1, 5
# Processes that share the tests with nodes, where there is so much memory for the labs of each: a
# full node's 512 MiB and those of its disk, by three.
WITH_NODES = 5
GIB_OF_A_PROCESS = 2
# Seconds that pytest and its family get after an interrupt, more than pytest_family.py takes:
# the labs that its tests started are stopped, and whatever else is left is ended.
GRACE = 90.0
# Seconds from a second interrupt until all is gone.
AT_ONCE = 20.0
# Seconds within which the names of all tests are known.
COLLECTED = 300.0
# What took longer is noted, to cut shares by; of what is too slow for every day all is.
NOTED = 1.0


@dataclass(frozen=True)
class Layer:
    """How a layer went. ``failed`` includes errors, and one for ``problem`` where there is one.

    ``left`` are the tests that were left to ``--all``.
    """

    name: str
    passed: int
    failed: int
    skipped: int
    seconds: float
    problem: str = ""
    left: int = 0

    @property
    def ran(self) -> int:
        """How many tests gave a verdict."""
        return self.passed + self.failed

    def document(self) -> dict[str, object]:
        """Return the layer as it stands in JSON documents."""
        return {**asdict(self), "seconds": round(self.seconds, 2)}


def all_tests() -> list[SuiteTest]:
    """Return every test of the full proof, in the order in which they would run.

    Raises Infrastructure where pytest can't collect them.
    """
    with temporary.folder("test") as folder:
        file = folder / "names.json"
        words = [f"tests/{layer}" for layer in LAYERS if (root() / "tests" / layer).is_dir()]
        done = run(
            [
                *(sys.executable, "-P", "-m", "pytest", *words, ALL, f"--names={file}"),
                *("--collect-only", "--quiet", "-p", "no:cacheprovider"),
            ],
            deadline=COLLECTED,
            environment={"PYTHONPATH": _path()},
            folder=root(),
            check=False,
        )
        if done.returncode or not file.is_file():
            raise Infrastructure(
                "pytest can't collect the tests", detail=tail(done.stdout + done.stderr)
            )
        return [SuiteTest(*each) for each in json.loads(file.read_text(encoding="utf-8"))]


def shares(tests: Sequence[SuiteTest], of: int) -> list[Share]:
    """Return ``tests`` in ``of`` shares, by the durations that are recorded."""
    return split(units(tests, known_durations()), of)


def known_durations() -> dict[str, float]:
    """Return the seconds of each test that is recorded at the commit that is checked out.

    What a share keeps doesn't count before it is committed: shares that run one after the other
    would be cut by other durations, so that tests were in two of them or in none.
    """
    return {name: row.seconds for name, row in keeping.committed("durations").rows.items()}


def run_layer(
    name: str,
    options: list[str],
    seconds: float,
    *,
    to_stderr: bool,
    selected: bool,
    only: Sequence[str] | None = None,
    durations: dict[str, float] | None = None,
) -> Layer:
    """Run the tests of layer ``name`` with pytest's ``options`` and return how they went.

    Its output is passed on as it comes, to stderr where ``to_stderr``. After
    ``seconds`` it is interrupted. ``selected`` says that the user picks tests by
    ``options``, so that a layer without any of them is no failure. ``only`` are the
    tests of a share; ``durations`` gets the seconds of each test. On an
    interrupt pytest may clean up before KeyboardInterrupt is raised.
    """
    if only is not None and not only:
        return Layer(name, 0, 0, 0, 0.0)
    if seconds <= 0:
        return Layer(name, 0, 1, 0, 0.0, "not run: the run's deadline has passed")
    started = time.monotonic()
    with temporary.folder("test") as folder:
        file = folder / "junit.xml"
        workers = _workers(name, options)
        left = folder / "left"
        words = [f"tests/{name}", f"--junit-xml={file}", f"--left={left}", *workers, *options]
        if only is not None:
            (folder / "only").write_text("\n".join(only), encoding="utf-8")
            words.append(f"--only={folder / 'only'}")
        timed = folder / "timed.json"
        if durations is not None:
            words.append(f"--timed={timed}")
        code = _pytest(words, seconds, to_stderr)
        counts = read_junit(file)
        more = int(left.read_text(encoding="utf-8")) if left.is_file() else 0
        if durations is not None and timed.is_file():
            durations |= json.loads(timed.read_text(encoding="utf-8"))
    # All that a share has of a layer may be skipped here.
    fine = selected or (only is not None and counts[2] > 0)
    result = judge_layer(name, code, counts, time.monotonic() - started, selected=fine)
    return replace(result, left=more)


@contextmanager
def image_meanwhile(layers: Sequence[str]) -> Iterator[bool]:
    """Build the nodes' image while those of ``layers`` run that come before the one with nodes.

    Yields whether it is being built: not where it is there, or where nothing would run meanwhile.
    Installing its packages mostly waits for one processor and the disk. Tests that need the image
    build it themselves where this fails, and say why; what is left of a build at the end of the
    run is ended.
    """
    launcher = root() / "underlay"
    before = layers[: layers.index("cluster")] if "cluster" in layers else ()
    if not before or not launcher.is_file() or _is_there():
        yield False
        return
    with temporary.folder("image") as folder:
        build = subprocess.Popen(
            with_its_starter([str(launcher), "image", "build"]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": str(folder)},
            start_new_session=True,
            text=True,
        )
        try:
            yield True
        finally:
            end_group(build)


def _is_there() -> bool:
    """Whether the nodes' image is built, or this machine lacks what it is built from."""
    try:
        return current().exists
    except Infrastructure:
        return True


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


def write_records(
    part: Share, tests: Sequence[SuiteTest], results: list[Layer], durations: Mapping[str, float]
) -> Path:
    """Keep how a share of the full proof went, and how long its tests took.

    Returns the path of docs/proof/tests.json. Shares of another number than this one's are
    dropped there: they were cut otherwise.
    """
    names = {test.name for test in tests}
    slow = {test.name for test in tests if test.slow}
    noted = {
        name: {"seconds": round(seconds, 1)}
        for name, seconds in durations.items()
        if seconds >= NOTED or name in slow
    }
    _forget("durations", lambda name: name in names and name not in set(durations) - set(noted))
    keeping.keep("durations", noted)
    row = {
        "part": part.number,
        "of": part.of,
        "names": digest(tests),
        "tests": part.count,
        # Nothing is left to the full proof by a share of it.
        "layers": [
            {key: said for key, said in result.document().items() if key != "left"}
            for result in results
        ],
    }
    _forget("tests", lambda name: name.endswith(f"/{part.of}"))
    return keeping.keep("tests", {f"{part.number}/{part.of}": row})


def _forget(record: str, stays: Callable[[str], bool]) -> None:
    """Drop the rows of ``record`` whose names don't stay."""

    def dropped(found: keeping.Record) -> keeping.Record:
        rows = {name: row for name, row in found.rows.items() if stays(name)}
        return keeping.Record(record, found.origins, rows)

    if keeping.file(record).is_file():
        keeping.change(record, dropped)


def _workers(name: str, options: Sequence[str]) -> list[str]:
    """Return the options by which pytest runs several tests at once.

    As many processes as there are processors, and one more: tests wait for programs. With nodes
    they wait two thirds of the time, for boots and for silence: five keep two processors busy, and
    more would have no lab of their own.
    Tests run one after the other in the full proof of those with nodes, which looks for growth in
    caches that are everybody's, and where an option is no choice of tests: many of them, as for a
    debugger, need the terminal.
    """
    processors = os.cpu_count() or 1
    everything = ALL in options
    if processors == 1 or not _shared([word for word in options if word != ALL]):
        return []
    if name == "cluster":
        # What stays together is said in tests/cluster/conftest.py.
        spread = [f"--numprocesses={_with_nodes()}", "--dist=loadscope"]
        return [] if everything else [*spread, "--no-loadscope-reorder"]
    return [f"--numprocesses={processors + 1}", "--dist=worksteal"]


def _with_nodes() -> int:
    """Return how many processes may have labs at once: two at least, as long as memory lasts."""
    return min(WITH_NODES, max(2, (available_kib() >> 20) // GIB_OF_A_PROCESS))


def _shared(options: Sequence[str]) -> bool:
    """Whether all of pytest's ``options`` mean the same where several processes share the tests."""
    words = iter(options)
    for word in words:
        name, is_, _ = word.partition("=")
        if name in SHARED_WITH_VALUE and not is_:
            next(words, None)
        elif word not in SHARED and (name not in SHARED_WITH_VALUE or not is_):
            return False
    return True


def _path() -> str:
    source = str(Path(__file__).parents[2])
    return os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))


def _pytest(arguments: list[str], seconds: float, to_stderr: bool) -> int | None:
    """Run pytest and return its exit code, or None where it had to be stopped."""
    sys.stdout.flush()
    # Hundreds of processes import the same modules: each would compile them all again.
    inherited = {name: v for name, v in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        [sys.executable, "-P", str(FAMILY), *arguments],
        cwd=root(),
        stdout=sys.stderr if to_stderr else None,
        # In a session of its own, Ctrl-C reaches pytest once, through _interrupt.
        start_new_session=True,
        env={**inherited, "PYTHONPATH": _path()},
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
