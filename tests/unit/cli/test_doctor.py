"""The verb `doctor`: its rows, what it prints, and its exit code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from underlay import cli
from underlay.cli import main
from underlay.cli.verbs import doctor
from underlay.cluster.requirements import machine
from underlay.cluster.requirements.machine import Row

GOOD = Row("tun", "can be opened", "a tun device", "", True)
BAD = Row("memory", "0.5 GiB", "2.0 GiB", "end other programs", False)


def test_all_well(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: [GOOD])
    assert cli.main(["doctor"]) == 0
    assert capsys.readouterr().out == "  ok  tun  can be opened\n\nthis machine can run labs\n"


def test_a_mistyped_provider_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--provider", "libvrt"]) == 2
    error = capsys.readouterr().err
    assert "there is no provider 'libvrt'" in error
    assert "did you mean libvirt?" in error


def test_failing_row_says_what_would_mend_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: [GOOD, BAD])
    assert cli.main(["doctor"]) == 3
    assert capsys.readouterr().out == (
        "  ok  tun     can be opened\n"
        " FAIL memory  0.5 GiB\n"
        "              needed: 2.0 GiB\n"
        "              fix: end other programs\n"
        "\n"
        "1 of 2 rows fail\n"
    )


def test_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: [GOOD, BAD])
    assert cli.main(["doctor", "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert [row["ok"] for row in document["rows"]] == [True, False]
    assert set(document["rows"][0]) == {"what", "found", "needed", "fix", "ok"}


@pytest.mark.parametrize("check", machine.CHECKS, ids=lambda check: check.__name__)
def test_each_check_gives_a_complete_row(check: object) -> None:
    row = check()  # type: ignore[operator]
    if row is not None:
        assert row.what
        assert row.found
        assert row.ok or (row.needed and row.fix)
        assert not (row.ok and row.fix)


def test_packages_are_well_formed() -> None:
    rows = machine.packages()
    names = [package for package, _, _ in rows]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", name) for name in names)
    assert all(probe.startswith("/") or "/" not in probe for _, probe, _ in rows)


def test_missing_package_names_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "packages", lambda _: [("vagrant", "no-such-command", "helps")])
    (row,) = machine.package_rows()
    assert (row.ok, row.found, row.needed) == (False, "no no-such-command", "it helps")
    assert row.fix == "sudo apt-get install --no-install-recommends vagrant"


def test_subordinate_ids_by_name_or_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "subuid"
    file.write_text("alice:100000:65536\n1000:200000:10\nbob:1:1\n")
    monkeypatch.setattr(machine.os, "getuid", lambda: 1000)
    assert machine._granted(file, "alice") == 65546
    assert machine._granted(tmp_path / "none", "alice") == 0
