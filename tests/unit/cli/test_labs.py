"""`labs` lists what there is, and hints are short and near."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from underlay import cli
from underlay.cli.verbs import exec as exec_verb
from underlay.cli.which_lab import lab_names
from underlay.errors import LISTED, BadInput, listed, nearest


def document(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, object]]:
    assert cli.main(["labs", *words, "--json"]) == 0
    labs: list[dict[str, object]] = json.loads(capsys.readouterr().out)["labs"]
    return labs


def test_every_lab_is_listed_with_what_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    labs = document(capsys)
    assert [lab["name"] for lab in labs] == list(lab_names())
    for lab in labs:
        assert lab["description"], lab
        assert lab["nodes"], lab
        assert lab["runtimes"], lab


def test_words_choose_by_name_description_driver_and_runtime(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for word in ("IPVTAP", "docker-vlan"):
        for lab in document(capsys, word):
            assert word.lower() in json.dumps(lab).lower()
    both = document(capsys, "docker", "ipvlan")
    one = document(capsys, "docker")
    assert 0 < len(both) < len(one)
    assert all(lab in one for lab in both)


def test_no_lab_at_all_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert document(capsys, "token-ring") == []
    assert cli.main(["labs", "token-ring"]) == 0
    assert "no lab is about token-ring" in capsys.readouterr().out


def test_a_lab_that_cannot_be_read_is_listed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labs").mkdir()
    (tmp_path / "labs" / "torn.yml").write_text("name: [\n")
    for module in ("which_lab", "verbs.labs"):
        monkeypatch.setattr(f"underlay.cli.{module}.root", lambda: tmp_path)
    (lab,) = document(capsys)
    assert (lab["name"], lab["nodes"]) == ("torn", None)
    assert "underlay lint torn" in str(lab["description"])


@pytest.mark.parametrize(
    ("word", "choices", "meant"),
    [
        ("core-20", ["core-01", "core-02", "core-03"], ""),
        ("core-1", ["core-01", "core-02"], "core-01"),
        ("cor-02", ["core-01", "core-02"], "core-02"),
        ("eth9", ["eth0", "eth1"], ""),
        ("lannet-9z", ["lannet-1a", "lannet-3b"], ""),
        ("lannet-2z", ["lannet-1a", "lannet-2a"], "lannet-2a"),
        ("lan_net", ["lannet", "ipnet"], "lannet"),
        ("docker-ipvlan-l2", ["docker-ipvlan", "docker-ipvlan-l3"], "docker-ipvlan"),
        ("ipvlan2", ["ipvlan"], "ipvlan"),
        ("wan", ["lannet", "trunk"], ""),
    ],
)
def test_what_is_suggested_is_near(word: str, choices: list[str], meant: str) -> None:
    assert nearest(word, choices) == meant


def test_a_long_list_is_cut_and_counted() -> None:
    names = [f"lab-{number}" for number in range(85)]
    assert listed(names, more="underlay labs") == (
        ", ".join(names[:LISTED]) + " and 75 more: underlay labs"
    )
    assert listed(names[: LISTED + 1]) == ", ".join(names[: LISTED + 1])


def test_an_unknown_lab_does_not_print_all_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lint", "zzzzzz"]) == 2
    hint = capsys.readouterr().err.strip().splitlines()[-1]
    assert hint.endswith("more: underlay labs")
    assert hint.count(",") < LISTED


class _Stream:
    def __init__(self, terminal: bool) -> None:
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize("asked", [None, True, False])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("terminals", ["in out err", "in out", "in err", "out err", ""])
def test_who_gets_a_terminal(
    asked: bool | None, named: bool, terminals: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, stream in (("in", "stdin"), ("out", "stdout"), ("err", "stderr")):
        monkeypatch.setattr(sys, stream, _Stream(name in terminals.split()))
    if "in" not in terminals and (asked or not named):
        with pytest.raises(BadInput):
            exec_verb._wants_terminal(asked, named)
        return
    expected = asked if asked is not None else terminals == "in out err"
    assert exec_verb._wants_terminal(asked, named) is expected


def test_a_shell_without_a_terminal_could_not_be_run(capsys: pytest.CaptureFixture[str]) -> None:
    before = os.dup(0)
    with open(os.devnull, encoding="ascii") as null:
        os.dup2(null.fileno(), 0)
    try:
        assert cli.main(["exec", "core-01"]) == 125
    finally:
        os.dup2(before, 0)
    assert "a shell wants a terminal" in capsys.readouterr().err
