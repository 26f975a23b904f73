"""The verb ``hosts``: what it says of rights, and how it refuses to make a line of sudoers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from underlay.cli.verbs import hosts
from underlay.cluster.machines import Answered, ways_to
from underlay.observe.rights import Rights, _rights

ROOT = Path(__file__).resolve().parents[3]
INVENTORY = """\
all:
  hosts:
    a1: {ansible_host: 192.0.2.1}
    a2: {ansible_host: 192.0.2.2, ansible_user: visitor}
"""
TOLD = "user visitor\npython 3.13.5\nicmp {icmp}\ndigest {digest}\nsudo 0\n"


def sudoers(folder: Path, into: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "inventory.yml"
    file.write_text(INVENTORY)
    code = "import sys; from underlay.cli import main; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", code, "hosts", "-i", str(file), "--print-sudoers"]
    with into.open("w") as stdout:
        return subprocess.run(
            words,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            text=True,
            timeout=60,
            check=False,
        )


def test_who_has_no_user_is_named_and_so_is_the_file_that_a_shell_has_emptied(
    tmp_path: Path,
) -> None:
    done = sudoers(tmp_path, tmp_path / "line")
    assert done.returncode == 2
    assert "set ansible_user of a1" in done.stderr
    assert "is empty now" in done.stderr
    done = sudoers(tmp_path, Path("/dev/null"))
    assert "is empty now" not in done.stderr


@pytest.mark.parametrize(
    ("answer", "probe", "hints"),
    [
        (TOLD.format(icmp="datagram", digest=""), "not there", ["--print-probe"]),
        (TOLD.format(icmp="ping", digest="abc /x"), "another version", ["--print-probe"]),
        (TOLD.format(icmp="none", digest=""), "not there", ["ping_group_range", "--print-probe"]),
    ],
)
def test_what_would_allow_more_is_said(answer: str, probe: str, hints: list[str]) -> None:
    from underlay.cluster.inventory import Machine

    machine = Machine(name="a1", address="192.0.2.1")
    with ways_to([machine]) as ways:
        found = _rights(ways, Answered("a1", 0, answer, ""), "/x")
    assert (found.tier, found.probe) == ("reader", probe)
    lines = found.hint.splitlines()
    assert len(lines) == len(hints)
    assert all(word in line for word, line in zip(hints, lines, strict=True))


def test_rows_that_cannot_be_measured_are_not_promised(capsys: pytest.CaptureFixture[str]) -> None:
    more = Rights("a1", "192.0.2.1", "visitor", "3.13", icmp="none", hint="first\nsecond")
    hosts._show([more, Rights("a2", "192.0.2.2", "visitor", "3.13", icmp="ping", hint="second")])
    said = " ".join(capsys.readouterr().out.split())
    assert "rows of the host by TCP and UDP alone" in said
    assert "hint: first (a1) hint: second" in said


ALL = """\
Matching Defaults entries for visitor on a1:
    env_reset

User visitor may run the following commands on a1:
{entries}"""
ENTRY = """
Sudoers entry: /etc/sudoers.d/visitor
    RunAsUsers: {users}
    Options: {options}
    Commands:
\t{commands}
"""
EVERYTHING = ENTRY.format(users="ALL", options="!authenticate", commands="ALL")
BY_PASSWORD = ENTRY.format(users="ALL", options="setenv", commands="ALL")
PINNED = ENTRY.format(users="root", options="!authenticate", commands='/x ""')
BARRED = ENTRY.format(users="ALL", options="!authenticate", commands="ALL, !/bin/sh")


@pytest.mark.parametrize(
    ("entries", "tier"),
    [
        ([EVERYTHING], "lab"),
        ([PINNED, EVERYTHING], "lab"),
        ([EVERYTHING, PINNED], "lab"),
        ([PINNED], "reader"),
        ([BY_PASSWORD], "reader"),
        ([EVERYTHING, BY_PASSWORD], "reader"),
        ([BARRED], "reader"),
        ([ENTRY.format(users="www", options="!authenticate", commands="ALL")], "reader"),
        ([], "reader"),
    ],
)
def test_a_lab_needs_a_sudo_that_allows_all_and_asks_for_nothing(
    entries: list[str], tier: str
) -> None:
    from underlay.cluster.inventory import Machine

    said = TOLD.format(icmp="datagram", digest="") + "uid 1000\nshell 0\nlisted\n"
    with ways_to([Machine(name="a1", address="192.0.2.1")]) as ways:
        answer = Answered("a1", 0, said + ALL.format(entries="".join(entries)), "")
        found = _rights(ways, answer, "/x")
    assert (found.tier, bool(found.hint)) == (tier, tier != "lab")
