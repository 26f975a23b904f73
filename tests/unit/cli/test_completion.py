"""Shell completion: the scripts, really run by each shell, and the words asked for at Tab."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from underlay import cli
from underlay.cli import which_lab as labs
from underlay.cli import words
from underlay.cli.grammar import SHELLS, Values, grammar, with_values
from underlay.cli.shells import script

# Stands for `underlay` where a script asks it for names.
STAND_IN = """#!/bin/sh
[ "$1" = --complete ] || exit 9
case $2 in
    labs) printf '%s\\n' coreos docker-vlan ;;
    running) printf '%s\\n' coreos ;;
    nodes) printf '%s\\n' core-01 core-02 ;;
    targets) printf '%s\\n' core-01 lannet-1a switch ;;
esac
"""

# Each program's arguments are the words of the command line, the last one under the cursor.
BASH = """
compopt() { :; }
. "$0"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_underlay
printf '%s\\n' "${COMPREPLY[@]}"
"""
# Outside of its line editor zsh has no compadd; these keep what the script hands on.
ZSH = """
compdef() { }
compadd() { [ "$1" = -- ] && shift; offered+=("$@") }
_describe() { local name; for name in ${(P)2}; do offered+=("${name%%:*}"); done }
_files() { offered+=(*(N)) }
_default() { }
offered=()
. $0
words=("$@") CURRENT=$#
_underlay
for name in $offered; do [[ $name == "$words[CURRENT]"* ]] && print -r -- $name; done
true
"""
FISH = """
source $argv[1]
complete -C (string join ' ' -- $argv[2..-1]) | string replace -r '\\t.*' ''
true
"""


# Debian brings bash; the others are part of the full proof, which wants them installed.
each_shell = pytest.mark.parametrize(
    "shell",
    [shell if shell == "bash" else pytest.param(shell, marks=pytest.mark.all) for shell in SHELLS],
)


def complete(shell: str, folder: Path, *line: str) -> set[str]:
    """Return what ``shell`` offers in ``folder`` for the last word of ``line``."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: apt-get install {shell}")
    file, program = folder.parent / f"c.{shell}", folder.parent / "underlay"
    file.write_text(script(shell))
    program.write_text(STAND_IN)
    program.chmod(0o755)
    command = {
        "bash": ["bash", "--norc", "-c", BASH, str(file), *line],
        "zsh": ["zsh", "-f", "-c", ZSH, str(file), *line],
        "fish": ["fish", "--no-config", "-c", FISH, str(file), *line],
    }[shell]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        env={"PATH": f"{folder.parent}:{os.environ['PATH']}", "HOME": str(folder.parent)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that holds one lab file."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "mine.yml").touch()
    return here


@each_shell
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        (("underlay", "comp"), {"completion"}),
        (("underlay", "ssh", ""), {"core-01", "core-02"}),
        (("underlay", "ssh", "core-01", ""), set()),
        (("underlay", "exec", "sw"), {"switch"}),
        (("underlay", "exec", "--lab", ""), {"coreos"}),
        (("underlay", "exec", "--lab", "coreos", "l"), {"lannet-1a"}),
        (("underlay", "up", ""), {"coreos", "docker-vlan", "mine.yml"}),
        (("underlay", "up", "--j"), {"--json"}),
        (("underlay", "test", "--layer", "g"), {"golden"}),
        (("underlay", "image", "ex"), {"export"}),
        (("underlay", "image", "import", "m"), {"mine.yml"}),
        (("underlay", "status", ""), set()),
        (("./underlay", "ssh", "core-02"), {"core-02"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_each_shell_offers_the_same(
    shell: str, line: tuple[str, ...], offered: set[str], folder: Path
) -> None:
    if line[0] == "./underlay":
        folder = folder.parent
        (folder / "inner").mkdir()
        folder = folder / "inner"
        (folder / "underlay").symlink_to("../underlay")
    assert complete(shell, folder, *line) == offered


@each_shell
def test_first_word_is_a_verb(shell: str, folder: Path) -> None:
    assert complete(shell, folder, "underlay", "") - {"--help", "--version"} == set(cli.summaries())


@each_shell
def test_every_option_is_in_the_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    text = capsys.readouterr().out
    for verb in grammar():
        for option in verb.options:
            assert option.name.removeprefix("--") in text, f"{verb.name} {option.name}"


def test_unknown_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", "csh"]) == 2
    assert "shells: bash, zsh, fish" in capsys.readouterr().err


def test_an_option_takes_a_value_with_every_verb_or_with_none() -> None:
    """The scripts skip the word after such an option without knowing the verb."""
    taking = with_values(grammar())
    flags = {o.name for verb in grammar() for o in verb.options if o.values is None}
    assert flags.isdisjoint(taking)


def test_every_first_argument_is_known() -> None:
    """A new verb's argument needs a line in grammar.py, or it completes to nothing."""
    unknown = [v.name for v in grammar() if v.arguments and v.arguments[0] == Values()]
    assert unknown == ["test"], "pytest's arguments are the only ones that aren't ours"


def test_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(labs, "states", lambda: tmp_path)
    monkeypatch.setattr(words, "state", lambda lab: tmp_path / lab)
    for lab, container in (("one", "a-1a"), ("two", "b-1a")):
        (tmp_path / lab).mkdir()
        (tmp_path / lab / "lab.json").touch()
        plan = {"nodes": [{"name": "core-01"}], "containers": [{"name": container}]}
        (tmp_path / lab / "plan.json").write_text(json.dumps(plan))
    assert cli.main(["--complete", "running"]) == 0
    assert cli.main(["--complete", "targets"]) == 0
    assert capsys.readouterr().out.split() == ["one", "two", "core-01", "a-1a", "b-1a", "switch"]
    (tmp_path / "one" / "plan.json").write_text("{")
    assert words.words("nodes") == ["core-01"]
    assert words.words("nonsense") == []
    assert "docker-vlan" in words.words("labs")
