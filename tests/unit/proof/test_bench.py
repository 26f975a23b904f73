"""The bench without nodes: what it says, what it can't measure, and that it ends its commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import doc_pages
import documents
from underlay import cli
from underlay.cluster import checkout
from underlay.cluster.providers import NAMES as PROVIDERS
from underlay.cluster.providers import provider
from underlay.errors import Infrastructure
from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.proof.bench import baseline, bench, command_line, dataplane, figures, labs
from underlay.proof.bench.bench import document, machine
from underlay.proof.bench.figures import (
    FIGURES,
    ICMP,
    MEASURES,
    NAMES,
    ONE_A_NODE,
    ONE_BY_ONE,
    ONE_BY_ONE_SHARED,
    SAMPLE,
    Found,
)
from underlay.proof.bench.labs import Stopwatch
from underlay.proof.records import keeping
from underlay.report.bars import bars
from underlay.storage import paths

ROW = {
    "driver": "macvlan",
    "where": "between nodes",
    "throughput_gbit_s": 2.0,
    "cpu_s_per_gbit": 0.5,
    "latency_ms": {"p50": 0.2, "p90": 0.3, "p99": 0.4, "max": 1.5, "lost": 0.0},
    "connections_per_s": 1234.5,
}


def stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Have the shell's ``script`` run wherever the bench runs ``underlay``."""
    program = folder / "underlay"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(command_line, "program", lambda: [str(program)])


def test_every_figure_is_measured_by_one_function() -> None:
    measured = [name for _, names in MEASURES for name in names]
    assert sorted(measured) == sorted(NAMES)


def test_page_lists_the_figures_and_their_aims() -> None:
    page = (doc_pages.DOCS / "verbs" / "bench.md").read_text()
    for figure in FIGURES:
        (row,) = (line for line in page.splitlines() if line.startswith(f"| `{figure.name}`"))
        assert row.endswith(f"| ≤ {figure.aim:g} s |" if figure.aim else "| |"), row


def test_document_has_the_fields_that_the_page_lists() -> None:
    found = Found()
    for seconds in (3.0, 1.0, 2.0):
        found.add("lint_s", seconds)
    found.add("up_to_matrix_s", 10.0)
    found.add(figures.LIBVIRT, 40.0)
    found.not_run["switch_s"] = "there is no verb `switch`"
    found.growth["s_per_node_of_20"] = 3.5
    found.load |= dict.fromkeys(NAMES, (0.5, 1.5))
    facts = {**machine(), "load_after": 1.0, "seconds": 2.0}
    said = document(found, set(NAMES), facts)
    assert not doc_pages.wrong_fields(doc_pages.DOCS / "verbs" / "bench.md", said)
    row = said["results"][0]
    assert (row["name"], row["median"], row["min"], row["max"], row["runs"]) == (
        "lint_s", 2.0, 1.0, 3.0, 3,
    )  # fmt: skip
    assert said["libvirt_ratio"] == 4.0
    assert row["load"] == {"before": 0.5, "after": 1.5}
    assert said["ssh_ping_ratio"] is None
    found.add(ICMP, 2.0)
    found.add(ONE_BY_ONE, 3000.0)
    found.add(ONE_BY_ONE_SHARED, 300.0)
    found.add(ONE_A_NODE, 3.0)
    said = document(found, set(NAMES), facts)
    names = ("ssh_ping_ratio", "ssh_ping_shared_ratio", "ssh_fping_ratio")
    assert [said[name] for name in names] == [1500.0, 150.0, 1.5]


