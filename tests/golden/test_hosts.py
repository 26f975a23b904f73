"""For each rule about hosts' configuration: files that break it, and the very words about them.

A case is one text file that holds several: see tests/archive.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from archive import files_of, unpack
from underlay.fleet import read_hosts
from underlay.lint.hosts import host_rules, lint_hosts
from underlay.lint.hosts.rule import with_prefix

HERE = Path(__file__).resolve().parent
CASES = HERE / "hosts"
FILES = HERE / "files"
RULES = {rule.id for rule in host_rules()}
# What can't be kept as text in a repository; tests/unit/fleet/test_hosts.py makes these.
ELSEWHERE = {"file-unreadable", "file-too-large", "file-not-text", "json-too-deep"}

Golden = Callable[[Path, str], None]


@pytest.mark.parametrize("rule", sorted(RULES - ELSEWHERE))
def test_rule(rule: str, tmp_path: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = unpack(files_of((CASES / f"{rule}.txt").read_text(encoding="utf-8")), tmp_path)
    monkeypatch.chdir(tmp_path)
    findings = lint_hosts(read_hosts(hosts))
    assert rule in {finding.id for finding in findings}
    assert all(finding.line for finding in findings if finding.id != "netd-not-read")
    golden(CASES / f"{rule}.log", "\n".join(f"{finding}\n" for finding in findings))


def test_no_orphan_case() -> None:
    assert {path.stem for path in CASES.iterdir()} == RULES - ELSEWHERE


def test_there_are_many_rules() -> None:
    assert len(RULES) >= 50


def test_sources_are_found_by_who_reads_them() -> None:
    """A code that only this project's own notes have is no source."""
    assert not [rule.source for rule in host_rules() if re.search(r"\bF-[A-Z]", rule.source)]


@pytest.mark.parametrize(
    ("text", "version", "cure"),
    [
        ("10.9.8.7", 4, "10.9.8.7/24"),
        ("10.9.8.7/99", 4, "10.9.8.7/24"),
        ("fd00:9::1", 6, "fd00:9::1/64"),
        ("fd00:9::1", 4, "ADDRESS/24"),
        ("core", 6, "ADDRESS/64"),
    ],
)
def test_a_cure_has_the_address_that_was_written(text: str, version: int, cure: str) -> None:
    assert with_prefix(text, version) == cure


def test_a_parents_names_are_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    case = (CASES / "parent-missing.txt").read_text(encoding="utf-8").replace("eht1", "enp7s0")
    files = files_of(case + "-- core-01/20-eth1.network --\n[Match]\nName=eth1\n")
    found = lint_hosts(read_hosts(unpack(files, tmp_path)))
    (one,) = [finding for finding in found if finding.id == "parent-missing"]
    assert one.cure == "one of eth1"


# Nothing is rendered of a fleet's networks: its nodes have the hosts' own files.
RENDERED = sorted(
    path.name for path in FILES.iterdir() if path.is_dir() and not path.name.startswith("fleet-")
)


@pytest.mark.parametrize("lab", RENDERED)
def test_what_underlay_renders_is_clean(lab: str) -> None:
    pairs = [f"{folder.name}={folder}" for folder in sorted((FILES / lab).iterdir())]
    hosts = read_hosts(pairs)
    assert all(host.networks and host.links for host in hosts)
    # The default lab's ranges are somebody's; that it says so is right.
    assert {finding.id for finding in lint_hosts(hosts)} <= {"range-public"}
