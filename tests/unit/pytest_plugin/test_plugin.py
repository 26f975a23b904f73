"""The plugin for pytest where no node is needed: what is said, collected and imported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from underlay.cluster.state.lab import LabState
from underlay.errors import Infrastructure
from underlay.lint import Loaded, load
from underlay.proof.explanation import NOTHING
from underlay.proof.lab import Proof
from underlay.pytest_plugin import cluster, session
from underlay.pytest_plugin.bringing import Up
from underlay.storage import paths
from unit.proof.test_runs import seen

pytest_plugins = "pytester"

PLUGIN = ("-p", "underlay.pytest_plugin.plugin", "-p", "no:cacheprovider")
LAB = """\
name: small
nodes: {count: 2, profile: lean}
protocols: [icmp, tcp]
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  web: {driver: macvlan, segment: lan, subnet: 10.1.0.0/24, runtime: iproute2}
containers:
  - {on: all, name: web, networks: [web]}
"""
EXAMPLE = paths.root() / "examples" / "pytest-project"
# In CI pytest says the whole of each error a second time, in its summary.
OF_CI = ("CI", "BUILD_NUMBER")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No lab is named, none is up, and no option of these very tests reaches the inner ones."""
    monkeypatch.delenv("UNDERLAY_LAB", raising=False)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    for one in OF_CI:
        monkeypatch.delenv(one, raising=False)
    monkeypatch.setenv(paths.HOME, str(tmp_path / "home"))


@pytest.fixture
def lab(pytester: pytest.Pytester) -> Path:
    file = pytester.path / "small.yml"
    file.write_text(LAB)
    return file


def run(pytester: pytest.Pytester, *words: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess(*PLUGIN, *words)


class Started:
    """What a run does to its lab, which is as predicted but for the first ``wrong`` cells."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.wrong = self.missing = 0
        self.error: Infrastructure | None = None

    @contextmanager
    def brought_up(self, loaded: Loaded, tell: Any) -> Iterator[Up]:
        if self.error is not None:
            raise self.error
        self.did.append(f"up {loaded.plan.lab}")
        self._plan = loaded.plan
        yield Up(LabState(loaded.plan.lab, str(loaded.file), "uml"), Path("home"))
        self.did.append("end")

    def kept(self, up: Up, *, shared: bool) -> list[str]:
        self.did.append("keep")
        return [f"underlay: the lab {up.state.lab} stays up"]

    def prove(self, state: LabState, tell: Any) -> Proof:
        self.did.append("measure")
        return Proof(seen(self._plan, wrong=self.wrong, missing=self.missing), NOTHING)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    it = Started()
    monkeypatch.setattr(session, "brought_up", it.brought_up)
    monkeypatch.setattr(session, "kept", it.kept)
    monkeypatch.setattr(cluster, "prove", it.prove)
    return it


@pytest.mark.parametrize("fixture", ["cluster", "node", "container", "matrix", "cell"])
def test_without_a_lab_a_test_fails_with_what_to_type(
    pytester: pytest.Pytester, fixture: str
) -> None:
    pytester.makepyfile(f"def test_it({fixture}): ...")
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["this test needs a lab*", "type: pytest --underlay LAB*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*plugin.py*")


@pytest.mark.parametrize(
    ("file", "content", "place"),
    [
        ("pyproject.toml", "[tool.pytest.ini_options]\naddopts = ''\n", "tool.pytest.ini_options"),
        ("pyproject.toml", "[tool.ruff]\n", "tool.pytest.ini_options"),
        ("pyproject.toml", "[tool.pytest]\naddopts = []\n", "tool.pytest"),
        ("pytest.toml", "[pytest]\n", "pytest"),
        ("pytest.ini", "[pytest]\n", "pytest"),
        ("tox.ini", "[pytest]\n", "pytest"),
        ("setup.cfg", "[tool:pytest]\n", "tool:pytest"),
        ("", "", "pytest"),
    ],
)
def test_the_place_for_a_lab_is_that_of_the_users_own_file(
    pytester: pytest.Pytester, file: str, content: str, place: str
) -> None:
    if file:
        (pytester.path / file).write_text(content)
    pytester.makepyfile("def test_it(cluster): ...")
    (line,) = (one for one in run(pytester).outlines if one.startswith("type: pytest"))
    word = '"web.yml"' if file.endswith(".toml") else "web.yml"
    assert f"write `underlay = {word}` below [{place}] in {file or 'a new pytest.ini'})" in line


def test_a_marked_test_without_a_lab_says_so_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.cells("web-* -> web-*")
        def test_it(cell): ...
        """
    )
    result = run(pytester, "--strict-markers")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["this test needs a lab*"])


