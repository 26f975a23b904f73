"""The verb `test`: how a layer is judged, what is printed, and what stops a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import doc_pages
from underlay import cli
from underlay.cli.verbs import test as verb
from underlay.cluster.providers.uml.sandbox import start_time
from underlay.errors import Infrastructure
from underlay.proof import own_tests
from underlay.proof.own_tests import Layer, judge_layer, read_junit
from underlay.proof.records import keeping

CONFTEST = Path(__file__).resolve().parents[2] / "conftest.py"
SOURCE = CONFTEST.parents[1] / "src"
PATIENCE = 60.0
SETTINGS = "[pytest]\naddopts = --strict-markers\n"


@pytest.fixture
def checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a checkout of its own, with one passing test in each layer.

    One process runs a layer's tests there; starting two for one test each would take longer. Of
    pytest's plugins it needs the one that shares tests.
    """
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "xdist.plugin")
    monkeypatch.setattr(own_tests, "root", lambda: tmp_path)
    monkeypatch.setattr(keeping, "folder", lambda: tmp_path / "docs" / "proof")
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    for name in own_tests.LAYERS:
        write(tmp_path, name, "def test_good(): pass\n")
    (tmp_path / "tests" / "conftest.py").write_text(CONFTEST.read_text())
    return tmp_path


def until(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.05)


def write(checkout: Path, layer: str, text: str) -> Path:
    folder = checkout / "tests" / layer
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"test_{layer}_it.py"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("code", "counts", "selected", "failed", "problem"),
    [
        (0, (3, 0, 1), False, 0, ""),
        (1, (3, 2, 0), False, 2, ""),
        (5, (0, 0, 0), False, 1, "nothing ran"),
        (5, (0, 0, 0), True, 0, ""),
        (0, (0, 0, 4), False, 1, "nothing ran"),
        (1, (3, 0, 0), False, 1, "pytest failed without a failing test"),
        (2, (3, 1, 0), False, 2, "pytest ended with exit code 2"),
        (4, (0, 0, 0), True, 1, "pytest ended with exit code 4"),
        (-9, (0, 0, 0), False, 1, "pytest ended with exit code -9"),
        (None, (3, 0, 0), False, 1, "stopped: the run's deadline has passed"),
    ],
)
def test_layer_is_judged(
    code: int | None, counts: tuple[int, int, int], selected: bool, failed: int, problem: str
) -> None:
    result = judge_layer("unit", code, counts, 1.0, selected=selected)
    assert (result.failed, result.problem) == (failed, problem)


