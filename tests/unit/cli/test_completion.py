"""Shell completion: the scripts, really run by each shell, and the words asked for at Tab."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from underlay import cli
from underlay.cli.frame import verb_command
from underlay.cli.verbs.completion import SCRIPTS
from underlay.cli.which_lab import lab_names
from underlay.cli.words import offered

ROOT = Path(__file__).resolve().parents[3]

# The real one, in a checkout whose environment is there already.
PROGRAM = f"""#!/bin/sh
PYTHONPATH={shlex.quote(str(ROOT / "src"))} exec {shlex.quote(sys.executable)} -P -m underlay "$@"
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
    [name if name == "bash" else pytest.param(name, marks=pytest.mark.all) for name in SCRIPTS],
)


def complete(shell: str, folder: Path, *line: str) -> set[str]:
    """Return what ``shell`` offers in ``folder`` for the last word of ``line``."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: apt-get install {shell}")
    file, program = folder.parent / f"c.{shell}", folder.parent / "underlay"
    file.write_text(SCRIPTS[shell])
    program.write_text(PROGRAM)
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
        env={
            "PATH": f"{folder.parent}:{os.environ['PATH']}",
            "HOME": str(folder.parent),
            "UNDERLAY_HOME": str(folder.parent / "state"),
        },
    )
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split())


def put_lab(home: Path, lab: str, nodes: tuple[str, ...], container: str) -> Path:
    """Record below ``home`` that ``lab`` is up, and return the file with its plan."""
    state = home / "labs" / lab
    state.mkdir(parents=True)
    (state / "lab.json").touch()
    plan = {"nodes": [{"name": node} for node in nodes], "containers": [{"name": container}]}
    (state / "plan.json").write_text(json.dumps(plan))
    return state / "plan.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that holds one lab file, on a machine where the lab `coreos` is up."""
    put_lab(tmp_path / "state", "coreos", ("core-01", "core-02"), "lannet-1a")
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
        (("underlay", "up", ""), {*lab_names(), "mine.yml"}),
        (("underlay", "up", "--j"), {"--json"}),
        (("underlay", "test", "--layer", "g"), {"golden"}),
        (("underlay", "test", "--layer", "unit", "--a"), {"--all"}),
        (("underlay", "lint", "--format", "s"), {"sarif"}),
        (("underlay", "break", "parent-do"), {"parent-down"}),
        (("underlay", "bench", "lint_s", "data"), {"dataplane"}),
        (("underlay", "image", "ex"), {"export"}),
        (("underlay", "image", "import", ""), {"mine.yml"}),
        (("underlay", "exec", "core-01", "--", "cat", "--lab", ""), {"mine.yml"}),
        (("underlay", "nonsense", ""), set()),
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


def test_script_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", "fish"]) == 0
    assert capsys.readouterr().out == SCRIPTS["fish"]


def test_unknown_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", "csh"]) == 2
    assert "shells: bash, zsh, fish" in capsys.readouterr().err


@pytest.mark.parametrize("verb", cli.summaries())
def test_every_option_is_offered(verb: str) -> None:
    command = verb_command(verb)
    names = {name for p in command.params if p.param_type_name == "option" for name in p.opts}
    # One letter isn't worth completing.
    options = {name for name in names if name.startswith("--")}
    assert {word for word, _ in offered([verb], "-")} == {*options, "--help"}


def test_every_first_argument_is_known(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new verb's argument needs a line in words.py, or it completes to nothing."""
    monkeypatch.setenv("UNDERLAY_HOME", str(folder.parent / "state"))
    first = {verb: verb_command(verb).params[:1] for verb in cli.summaries()}
    taking = [verb for verb in first for p in first[verb] if p.param_type_name == "argument"]
    unknown = [verb for verb in taking if not list(offered([verb], ""))]
    assert unknown == ["test"], "pytest's arguments are the only ones that aren't ours"


def ask(capsys: pytest.CaptureFixture[str], shell: str, *typed: str) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("_UNDERLAY_COMPLETE", shell)
        assert cli.main([*typed]) == 0
    return capsys.readouterr().out.splitlines()


def test_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNDERLAY_HOME", str(tmp_path))
    assert ask(capsys, "bash", "exec", "") == []
    plan = put_lab(tmp_path, "one", ("core-01",), "a-1a")
    put_lab(tmp_path, "two", ("core-01",), "b-1a")
    assert ask(capsys, "bash", "exec", "--lab", "") == ["one", "two"]
    assert ask(capsys, "bash", "exec", "") == ["core-01", "a-1a", "b-1a", "switch"]
    plan.write_text("{")
    assert ask(capsys, "bash", "ssh", "") == ["core-01"]
    assert ask(capsys, "bash", "exec", "") == ["core-01", "b-1a", "switch"]
    assert "docker-vlan" in ask(capsys, "bash", "up", "")


def test_each_shell_gets_the_meaning_in_its_own_way(capsys: pytest.CaptureFixture[str]) -> None:
    machines = ["--inventory", "--limit", "--dry-run"]
    options = ["--provider", "--force", "--timings", *machines, "--json", "--help"]
    assert ask(capsys, "bash", "up", "--json", "--t") == options
    text = "Show as a timeline where the time went."
    assert f"--timings:{text}" in ask(capsys, "zsh", "up", "--t")
    assert f"--timings\t{text}" in ask(capsys, "fish", "up", "--t")


def test_one_verb_is_imported_at_most() -> None:
    code = (
        "import sys; from underlay.cli import main; main(sys.argv[1:]);"
        "print(*sys.modules, file=sys.stderr)"
    )
    imported = {}
    for typed in (["u"], ["ssh", "--"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *typed],
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, "_UNDERLAY_COMPLETE": "bash", "PYTHONPATH": str(ROOT / "src")},
        )
        imported[typed[0]] = set(done.stderr.split())
    assert imported["u"].isdisjoint({"typer", "rich", "underlay.cli.verbs.ssh"})
    verbs = {f"underlay.cli.verbs.{verb}" for verb in cli.summaries()}
    assert imported["ssh"] & verbs == {"underlay.cli.verbs.ssh"}