def test_other_runs_import_nothing_of_underlay(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys
        def test_it():
            ours = {name for name in sys.modules if name.partition(".")[0] == "underlay"}
            assert sorted(ours) == [
                "underlay", "underlay.pytest_plugin", "underlay.pytest_plugin.plugin"
            ]
            assert not {"pydantic", "ruamel.yaml", "testinfra", "rich"} & set(sys.modules)
        """
    )
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", *PLUGIN],
        cwd=pytester.path,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(paths.PACKAGE.parent),
            # Other plugins of this environment import testinfra themselves.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("by", ["option", "environment", "file"])
def test_cells_are_collected_from_the_plan(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    started: Started,
    lab: Path,
    by: str,
) -> None:
    words = ["--collect-only", "-q", "--strict-markers"]
    if by == "option":
        words += ["--underlay", "small.yml"]
    elif by == "environment":
        monkeypatch.setenv("UNDERLAY_LAB", "small.yml")
    else:
        pytester.makeini("[pytest]\nunderlay = small.yml\n")
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.cells("web-1a -> *", protocol="tcp")
        def test_it(cell): ...
        """
    )
    result = run(pytester, *words)
    found = [line.partition("[")[2] for line in result.outlines if "[" in line]
    assert found == ["web-1a->web-2a-tcp]", "web-1a->core-01-tcp]", "web-1a->core-02-tcp]"]
    assert started.did == []


def test_a_file_that_is_not_there_is_an_error_of_usage(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): ...")
    result = run(pytester, "--underlay", "wbe.yml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --underlay: wbe.yml is not there", "hint: *"])


def test_what_is_wrong_in_a_lab_is_an_error_of_usage_with_file_and_line(
    pytester: pytest.Pytester, lab: Path
) -> None:
    lab.write_text(LAB.replace("segment: lan", "segment: lam"))
    pytester.makepyfile("def test_it(): ...")
    result = run(pytester, "--underlay", "small.yml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --underlay: *small.yml:7:*'lam'*"])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_what_lint_finds_is_one_as_well(pytester: pytest.Pytester) -> None:
    broken = paths.root() / "labs" / "broken" / "seed-as-written.yml"
    pytester.makepyfile("def test_it(): ...")
    result = run(pytester, "--underlay", str(broken))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --underlay: {broken}:*:*: *", "hint: underlay lint *"])


def test_the_environments_lab_concerns_only_who_needs_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERLAY_LAB", "not-there.yml")
    pytester.makepyfile(test_other="def test_it(): ...")
    run(pytester).assert_outcomes(passed=1)
    pytester.makepyfile(test_network="def test_it(matrix): ...")
    result = run(pytester)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: $UNDERLAY_LAB: not-there.yml is not there"])


