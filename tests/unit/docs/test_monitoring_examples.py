"""What examples/monitoring holds: units that systemd takes, options and metrics that there are."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from underlay.cli.frame import verb_command
from underlay.report.prometheus import prometheus_text
from unit.report.test_run_formats import broken

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "examples" / "monitoring"
SERVICE, TIMER = FOLDER / "underlay-check.service", FOLDER / "underlay-check.timer"
RULES, NAGIOS = FOLDER / "underlay.rules.yml", FOLDER / "nagios.cfg"
PAGE = ROOT / "docs" / "monitoring.md"
FILES = sorted(FOLDER.iterdir())


def test_the_page_shows_each_file_as_it_is() -> None:
    assert sorted((SERVICE, TIMER, RULES, NAGIOS)) == FILES
    page = PAGE.read_text()
    for path in FILES:
        assert f"\n{path.read_text()}```\n" in page, path.name
        assert path.name in page


def commands() -> list[list[str]]:
    """Return the command lines of Underlay in the files and on the page, as words."""
    text = "\n".join(path.read_text() for path in (SERVICE, NAGIOS, PAGE))
    return [shlex.split(one) for one in re.findall(r"underlay/underlay (check [^\n|]*)", text)]


def test_verbs_and_options_are_there() -> None:
    assert len(commands()) >= 4
    known = {name for one in verb_command("check").params for name in one.opts}
    for words in commands():
        assert {word for word in words if re.match("--?[a-z]", word)} <= known, words
        assert "--timeout" in words


def seconds(option: str, path: Path) -> float:
    found = re.search(rf"{option}[= ](\d+)", path.read_text())
    assert found
    return float(found[1])


def test_a_check_has_ended_before_anybody_else_would_end_it() -> None:
    assert seconds("--timeout", SERVICE) + 30 < seconds("TimeoutStartSec", SERVICE)
    # Nagios' service_check_timeout is 60 s, unless it is told otherwise.
    assert seconds("--timeout", NAGIOS) < 60


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze isn't here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    def verified(service: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / SERVICE.name).write_text(service)
        shutil.copy(TIMER, tmp_path)
        return subprocess.run(
            ["systemd-analyze", "verify", "--man=no", TIMER.name, SERVICE.name],
            cwd=tmp_path, capture_output=True, text=True, timeout=60,
            env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
        )  # fmt: skip

    # There has to be such a program, for systemd looks.
    here = SERVICE.read_text().replace("/opt/underlay/underlay", str(ROOT / "underlay"))
    done = verified(here)
    assert (done.returncode, done.stderr) == (0, "")
    wrong = verified(here.replace("Type=oneshot", "Type=oneshoot"))
    assert "oneshoot" in wrong.stderr
    assert verified(SERVICE.read_text().replace("ExecStart=/", "ExecStart=")).returncode


def test_metrics_of_the_page_and_of_alerts_are_those_that_there_are() -> None:
    made = prometheus_text(broken())
    there = set(re.findall(r"^# TYPE (underlay_\w+)", made, re.MULTILINE))
    # This lab expects nothing.
    there.add("underlay_statement_kept")
    rows = re.findall(r"^\| `(underlay_\w+)` \| (.*?) \|", PAGE.read_text(), re.MULTILINE)
    assert {name for name, _ in rows} == there
    for name, labels in rows:
        found = re.search(rf"^{name}\{{(.*?)\}} ", made, re.MULTILINE)
        used = set(re.findall(r'(\w+)="', found[1])) if found else set()
        if name != "underlay_statement_kept":
            assert set(re.findall(r"`(\w+)`", labels)) == used, name
    (group,) = YAML(typ="safe").load(RULES)["groups"]
    for rule in group["rules"]:
        assert set(re.findall(r"underlay_\w+", rule["expr"])) <= there


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool isn't here")
def test_promtool_takes_metrics_and_alerts() -> None:
    for words, text in (
        (["metrics"], prometheus_text(broken())),
        (["rules", str(RULES)], ""),
    ):
        done = subprocess.run(
            ["promtool", "check", *words], input=text, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