def test_a_ratio_is_the_quotient_of_two_figures_of_the_record(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Figures that were measured apart, too: what is left of a run's own ratio isn't shown."""
    monkeypatch.setattr(keeping, "folder", lambda: tmp_path)
    found = Found()
    found.load |= dict.fromkeys(NAMES, (0.5, 1.5))
    found.add("up_to_matrix_s", 10.0)
    found.add(figures.LIBVIRT, 40.0)
    found.add("nodes_20_s", 100.0)
    found.growth["s_per_node_of_20"] = 5.0
    bench.record(document(found, set(NAMES), machine()))
    again = Found()
    again.load |= found.load
    again.add("up_to_matrix_s", 8.0)
    bench.record(document(again, {"up_to_matrix_s"}, machine()))
    rows = keeping.read("bench").rows
    medians = {name: row.median for name, row in rows.items()}
    assert medians == {"up_to_matrix_s": 8.0, figures.LIBVIRT: 40.0, "nodes_20_s": 100.0}
    assert bench.ratios(medians)["libvirt_ratio"] == 5.0
    assert rows["nodes_20_s"].growth == {"s_per_node_of_20": 5.0}


def test_what_is_scaled_says_so() -> None:
    for figure in FIGURES:
        if figure.name in (ONE_BY_ONE, ONE_BY_ONE_SHARED):
            assert figure.what.endswith(f"scaled from {SAMPLE} pairs")


def test_figures_are_of_a_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def git(*words: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@x", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    monkeypatch.setattr(bench, "root", lambda: tmp_path)
    monkeypatch.setattr(bench, "is_checkout", lambda: True)
    assert (machine()["commit"], machine()["dirty"]) == (None, False)
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message=one")
    assert (machine()["commit"], machine()["dirty"]) == (git("rev-parse", "HEAD"), False)
    (tmp_path / "file").touch()
    assert machine()["dirty"]
    # The repository isn't that of the folders in it.
    (tmp_path / "inner").mkdir()
    assert checkout.commit(tmp_path / "inner") == ""
    monkeypatch.setattr(bench, "is_checkout", lambda: False)
    assert (machine()["commit"], machine()["dirty"]) == (None, False)


def test_what_fails_is_not_run_and_the_exit_code_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    stand_in(monkeypatch, tmp_path, "echo 'error: it rains' >&2; exit 3")
    assert cli.main(["bench", "cli_start_s", "--json"]) == 3
    said = json.loads(capsys.readouterr().out)
    assert said["results"] == []
    reason = "`underlay --version`: exit 3: error: it rains"
    assert said["not_run"] == [{"name": "cli_start_s", "reason": reason}]
    stand_in(monkeypatch, tmp_path, "exit 0")
    assert cli.main(["bench", "cli_start_s", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["not_run"], said["results"][0]["runs"]) == ([], 10)


def test_what_fails_at_its_second_run_is_partly_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    script = f"[ -e {mark} ] && {{ rm {mark}; echo 'error: it rains' >&2; exit 3; }}; touch {mark}"
    stand_in(monkeypatch, tmp_path, script)
    assert cli.main(["bench", "cli_start_s", "--json"]) == 3
    said = json.loads(capsys.readouterr().out)
    reason = "1 of 10 runs; then: `underlay --version`: exit 3: error: it rains"
    assert said["not_run"] == [{"name": "cli_start_s", "reason": reason}]
    assert said["results"][0]["runs"] == 1
    assert cli.main(["bench", "cli_start_s"]) == 3
    assert f"partly run: cli_start_s: {reason}\n" in capsys.readouterr().out
    # Measured once, it is complete before it fails.
    assert cli.main(["bench", "cli_start_s", "--quick"]) == 0


@pytest.mark.parametrize("pause", ["0.4", "60"], ids=("between commands", "within a command"))
def test_what_the_time_ends_is_partly_run(
    pause: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    mark = tmp_path / "ran"
    script = f"[ -e {mark} ] && exec sleep {pause}; touch {mark}"
    stand_in(monkeypatch, tmp_path, script)
    monkeypatch.setattr(bench, "LONGEST", 1.0)
    assert cli.main(["bench", "cli_start_s", "lint_s", "--json"]) == 3
    said = json.loads(capsys.readouterr().out)
    first, second = said["not_run"]
    assert (first["name"], second["name"]) == ("cli_start_s", "lint_s")
    runs, _, why = first["reason"].partition(" of 10 runs; then: ")
    assert int(runs) == said["results"][0]["runs"] > 0
    assert "took longer than" in why or why == "the bench's time was over"
    assert second["reason"] == why


def test_what_fails_behind_the_last_run_is_noted() -> None:
    found = Found()
    found.runs("matrix_300_icmp_s", range(1))
    found.add("start_300_s", 1.0)
    found.add("matrix_300_icmp_s", 1.0)
    found.fail(["start_300_s", "matrix_300_icmp_s"], "`underlay down`: exit 3")
    reason = "1 of 1 runs; then: `underlay down`: exit 3"
    assert found.not_run == {"matrix_300_icmp_s": reason}


def test_a_lab_that_cannot_be_ended_is_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(paths.HOME, str(tmp_path))
    script = f"case $1 in up) mkdir -p {tmp_path}/labs/bench-lean ;; *) exit 3 ;; esac"
    stand_in(monkeypatch, tmp_path, script)
    monkeypatch.setattr(Stopwatch, "warm", lambda self, file: None)
    watch = Stopwatch(tmp_path, 60, lambda line: None, quick=True)
    with (
        pytest.raises(Infrastructure, match="down --lab bench-lean"),
        watch.lab(labs.copy("lean", tmp_path)),
    ):
        pass
    # What failed first is what matters.
    with pytest.raises(Infrastructure, match="it rains"), watch.lab(labs.copy("lean", tmp_path)):
        raise Infrastructure("it rains")


# A stand-in for ssh to any of the nodes: all of its containers have got an answer of each address.
ANSWERS = (
    "{ cat >/dev/null; node=${7#core-0}; for letter in a b c d; do"
    ' for address in $(echo "$*" | grep -o "10[.]7[.][0-9.]*"); do'
    ' echo "many-$node$letter $address"; done; done; }'
)


def three_nodes(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> Stopwatch:
    """Have a dozen containers on three nodes, and the shell's ``script`` for ssh."""
    rows = [
        {"name": f"many-{node}{letter}", "node": f"core-0{node}", "address": f"10.7.{node}.{at}"}
        for node in (1, 2, 3)
        for at, letter in enumerate("abcd", 1)
    ]
    stand_in(monkeypatch, folder, f"echo '{json.dumps({'containers': rows})}'")
    for name, text in (("ssh", script), ("fping", "exit 0")):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return Stopwatch(folder, 60, lambda line: None, quick=True)


def test_one_ssh_a_node_asks_every_pair(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    watch = three_nodes(monkeypatch, tmp_path, f'echo "$@" >> {tmp_path}/said; {ANSWERS}')
    assert baseline.by_fping(watch, "lab") > 0
    said = (tmp_path / "said").read_text().splitlines()
    asked = [line for line in said if "sh -s" in line]
    assert len(said) == 2 * len(asked) == 6
    assert all("ControlPath=none" in line and line.count("10.7.") == 12 for line in asked)


def test_one_ssh_a_node_takes_no_pair_for_answered_that_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    watch = three_nodes(monkeypatch, tmp_path, f'{ANSWERS} | sed "/many-1a 10.7.2.4/d"')
    with pytest.raises(Infrastructure, match="1 pairs get no answer") as found:
        baseline.by_fping(watch, "lab")
    assert found.value.detail == "many-1a -> many-2d"
    # Where nothing could run at all, nothing is answered.
    watch = three_nodes(monkeypatch, tmp_path, "cat >/dev/null")
    with pytest.raises(Infrastructure, match="132 pairs get no answer"):
        baseline.by_fping(watch, "lab")
    monkeypatch.setattr(baseline.shutil, "which", lambda name: None)
    with pytest.raises(Infrastructure, match="apt install fping"):
        baseline.by_fping(watch, "lab")


@pytest.mark.parametrize("shared", [True, False])
def test_one_by_one_with_and_without_a_connection_each(
    shared: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    watch = three_nodes(monkeypatch, tmp_path, f'echo "$@" >> {tmp_path}/said')
    assert baseline.by_ping(watch, "lab", SAMPLE, shared=shared) > 0
    said = (tmp_path / "said").read_text().splitlines()
    pings = [line for line in said if " ping " in line]
    assert len(pings) == SAMPLE
    assert all(("ControlPath=none" in line) is not shared for line in pings)
    opened = [line for line in said if line.endswith(" true")]
    assert len(opened) == (3 if shared else 0)
    assert said[: len(opened)] == opened


def test_past_its_deadline_a_command_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mark = tmp_path / "cleaned"
    monkeypatch.setattr(command_line, "program", lambda: ["bash", "-c"])
    script = f"trap 'touch {mark}; exit 130' INT; while :; do sleep 0.05; done"
    # Time enough to set the trap, on a machine with much else to do.
    with pytest.raises(Infrastructure, match="took longer than 3 s"):
        command_line.run(script, deadline=3)
    assert mark.exists()


def test_ctrl_c_reaches_the_command_and_leaves_nothing(tmp_path: Path) -> None:
    mark, begun = tmp_path / "cleaned", tmp_path / "begun"
    waiting = "for each in {1..4000}; do sleep 0.05; done"
    script = f"trap 'touch {mark}; exit 130' INT; touch {begun}; {waiting}"
    text = (
        "from underlay.proof.bench import command_line\n"
        "command_line.program = lambda: ['bash', '-c']\n"
        f"command_line.run({script!r}, deadline=180)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(paths.root() / "src")}
    process = subprocess.Popen(
        [sys.executable, "-c", text], stderr=subprocess.DEVNULL, env=environment
    )
    limit = time.monotonic() + 120
    while not begun.exists() and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) != 0
    assert mark.exists()


@pytest.mark.parametrize("profile", ["lean", "full"])
@pytest.mark.parametrize("driver", dataplane.DRIVERS)
def test_labs_are_labs(driver: str, profile: str, tmp_path: Path) -> None:
    file = dataplane.lab_file(tmp_path, driver, dataplane.DRIVERS[driver], profile)
    plan = make_plan(read_lab(file))
    names = {container.name: container.node for container in plan.containers}
    assert plan.lab == file.stem
    assert {node.profile for node in plan.nodes} == {profile}
    assert names[dataplane.SOURCE] == names[dataplane.PLACES["within a node"]]
    assert names[dataplane.SOURCE] != names[dataplane.PLACES["between nodes"]]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, ...]]]:
    """Have no lab started by `dataplane`; return the lab files and the options of `up` so far.

    Within a node the bridge has no figures, and vxlan's lab doesn't start.
    """
    started: list[tuple[str, tuple[str, ...]]] = []

    @contextmanager
    def lab(self: Stopwatch, file: Path, *options: str) -> Iterator[tuple[str, float]]:
        started.append((file.read_text(), options))
        if "vxlan" in file.name:
            raise Infrastructure("`underlay up`: exit 3", detail="error: no room\n\nhint: more")
        yield file.stem, 1.0

    class Pair:
        def __init__(self, watch: Stopwatch, lab: str, source: str, destination: str) -> None:
            self.fails = "bridge" in lab and destination == dataplane.PLACES["within a node"]

        def measure(self) -> dict[str, object]:
            if self.fails:
                raise Infrastructure("iperf3 failed")
            return {key: value for key, value in ROW.items() if key not in ("driver", "where")}

    monkeypatch.setattr(Stopwatch, "lab", lab)
    monkeypatch.setattr(dataplane, "_Pair", Pair)
    return started