def test_a_lab_that_is_up_is_meant_by_its_name_and_by_the_environments_file(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, lab: Path
) -> None:
    LabState("small", str(lab), "uml").write(load(lab).plan)
    pytester.makepyfile("def test_it(): ...")

    def header(*words: str) -> str:
        lines = run(pytester, *words).outlines
        return next(line for line in lines if line.startswith("underlay: "))

    assert header("--underlay", "small") == "underlay: lab small, which is up"
    assert header("--underlay", "small.yml").endswith("(small.yml), in a sandbox of its own")
    monkeypatch.setenv("UNDERLAY_LAB", "small.yml")
    pytester.makepyfile("import pytest\n@pytest.mark.cells()\ndef test_it(cell): ...")
    started = Started()
    monkeypatch.setattr(session, "brought_up", started.brought_up)
    monkeypatch.setattr(cluster, "prove", lambda state, _: pytest.fail(f"prove {state.lab}"))
    run(pytester, "-x").stdout.fnmatch_lines(["*prove small"])
    assert started.did == []


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ("cells('wep-*')", "*test_it.py:3: the ends 'wep-*': nobody in small is called so"),
        ("cells(protocol='udp')", "*test_it.py:3: protocol 'udp': small isn't measured by it"),
        ("cells('web-*', protocols='tcp')", "*test_it.py:3: the marker cells has no protocols"),
        ("cells(1)", "*test_it.py:3: ends are texts"),
        ("cells(family=6)", "*test_it.py:3: no cell of small*family 6"),
    ],
)
def test_a_marker_that_chooses_nothing_is_told_with_file_and_line(
    pytester: pytest.Pytester, lab: Path, mark: str, said: str
) -> None:
    pytester.makepyfile(
        test_it=f"""
        import pytest

        @pytest.mark.{mark}
        def test_it(cell): ...
        """
    )
    result = run(pytester, "--underlay", "small.yml")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([said])
    result.stdout.no_fnmatch_line("*parametrised.py*")
    result.stdout.no_fnmatch_line("*During handling*")


def test_a_marker_needs_the_argument_and_the_argument_a_marker(
    pytester: pytest.Pytester, started: Started, lab: Path
) -> None:
    pytester.makepyfile(
        test_one="""
        import pytest
        @pytest.mark.cells()
        def test_it(matrix): ...
        """,
        test_two="def test_it(cell): ...",
    )
    result = run(pytester, "--underlay", "small.yml", "--continue-on-collection-errors")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*it has the marker cells, and no argument `cell`"])
    result.stdout.fnmatch_lines(["a test that takes `cell` says which: @pytest.mark.cells(*"])


TWO = """
import pytest

@pytest.mark.cells("web-1a -> web-2a")
def test_cells(cell):
    assert cell.reachable and cell.as_expected and cell.observed == "reachable"

def test_matrix(matrix, cluster):
    assert matrix.reaches("web-1a", "web-2a")
    assert not matrix.reaches("web-1a", "core-01", "icmp")
    assert cluster.nodes == ("core-01", "core-02")
"""


def test_a_lab_is_brought_up_once_measured_once_and_ended(
    pytester: pytest.Pytester, started: Started, lab: Path
) -> None:
    pytester.makepyfile(TWO)
    result = run(pytester, "--underlay", "small.yml")
    result.assert_outcomes(passed=3)
    assert started.did == ["up small", "measure", "end"]
    result.stdout.fnmatch_lines(["underlay: lab small (small.yml), in a sandbox of its own"])
    result.stdout.no_fnmatch_line("*stays up*")


@pytest.mark.parametrize(
    ("how", "wrong", "stays"),
    [("never", 1, False), ("failed", 0, False), ("failed", 1, True), ("always", 0, True)],
)
def test_a_lab_is_kept_as_it_is_asked(
    pytester: pytest.Pytester, started: Started, lab: Path, how: str, wrong: int, stays: bool
) -> None:
    started.wrong = wrong
    pytester.makepyfile("def test_it(matrix): assert matrix.as_expected")
    result = run(pytester, "--underlay", "small.yml", "--underlay-keep", how)
    result.assert_outcomes(passed=1 - wrong, failed=wrong)
    assert ("keep" in started.did) is stays
    assert ("underlay: the lab small stays up" in result.outlines) is stays


