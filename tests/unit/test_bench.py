"""The bench without nodes: what it says, what it can't measure, and that it ends its commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest

import doc_pages
from underlay import cli, paths
from underlay.bench import command_line, dataplane, figures, labs
from underlay.bench.bench import document, machine
from underlay.bench.figures import FIGURES, MEASURES, NAMES, Found
from underlay.cluster import access
from underlay.errors import Infrastructure
from underlay.lab import Runtime
from underlay.lab_file import read_lab
from underlay.plan import make_plan
from underlay.report.bars import bars

ROW = {
    "driver": "macvlan",
    "where": "between nodes",
    "throughput_gbit_s": 2.0,
    "cpu_s_per_gbit": 0.5,
    "latency_ms": {"p50": 0.2, "p90": 0.3, "p99": 0.4, "max": 1.5, "lost": 0.0},
    "connections_per_s": 1234.5,
}


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
    facts = {**machine(), "load_after": 1.0, "seconds": 2.0}
    said = document(found, set(NAMES), facts)
    assert not doc_pages.wrong_fields(doc_pages.DOCS / "verbs" / "bench.md", said)
    row = said["results"][0]
    assert (row["name"], row["median"], row["min"], row["max"], row["runs"]) == (
        "lint_s", 2.0, 1.0, 3.0, 3,
    )  # fmt: skip
    assert said["libvirt_ratio"] == 4.0
    assert said["ssh_ping_ratio"] is None


def test_what_fails_is_not_run_and_the_exit_code_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    program = tmp_path / "underlay"
    program.write_text("#!/bin/sh\necho 'error: it rains' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(command_line, "program", lambda: [str(program)])
    assert cli.main(["bench", "cli_start_s", "--json"]) == 3
    said = json.loads(capsys.readouterr().out)
    assert said["results"] == []
    reason = "`underlay --version`: exit 3: error: it rains"
    assert said["not_run"] == [{"name": "cli_start_s", "reason": reason}]
    program.write_text("#!/bin/sh\nexit 0\n")
    assert cli.main(["bench", "cli_start_s", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["not_run"], said["results"][0]["runs"]) == ([], 10)


def test_past_its_deadline_a_command_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mark = tmp_path / "cleaned"
    monkeypatch.setattr(command_line, "program", lambda: ["bash", "-c"])
    script = f"trap 'touch {mark}; exit 130' INT; while :; do sleep 0.05; done"
    with pytest.raises(Infrastructure, match="took longer than 1 s"):
        command_line.run(script, deadline=1)
    assert mark.exists()


def test_ctrl_c_reaches_the_command_and_leaves_nothing(tmp_path: Path) -> None:
    mark, begun = tmp_path / "cleaned", tmp_path / "begun"
    script = f"trap 'touch {mark}; exit 130' INT; touch {begun}; while :; do sleep 0.05; done"
    text = (
        "from underlay.bench import command_line\n"
        "command_line.program = lambda: ['bash', '-c']\n"
        f"command_line.run({script!r}, deadline=60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(paths.root() / "src")}
    process = subprocess.Popen(
        [sys.executable, "-c", text], stderr=subprocess.DEVNULL, env=environment
    )
    limit = time.monotonic() + 30
    while not begun.exists() and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) != 0
    assert mark.exists()


@pytest.mark.parametrize("driver", dataplane.DRIVERS)
def test_labs_are_labs(driver: str, tmp_path: Path) -> None:
    file = dataplane.lab_file(tmp_path, driver, dataplane.DRIVERS[driver])
    plan = make_plan(read_lab(file))
    names = {container.name: container.node for container in plan.containers}
    assert plan.lab == file.stem
    assert names[dataplane.SOURCE] == names[dataplane.PLACES["within a node"]]
    assert names[dataplane.SOURCE] != names[dataplane.PLACES["between nodes"]]


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
    assert f"macvlan, between nodes  {'#' * 40} " in text
    assert "not run: bridge: no bridge" in text
    assert text.endswith("not hardware")


def test_commands_can_be_run_in_containers_of_every_runtime() -> None:
    assert set(access.FIND) == set(get_args(Runtime))
