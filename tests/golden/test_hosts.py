"""For each rule about hosts' configuration: files that break it, and the very words about them.

A case is one text file that holds several: `-- core-01/net.d/20-lannet.conf --` begins
a file of the host core-01, in the way of Go's txtar archives.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from underlay.fleet import read_hosts
from underlay.lint.hosts import host_rules, lint_hosts

HERE = Path(__file__).resolve().parent
CASES = HERE / "hosts"
FILES = HERE / "files"
RULES = {rule.id for rule in host_rules()}
# What can't be kept as text in a repository; tests/unit/fleet/test_hosts.py makes these.
ELSEWHERE = {"file-unreadable", "file-too-large", "file-not-text", "json-too-deep"}
HEAD = re.compile(r"^-- (.+) --\n", re.MULTILINE)

Golden = Callable[[Path, str], None]


def unpack(case: Path, folder: Path) -> list[str]:
    """Write the files of a case below ``folder``; return its hosts as NAME=DIR."""
    _, *parts = HEAD.split(case.read_text(encoding="utf-8"))
    hosts = set()
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        hosts.add(Path(name).parts[0])
    return [f"{host}={host}" for host in sorted(hosts)]


@pytest.mark.parametrize("rule", sorted(RULES - ELSEWHERE))
def test_rule(rule: str, tmp_path: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = unpack(CASES / f"{rule}.txt", tmp_path)
    monkeypatch.chdir(tmp_path)
    findings = lint_hosts(read_hosts(hosts))
    assert rule in {finding.id for finding in findings}
    assert all(finding.line for finding in findings if finding.id != "netd-not-read")
    golden(CASES / f"{rule}.log", "\n".join(f"{finding}\n" for finding in findings))


def test_no_orphan_case() -> None:
    assert {path.stem for path in CASES.iterdir()} == RULES - ELSEWHERE


def test_there_are_many_rules() -> None:
    assert len(RULES) >= 50


@pytest.mark.parametrize("lab", sorted(path.name for path in FILES.iterdir() if path.is_dir()))
def test_what_underlay_renders_is_clean(lab: str) -> None:
    pairs = [f"{folder.name}={folder}" for folder in sorted((FILES / lab).iterdir())]
    hosts = read_hosts(pairs)
    assert all(host.networks and host.links for host in hosts)
    # The default lab's ranges are somebody's; that it says so is right.
    assert {finding.id for finding in lint_hosts(hosts)} <= {"range-public"}