def test_junit_counts(tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    assert read_junit(file) == (0, 0, 0)
    file.write_text('<testsuites><testsuite tests="9" failures="1" errors="2" skipped="3"/>')
    assert read_junit(file) == (0, 0, 0)
    file.write_text(file.read_text() + "</testsuites>")
    assert read_junit(file) == (3, 3, 3)


def test_a_failing_layer_hides_no_other(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Some processes share the tests of each, as they do on machines with two processors."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(own_tests, "WITH_NODES", 2)
    write(checkout, "unit", "def test_bad(): assert False\n\ndef test_good(): pass\n")
    write(checkout, "golden", "import pytest\n\n@pytest.mark.all\ndef test_slow(): pass\n")
    assert cli.main(["test"]) == 1
    lines = [line.partition(" in ") for line in capfd.readouterr().out.splitlines()[-4:]]
    assert [first for first, _, _ in lines] == [
        "unit: 1 passed, 1 failed, 0 skipped",
        "golden: 0 passed, 1 failed, 0 skipped",
        "cluster: 1 passed, 0 failed, 0 skipped",
        "2 passed, 2 failed, 0 skipped",
    ]
    assert lines[1][2].endswith("(nothing ran)")
    assert not (checkout / "docs").exists()


def test_all_runs_everything_and_leaves_a_proof(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(checkout, "golden", "import pytest\n\n@pytest.mark.all\ndef test_slow(): pass\n")
    assert cli.main(["test", "--all", "--json"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["passed"] == 3
    assert err.splitlines()[-1] == "3 passed, 0 failed, 0 skipped"
    record = keeping.read("tests")
    (row,) = record.rows.values()
    assert [layer.passed for layer in row.layers] == [1, 1, 1]
    assert (row.part, row.of, row.tests) == (1, 1, 3)
    document = json.loads((checkout / "docs" / "proof" / "tests.json").read_text())
    assert (document["passed"], document["failed"]) == (3, 0)


def test_a_part_runs_its_share_of_every_layer(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(checkout, "golden", "import pytest\n\n@pytest.mark.all\ndef test_slow(): pass\n")
    passed = []
    for number in (1, 2):
        assert cli.main(["test", "--all", "--part", f"{number}/2", "--json"]) == 0
        out, err = capfd.readouterr()
        said = json.loads(out)
        passed.append(said["passed"])
        assert (said["part"]["number"], said["part"]["of"]) == (number, 2)
        assert len(said["part"]["minutes_of_all"]) == 2
        assert said["part"]["tests"] == said["passed"]
        assert not doc_pages.wrong_fields(
            doc_pages.DOCS / "verbs" / "test.md", said, empty=("taken",)
        )
        assert "part 2/2: 0 minutes planned" in err
        assert "1 slow tests were not timed yet" in err
    assert (sorted(passed), sum(passed)) == ([1, 2], 3)
    document = json.loads((checkout / "docs" / "proof" / "tests.json").read_text())
    assert set(document["rows"]) == {"1/2", "2/2"}
    assert document["passed"] == 3


def test_rows_of_another_checkout_are_taken_over(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of no folder, or beside a choice of tests, nothing is."""
    assert cli.main(["test", "--all", "--json"]) == 0
    capfd.readouterr()
    there = checkout / "there"
    (checkout / "docs" / "proof").rename(there)
    assert cli.main(["test", "--merge", str(there), "--all"]) == 2
    assert "--merge runs no tests, and goes with no choice of them" in capfd.readouterr().err
    assert cli.main(["test", "--merge", str(checkout / "nowhere")]) == 2
    assert "found no record" in capfd.readouterr().err
    assert not (checkout / "docs" / "proof").exists()
    assert cli.main(["test", "--merge", str(there), "--json"]) == 0
    out, err = capfd.readouterr()
    said = json.loads(out)
    assert said["taken"]["tests"] == 1
    assert not doc_pages.wrong_fields(
        doc_pages.DOCS / "verbs" / "test.md", said, empty=("layers", "part")
    )
    assert "tests: 1 newer row\n" in err
    assert (checkout / "docs" / "proof" / "tests.json").read_bytes() == (
        there / "tests.json"
    ).read_bytes()


def test_a_plan_runs_nothing(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(checkout, "unit", "def test_bad(): assert False\n")
    assert cli.main(["test", "--all", "--part", "1/3", "--plan"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines[1:4]] == ["part 1/3", "part 2/3", "part 3/3"]
    assert not (checkout / "docs").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--all", "--part", "3/2"], "there is no part '3/2'"),
        (["--all", "--part", "half"], "there is no part 'half'"),
        (["--part", "1/2"], "--part is a share of the full proof: it goes with --all"),
        (["--all", "--part", "1/2", "--layer", "unit"], "goes with no choice of tests"),
        (["--all", "--part", "1/2", "--", "-x"], "goes with no choice of tests"),
        (["--all", "--plan"], "--plan shows the shares of --part"),
    ],
)
def test_a_part_that_makes_no_sense(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["test", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "hint:" in err
    assert "underlay test --all --part 1/4" in err


def test_tests_that_cannot_be_collected_are_no_share(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(checkout, "unit", "import nonsense\n")
    assert cli.main(["test", "--all", "--part", "1/2"]) == 3
    err = capfd.readouterr().err
    assert "pytest can't collect the tests" in err
    assert "nonsense" in err


def test_a_test_of_a_share_that_is_gone_is_no_secret(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    only = checkout / "only"
    only.write_text("tests/unit/test_unit_it.py::test_gone")
    assert cli.main(["test", "--layer", "unit", "--", f"--only={only}"]) == 1
    assert "1 tests aren't there: tests/unit/test_unit_it.py::test_gone" in capfd.readouterr().err


def test_selection_that_finds_nothing_fails(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["test", "--", "-k", "nonsense"]) == 1
    assert capfd.readouterr().out.splitlines()[-1] == "0 passed, 0 failed, 0 skipped"
    assert cli.main(["test", "--layer", "unit", "--", "-k", "good"]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "1 passed, 0 failed, 0 skipped"


@pytest.mark.parametrize(
    ("layer", "options", "processes"),
    [
        ("unit", [], 5),
        ("golden", ["-k", "vlan and not docker", "-x"], 5),
        ("unit", ["--maxfail=2", "-m", "all", "-q", "--all"], 5),
        ("cluster", ["-k", "docker"], own_tests.WITH_NODES),
        ("cluster", ["-k", "docker", "--all"], 1),
        ("unit", ["-s"], 1),
        ("unit", ["-k", "vlan", "--pdb"], 1),
        ("golden", ["--update-golden"], 1),
        ("unit", ["tests/unit/test_layers.py"], 1),
        ("unit", ["--numprocesses=3"], 1),
    ],
)
def test_a_choice_of_tests_is_shared_and_what_needs_the_terminal_is_not(
    layer: str, options: list[str], processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(own_tests, "available_kib", lambda: 24 << 20)
    found = own_tests._workers(layer, options)
    assert found[:1] == ([] if processes == 1 else [f"--numprocesses={processes}"])


@pytest.mark.parametrize(("gib", "processes"), [(1, 2), (7, 3), (15, own_tests.WITH_NODES)])
def test_no_more_labs_are_up_at_once_than_there_is_memory_for(
    gib: int, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(own_tests, "available_kib", lambda: gib << 20)
    assert own_tests._workers("cluster", [])[0] == f"--numprocesses={processes}"


def test_unknown_layer(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["test", "--layer", "units"]) == 2
    assert capsys.readouterr().err.startswith("error: there is no layer 'units'\n")


def test_deadline_stops_the_run(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The deadline passes when the second test hangs, however long it took to get there."""
    hangs = checkout / "hangs"
    write(
        checkout,
        "unit",
        "import pathlib, time\n\ndef test_good(): pass\n\ndef test_hang():\n"
        f"    pathlib.Path({str(hangs)!r}).touch()\n    time.sleep(60)\n",
    )

    class Pytest(subprocess.Popen[bytes]):
        def wait(self, timeout: float | None = None) -> int:
            if timeout != verb.DAILY_DEADLINE:
                return super().wait(timeout)
            until(hangs.exists)
            raise subprocess.TimeoutExpired("pytest", timeout)

    stand_in = SimpleNamespace(Popen=Pytest, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr(own_tests, "subprocess", stand_in)
    late = SimpleNamespace(monotonic=lambda: 1e9 if hangs.exists() else 0.0)
    monkeypatch.setattr(verb, "time", late)
    assert cli.main(["test"]) == 1
    lines = capfd.readouterr().out.splitlines()[-4:]
    assert lines[0].endswith("(stopped: the run's deadline has passed)")
    assert lines[1].endswith("(not run: the run's deadline has passed)")
    assert lines[3] == "1 passed, 3 failed, 0 skipped"


def test_interrupt_lets_pytest_clean_up(checkout: Path, tmp_path: Path) -> None:
    started, cleaned = tmp_path / "started", tmp_path / "cleaned"
    write(
        checkout,
        "unit",
        "import pathlib, time\n\ndef test_hang():\n"
        f"    try:\n        pathlib.Path({str(started)!r}).touch()\n        time.sleep(60)\n"
        f"    finally:\n        pathlib.Path({str(cleaned)!r}).touch()\n",
    )
    code = (
        "import pathlib, sys; from underlay import cli; from underlay.proof import own_tests;"
        f"own_tests.root = lambda: pathlib.Path({str(checkout)!r}); sys.exit(cli.main(['test']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    until(started.exists)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "interrupted\n")
    assert cleaned.exists()


def test_what_an_interrupted_test_leaves_is_ended(checkout: Path, tmp_path: Path) -> None:
    """It has a session of its own and ignores what it can: it is ended by its descent."""
    left = tmp_path / "left"
    script = "trap : INT TERM HUP; echo $$ >$0.new; mv $0.new $0; while :; do sleep 1; done"
    write(
        checkout,
        "unit",
        "import subprocess, time\n\ndef test_hang():\n"
        f"    subprocess.Popen(['setsid', 'sh', '-c', {script!r}, {str(left)!r}])\n"
        "    time.sleep(60)\n",
    )
    records = checkout / ".underlay" / "labs"
    (records / "before").mkdir(parents=True)
    code = (
        "import pathlib, sys; from underlay import cli; from underlay.proof import own_tests;"
        f"own_tests.root = lambda: pathlib.Path({str(checkout)!r}); sys.exit(cli.main(['test']))"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=-3, env=environment)
    until(left.exists)
    pid = int(left.read_text())
    (records / "begun").mkdir()
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(timeout=PATIENCE) == 130
    assert start_time(pid) is None
    assert [folder.name for folder in records.iterdir()] == ["before"]


def test_golden_files(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kept = checkout / "tests" / "golden" / "kept.txt"
    write(
        checkout,
        "golden",
        "from pathlib import Path\n\n"
        "def test_kept(golden): golden(Path(__file__).with_name('kept.txt'), 'one\\ntwo\\n')\n",
    )
    run: Callable[..., int] = lambda *extra: cli.main(  # noqa: E731
        ["test", "--layer", "golden", "--", "-q", *extra]
    )
    assert run() == 1
    assert "tests/golden/kept.txt is missing" in capfd.readouterr().out
    assert run("--update-golden") == 1
    assert "rewritten by --update-golden: tests/golden/kept.txt" in capfd.readouterr().out
    assert kept.read_text() == "one\ntwo\n"
    assert run() == 0
    kept.write_text("one\nthree\n")
    capfd.readouterr()
    assert run() == 1
    out = capfd.readouterr().out
    assert "-three\n" in out
    assert "+two\n" in out


@pytest.mark.parametrize(
    ("layers", "exists", "builds"),
    [
        (("unit", "golden", "cluster"), False, True),
        (("unit", "golden", "cluster"), True, False),
        (("unit", "golden"), False, False),
        (("cluster",), False, False),
    ],
)
def test_the_image_is_built_while_tests_run_that_need_none(
    layers: tuple[str, ...],
    exists: bool,
    builds: bool,
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is not done by the end of the run is ended with it."""
    said, pid = checkout / "said", checkout / "pid"
    launcher = checkout / "underlay"
    launcher.write_text(
        f'#!/bin/sh\necho $$ >{pid}\necho "$@" >{said}.new; mv {said}.new {said}\nsleep 60\n'
    )
    launcher.chmod(0o755)
    monkeypatch.setattr(own_tests, "current", lambda: SimpleNamespace(exists=exists))
    with own_tests.image_meanwhile(layers) as building:
        assert building == builds
        if builds:
            until(said.exists)
            assert said.read_text() == "image build\n"
            assert start_time(int(pid.read_text())) is not None
    assert said.exists() == builds
    if builds:
        until(lambda: start_time(int(pid.read_text())) is None)


def test_a_machine_that_can_build_no_image_runs_its_other_tests(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking() -> None:
        raise Infrastructure("there is no kernel")

    (checkout / "underlay").touch()
    monkeypatch.setattr(own_tests, "current", lacking)
    with own_tests.image_meanwhile(own_tests.LAYERS) as building:
        assert not building


def test_line_of_a_layer() -> None:
    result = Layer("unit", 3, 0, 1, 2.345)
    assert verb.layer_line(result) == "unit: 3 passed, 0 failed, 1 skipped in 2.3 s"
    line = verb.layer_line(replace(result, left=7))
    assert line == "unit: 3 passed, 0 failed, 1 skipped in 2.3 s, 7 left to --all"


@pytest.mark.parametrize("processors", [pytest.param(1, marks=pytest.mark.all), 2])
def test_what_is_left_to_the_full_proof_is_counted(
    processors: int,
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    write(
        checkout,
        "unit",
        "import pytest\n\ndef test_good(): pass\n\n"
        "@pytest.mark.all\ndef test_slow(): pass\n\n@pytest.mark.all\ndef test_other(): pass\n",
    )
    assert cli.main(["test", "--layer", "unit", "--json"]) == 0
    (layer,) = json.loads(capfd.readouterr().out)["layers"]
    assert (layer["passed"], layer["left"]) == (1, 2)
    assert cli.main(["test", "--layer", "unit", "--json", "--", "-k", "good or slow"]) == 0
    (layer,) = json.loads(capfd.readouterr().out)["layers"]
    assert (layer["passed"], layer["left"]) == (1, 1)
    assert cli.main(["test", "--layer", "unit", "--json", "--all"]) == 0
    (layer,) = json.loads(capfd.readouterr().out)["layers"]
    assert (layer["passed"], layer["left"]) == (3, 0)