@pytest.mark.parametrize("name", [None, *PROVIDERS])
def test_dataplane_has_nodes_of_any_provider(
    name: str | None,
    measured: list[tuple[str, tuple[str, ...]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--provider", name] if name else []
    assert cli.main(["bench", "dataplane", "--json", *options]) == 3
    said = json.loads(capsys.readouterr().out)
    by = name or "uml"
    assert len(measured) == len(dataplane.DRIVERS)
    for text, started_with in measured:
        assert ("profile: lean" in text) is provider(by).lean_nodes
        assert ("profile: full" in text) is not provider(by).lean_nodes
        assert started_with == ("--provider", by)
    assert said["machine"]["provider"] == by
    assert said["caveat"] == provider(by).caveat
    assert said["not_run"] == [
        {"name": "bridge, within a node", "reason": "iperf3 failed"},
        {"name": "vxlan", "reason": "`underlay up`: exit 3: error: no room"},
    ]
    assert len(said["results"]) == 2 * len(dataplane.DRIVERS) - 3


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_of_nodes_on_one_host_has_its_caveat(name: str) -> None:
    assert "no measure of what hardware does" in provider(name).caveat


def test_dataplane_document_has_the_fields_that_the_page_lists(
    measured: list[tuple[str, tuple[str, ...]]], capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["bench", "dataplane", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert documents.problems("bench", said) == []
    said = {name: one for name, one in said.items() if name not in doc_pages.STAMP}
    said.pop("machine")
    page = doc_pages.section(doc_pages.DOCS / "verbs" / "bench.md", "JSON")
    assert set(doc_pages.first_column(doc_pages.parts(page)[1])) == doc_pages.fields(said)


def test_provider_is_one_that_there_is_and_of_dataplane_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["bench", "dataplane", "--provider", "nonsense"]) == 2
    refused = capsys.readouterr().err
    assert "there is no provider 'nonsense'" in refused
    assert f"providers: {', '.join(PROVIDERS)}" in refused
    assert cli.main(["bench", "lint_s", "--provider", "libvirt"]) == 2
    assert "underlay bench dataplane --provider libvirt" in capsys.readouterr().err


def test_copies_have_names_of_their_own(tmp_path: Path) -> None:
    for shipped in ("coreos", "lean"):
        file = labs.copy(shipped, tmp_path)
        assert make_plan(read_lab(file)).lab == file.stem == f"bench-{shipped}"


def test_processor_time_leaves_out_idling() -> None:
    assert dataplane.busy_seconds("cpu  100 50 200 9999 9999 30 20 0 0 0") == 4.0


def test_distribution_of_round_trips() -> None:
    lines = [f"64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time={n}.0 ms" for n in range(1, 101)]
    said = "\n".join([*lines, "101 packets transmitted, 100 received, 0.990099% packet loss"])
    found = dataplane.distribution(said)
    assert (found["p50"], found["p90"], found["p99"], found["max"]) == (51, 91, 100, 100)
    assert round(found["lost"], 4) == 0.0099
    with pytest.raises(Infrastructure, match="measured nothing"):
        dataplane.distribution("3 packets transmitted, 0 received, 100% packet loss")


def test_table_and_bars() -> None:
    half = {**ROW, "driver": "vxlan", "throughput_gbit_s": 1.0}
    text = bars(
        {
            "results": [ROW, half],
            "not_run": [{"name": "bridge", "reason": "no bridge"}],
            "caveat": "not hardware",
        },
        ascii_only=True,
    )
    assert f"vxlan, between nodes    {'#' * 20} " in text
    assert text.count(f"macvlan, between nodes  {'#' * 40} ") == 4
    assert f"macvlan, between nodes  {'#' * 40} " in text
    assert "not run: bridge: no bridge" in text
    assert text.endswith("not hardware")


@pytest.mark.parametrize("ascii_only", [True, False])
def test_every_figure_has_bars_within_eighty_columns(ascii_only: bool) -> None:
    slow = {"p50": 1234.56, "p90": 2345.67, "p99": 23456.78, "max": 23456.79, "lost": 0.5}
    rows = [
        {**ROW, "driver": driver, "where": where, "latency_ms": latency}
        for driver in dataplane.DRIVERS
        for where, latency in zip(dataplane.PLACES, [slow, ROW["latency_ms"]], strict=True)
    ]
    text = bars(
        {"results": rows, "not_run": [], "caveat": provider("uml").caveat}, ascii_only=ascii_only
    )
    table, *plots, caveat = text.split("\n\n")
    titles = [plot.splitlines()[0] for plot in plots]
    for word, title in zip(("throughput", "processor", "p50", "p99"), titles, strict=True):
        assert word in title
    mark = "#" if ascii_only else "━"
    for plot in plots:
        lines = plot.splitlines()[1:]
        assert len(lines) == len(rows)
        assert all(mark in line for line in lines)
        assert max(map(len, lines)) <= 80
    assert " ".join(caveat.split()) == provider("uml").caveat
    assert max(map(len, caveat.splitlines())) <= 80
    assert len(table.splitlines()) == len(rows) + 1