def test_a_failure_says_what_became_of_the_cell(
    pytester: pytest.Pytester, started: Started, lab: Path
) -> None:
    started.wrong = 1
    pytester.makepyfile("def test_it(matrix): assert matrix.reaches('web-1a', 'web-2a', 'icmp')")
    result = run(pytester, "--underlay", "small.yml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*assert web-1a does not reach web-2a by icmp, not as predicted: no cause found",
            "*- underlay explain -*",
            "web-1a → web-2a (icmp): expected reachable, observed unreachable: no answer came*",
        ]
    )


@pytest.mark.parametrize("how", ["never", "failed", "always"])
def test_a_failure_names_what_can_be_run_once_the_lab_has_been_ended(
    pytester: pytest.Pytester, started: Started, lab: Path, how: str
) -> None:
    started.wrong = 1
    pytester.makepyfile("def test_it(matrix): assert matrix.reaches('web-1a', 'web-2a', 'icmp')")
    result = run(pytester, "--underlay", "small.yml", "--underlay-keep", how)
    said = " ".join(result.stdout.str().split())
    ended = "has been ended" in said
    assert ended is (how == "never")
    assert ("`pytest --underlay-keep failed`" in said) is ended
    assert ("`underlay up " in said) is ended


def test_neither_yes_nor_no_passes_where_a_cell_was_not_measured(
    pytester: pytest.Pytester, started: Started, lab: Path
) -> None:
    started.missing = 1
    pytester.makepyfile(
        """
        def test_yes(matrix): assert matrix.reaches('web-1a', 'web-2a', 'icmp')
        def test_no(matrix): assert not matrix.reaches('web-1a', 'web-2a', 'icmp')
        def test_all(matrix): assert matrix.as_expected
        """
    )
    result = run(pytester, "--underlay", "small.yml")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["*Failed: web-1a → web-2a (icmp) was not measured: nothing was*"])


def test_a_lab_that_does_not_come_up_fails_tests_in_words(
    pytester: pytest.Pytester, started: Started, lab: Path
) -> None:
    started.error = Infrastructure("core-01 isn't ready", detail="no disk", hint="underlay doctor")
    pytester.makepyfile("def test_one(matrix): ...\ndef test_two(node): ...")
    result = run(pytester, "--underlay", "small.yml")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["the lab small.yml: core-01 isn't ready", "no disk", "hint: underlay doctor"]
    )
    result.stdout.no_fnmatch_line("*session.py*")
    result.stdout.no_fnmatch_line("*During handling*")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("node('core-1')", "*has no node 'core-1': did you mean core-01?"),
        ("node('web-1a')", "*has no node 'web-1a': nodes: core-01, core-02"),
        ("container('web-1')", "*has no container 'web-1': did you mean web-1a?"),
        ("matrix.cell('web-1', 'web-2a', 'icmp')", "*the ends 'web-1': nobody in small*web-1a*"),
        ("matrix.cell('web-1a', '*', 'icmp')", "*3 cells are called so, expected one: *"),
        ("matrix.reaches('web-1a', '*')", "*some of each*web-1a reaches web-2a by icmp*"),
        ("matrix.as_wanted", "*says nothing of what is wanted*"),
    ],
)
def test_slips_in_tests_fail_them_with_the_nearest_name(
    pytester: pytest.Pytester, started: Started, lab: Path, asked: str, said: str
) -> None:
    pytester.makepyfile(f"def test_it(node, container, matrix): {asked}")
    result = run(pytester, "--underlay", "small.yml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([said])
    result.stdout.no_fnmatch_line("*src/underlay*")
    result.stdout.no_fnmatch_line("*During handling*")


def test_a_users_own_fixtures_take_the_place_of_the_plugins(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest
        @pytest.fixture
        def node(): return "mine"
        """
    )
    pytester.makepyfile("def test_it(node): assert node == 'mine'")
    run(pytester).assert_outcomes(passed=1)


def test_the_examples_tests_are_collected_without_a_node(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--collect-only", "-q", "--rootdir", str(EXAMPLE), str(EXAMPLE))
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(
        ["*::test_web_servers_reach_databases?web-1a->db-1a-tcp:5432?", "28 tests collected*"]
    )
