"""The frame of the command line: verbs, exit codes, errors, and what is imported when."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated

import pytest
import typer

from underlay import cli
from underlay.cli import crash, overview
from underlay.cli import which_lab as labs
from underlay.errors import BadInput, Infrastructure
from underlay.proof.bench.command_line import PseudoTerminal

ROOT = Path(__file__).resolve().parents[3]
NEW_VERB = '''\
GROUP = "Labs"
ORDER = 1

def command() -> None:
    """Do something."""
'''
HEAVY = (
    "pydantic",
    "typer",
    "rich",
    "ruamel",
    "jinja2",
    "ansible_runner",
    "vagrant",
    "underlay.drivers",
)


# What `check` of a running lab reads and imports only where cells differ, or a run is kept.
OF_CHECK = (
    "underlay.cli.verbs.check",
    "underlay.cli.checks.running",
    "underlay.cli.lab_proof",
    "underlay.proof.choice",
    "underlay.proof.lab",
    "underlay.proof.result",
    "underlay.report.origins",
    "underlay.report.results",
    "underlay.report.terminal",
)
NOT_OF_CHECK = {"pydantic", "yaml", "underlay.faults", "underlay.fleet", "underlay.lab.model",
                "underlay.lint", "underlay.cluster.suite"}  # fmt: skip


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., None]], None]:
    """Return a function that makes its argument the command of the verb `check`."""

    def put(function: Callable[..., None]) -> None:
        module = ModuleType("underlay.cli.verbs.check")
        module.command = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "underlay.cli.verbs.check", module)

    return put


@pytest.fixture
def checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return an empty folder that takes the checkout's place for lab files and state."""
    monkeypatch.setattr(labs, "root", lambda: tmp_path)
    monkeypatch.setattr(labs, "states", lambda: tmp_path / ".underlay" / "labs")
    (tmp_path / "labs" / "broken").mkdir(parents=True)
    for name in ("coreos", "docker-vlan", "broken/seed-eth0"):
        (tmp_path / "labs" / f"{name}.yml").touch()
    return tmp_path


def imported_by(*arguments: str) -> set[str]:
    """Return the modules that a run of `underlay` with ``arguments`` imports."""
    return modules_after("from underlay.cli import main; main(sys.argv[1:])", *arguments)


def modules_after(code: str, *arguments: str) -> set[str]:
    """Return the modules that there are after ``code`` was run."""
    code = f"import sys; {code}; print(*sys.modules, file=sys.stderr)"
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    return set(result.stderr.splitlines()[-1].split())


def test_a_check_of_cells_that_are_as_predicted_imports_no_more_than_it_needs() -> None:
    found = modules_after(f"import {', '.join(OF_CHECK)}")
    assert set(OF_CHECK) <= found
    assert NOT_OF_CHECK.isdisjoint(found)


@pytest.mark.parametrize(
    "arguments", [("--version",), ("--help",), (), ("chekc",)], ids=lambda a: " ".join(a) or "none"
)
def test_cheap_calls_import_nothing_heavy_and_no_verb(arguments: tuple[str, ...]) -> None:
    found = imported_by(*arguments)
    assert {name.split(".")[0] for name in found}.isdisjoint(HEAVY)
    assert not [name for name in found if name.startswith("underlay.cli.verbs")]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_verb(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, summary in cli.summaries().items():
        assert f"  {name:<10} {summary}" in lines
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("entry", overview.entries(), ids=lambda entry: entry.name)
def test_what_is_read_of_a_verb_is_what_it_is_once_imported(entry: overview.Entry) -> None:
    module = importlib.import_module(f"underlay.cli.verbs.{entry.name}")
    text = inspect.getdoc(module.command) or ""
    read = (entry.group, entry.order, entry.summary)
    assert read == (module.GROUP, module.ORDER, text.splitlines()[0])


def test_places_in_the_overview_are_taken_once() -> None:
    entries = overview.entries()
    assert len({(entry.group, entry.order) for entry in entries}) == len(entries)


def test_a_new_file_is_a_new_verb(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(overview, "FOLDER", tmp_path)
    (tmp_path / "new.py").write_text(f"{NEW_VERB}    this is not even read\n")
    assert overview.is_verb("new")
    assert cli.main(["--help"]) == 0
    assert "\nLabs:\n  new        Do something.\n\nOptions:" in capsys.readouterr().out


@pytest.mark.parametrize("lacking", ["GROUP", "ORDER", "Labs", "Do something.", "command"])
def test_a_verb_that_lacks_something_is_named(
    lacking: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(overview, "FOLDER", tmp_path)
    (tmp_path / "new.py").write_text(NEW_VERB.replace(lacking, "x" * lacking.isalpha()))
    with pytest.raises(LookupError, match=r"new\.py: a verb needs GROUP"):
        overview.entries()


@pytest.mark.parametrize("name", cli.summaries())
def test_help_of_each_verb_has_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--help"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0].startswith(f"Usage: underlay {name}")
    start = next(i for i, line in enumerate(lines) if line.startswith("Example"))
    assert lines[start + 1].startswith(f"underlay {name}")


def test_unknown_verb_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lnt"]) == 2
    expected = "error: there is no verb 'lnt'\n\nhint: did you mean `underlay lint`?\n"
    assert capsys.readouterr() == ("", expected)


def test_unknown_option_is_bad_input(
    verb: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise AssertionError("must not run")

    verb(command)
    assert cli.main(["check", "--nonsense"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: no such option: --nonsense\n\nhint: `underlay check --help`")


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["diff", "a", "b", "--format", "jsom"], "it is 'jsom', not one of 'text', ", "json?"),
        (["diff", "a", "b", "--format", "html"], "it is 'html', not one of 'text', ", "--help`"),
        (["up", "--format", "html"], "no such option: --format", "hint: `underlay up"),
        (
            ["exec", "web-1a", "ping", "-c", "1", "10.1.1.1"],
            "no such option: -c",
            "what follows -- is the command's: `underlay exec web-1a -- ping -c 1 10.1.1.1`",
        ),
        (["check", "--strct"], "no such option: --strct", "did you mean --strict?"),
        (["predict", "a", "b", "c"], "nothing more is expected: b c", "--help`"),
        (["down", "mine"], "nothing more is expected: mine", "`underlay down --lab mine`"),
        (["status", "mine"], "nothing more is expected: mine", "`underlay status --lab mine`"),
        (["hosts", "mine"], "nothing more is expected: mine", "`underlay hosts --help`"),
        (["forward", "web-1a"], "expected CONTAINER:PORT", "underlay forward web-1a:80"),
        (["hosts", "--print-sudoers"], "needs --inventory", "inventory.yml --print-sudoers"),
        (["capture", "--seconds", "x"], "invalid value for '--seconds': it is no number", ""),
    ],
)
def test_words_of_libraries_do_not_leak(
    words: list[str], message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert hint in err
    for leak in ("Value error", "Input should", "argument(s)", "Possible options", "parse string"):
        assert leak.lower() not in err.lower()


def test_result_of_a_verb_is_the_exit_code(verb: Callable[..., None]) -> None:
    def command(code: int) -> None:
        raise typer.Exit(code)

    verb(command)
    assert [cli.main(["check", code]) for code in ("0", "1", "125")] == [0, 1, 125]


@pytest.mark.parametrize(("kind", "code"), [(BadInput, 2), (Infrastructure, 3)])
def test_error_has_detail_and_hint(
    kind: type[BadInput], code: int, verb: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise kind("core-02 did not start", hint="underlay doctor", detail="last line\n")

    verb(command)
    assert cli.main(["check"]) == code
    expected = "error: core-02 did not start\nlast line\n\nhint: underlay doctor\n"
    assert capsys.readouterr() == ("", expected)


def test_error_as_json(verb: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    def command(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
        raise BadInput("no lab is up", hint="underlay up")

    verb(command)
    assert cli.main(["check", "--json"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "document": "underlay error",
        "version": 1,
        "error": "no lab is up",
        "hint": "underlay up",
    }
    assert err.startswith("error: no lab is up\n")


def test_json_after_two_dashes_is_somebody_elses(
    verb: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    def command(words: list[str]) -> None:
        raise BadInput(" ".join(words))

    verb(command)
    assert cli.main(["check", "--", "ip", "--json"]) == 2
    assert capsys.readouterr() == ("", "error: ip --json\n")


def test_interrupt(verb: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise KeyboardInterrupt

    verb(command)
    assert cli.main(["check"]) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_terminate_is_an_interrupt(verb: Callable[..., None]) -> None:
    def command() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)

    verb(command)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert cli.main(["check"]) == 130
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_interrupt_that_is_raised_where_nothing_can_be_comes_back(
    verb: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)

    def command() -> None:
        thing = ModuleType("short-lived")
        there = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
        del thing
        time.sleep(30)
        print(there)

    verb(command)
    assert cli.main(["check"]) == 130


def run_module(folder: Path, *first: str) -> tuple[int, str]:
    """Run ``python -m underlay check``, some lines of Python before it."""
    last = ("import runpy", "runpy.run_module('underlay', run_name='__main__', alter_sys=True)")
    (folder / "trial.py").write_text("\n".join([*first, *last]))
    done = subprocess.run(
        [sys.executable, "-m", "trial", "check"],
        env=dict(os.environ, PYTHONPATH=f"{folder}:{ROOT / 'src'}"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


def test_an_interrupt_while_everything_is_imported(tmp_path: Path) -> None:
    assert run_module(
        tmp_path,
        "import sys",
        "class Interrupting:",
        "    def find_spec(self, name, *_):",
        "        if name == 'underlay.cli': raise KeyboardInterrupt",
        "sys.meta_path.insert(0, Interrupting())",
    ) == (130, "interrupted\n")


def test_an_interrupt_of_a_text_that_is_run_is_an_exit_code_too(tmp_path: Path) -> None:
    assert run_module(
        tmp_path,
        "import sys, types",
        "module = sys.modules['underlay.cli.frame'] = types.ModuleType('frame')",
        "module.run_verb = lambda *_: exec('raise KeyboardInterrupt')",
    ) == (130, "interrupted\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_python_itself_starts(number: signal.Signals, tmp_path: Path) -> None:
    early = f"import os\nos.kill(os.getpid(), {int(number)})\n"
    (tmp_path / "sitecustomize.py").write_text(early)
    done = subprocess.run(
        [ROOT / "underlay", "check"],
        env=dict(os.environ, PYTHONPATH=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_a_terminal_that_is_closed_while_python_itself_starts() -> None:
    for moment in (0, 0.02, 0.04, 0.06, 0.08, 0.1):
        terminal = PseudoTerminal([str(ROOT / "underlay"), "check"], os.environ, ROOT)
        terminal.watch(moment)
        terminal.close()
        # 1 is what Python says when it can't even start.
        assert terminal.process.wait(60) != 1, moment


def test_unexpected_exception_leaves_its_traceback_in_a_file(
    verb: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def command() -> None:
        raise ZeroDivisionError("no cells")

    verb(command)
    monkeypatch.setattr("underlay.cli.crash.home", lambda: tmp_path / ".underlay")
    monkeypatch.delenv("UNDERLAY_DEBUG", raising=False)
    assert cli.main(["check"]) == 3
    (file,) = (tmp_path / ".underlay" / "crashes").iterdir()
    line = f"error: this is a defect of Underlay (ZeroDivisionError); its traceback is in {file}\n"
    assert capsys.readouterr() == ("", line)
    assert "ZeroDivisionError: no cells" in file.read_text(encoding="utf-8")

    monkeypatch.setenv("UNDERLAY_DEBUG", "1")
    assert cli.main(["check"]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_crash_reports_are_bounded_in_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The oldest go first, whatever the clock says of the one that is told of; nothing else."""
    folder = tmp_path / "crashes"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    old = [folder / f"{year}0101T000000Z-1.log" for year in range(9000, 9030)]
    for path in old:
        path.write_text("old")
    monkeypatch.setattr(crash, "home", lambda: tmp_path)
    newest = crash.write_crash(ZeroDivisionError("no cells"))
    kept = [newest, *old[-crash.KEPT + 1 :]]
    assert sorted(folder.iterdir()) == sorted([*kept, folder / "notes.txt"])


@pytest.mark.parametrize(
    "prints",
    [
        "cli.print = print; cli._overview = lambda: 'x' * 200_000",
        "from underlay.cli.console import out;"
        "cli._overview = lambda: [out.print('x' * 200_000), ''][1]",
    ],
    ids=["print", "console"],
)
def test_closed_pipe_is_quiet(prints: str) -> None:
    code = f"import sys; from underlay import cli; {prints}; sys.exit(cli.main(['--help']))"
    assert reader_gone(code, "stdout") == (cli.EXIT_READER_GONE, b"")


def test_a_closed_pipe_of_messages_is_quiet_as_well() -> None:
    code = (
        "import sys; from underlay import cli; from underlay.cli.console import err;"
        "cli._overview = lambda: [err.print('x'), 'y'][1]; sys.exit(cli.main(['--help']))"
    )
    assert reader_gone(code, "stderr") == (cli.EXIT_READER_GONE, b"")


def reader_gone(code: str, name: str) -> tuple[int, bytes]:
    """Run ``code`` with nobody at one of its streams; return its exit code and the other stream."""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    streams = {"stdout": process.stdout, "stderr": process.stderr}
    streams.pop(name).close()
    (left,) = streams.values()
    said = left.read()
    left.close()
    return process.wait(timeout=30), said


@pytest.mark.parametrize(
    ("argument", "file"),
    [
        (None, "labs/coreos.yml"),
        ("docker-vlan", "labs/docker-vlan.yml"),
        ("broken/seed-eth0", "labs/broken/seed-eth0.yml"),
    ],
)
def test_lab_by_name(checkout: Path, argument: str | None, file: str) -> None:
    assert labs.resolve_lab(argument) == checkout / file


def test_lab_by_path(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "mine.yml").touch()
    monkeypatch.chdir(checkout)
    assert labs.resolve_lab("mine.yml") == Path("mine.yml")
    assert labs.resolve_lab(str(checkout / "mine.yml")) == checkout / "mine.yml"


@pytest.mark.parametrize(
    ("argument", "message", "hint"),
    [
        ("dockr-vlan", "there is no lab 'dockr-vlan' in labs/", "did you mean 'docker-vlan'?"),
        ("seed-eth0", "there is no lab 'seed-eth0' in labs/", "did you mean 'broken/seed-eth0'?"),
        ("./coreo.yml", "./coreo.yml is not there", "did you mean 'coreos'?"),
        ("/", "/ is a folder, not a lab file", None),
    ],
)
def test_lab_that_is_not_there(
    checkout: Path, argument: str, message: str, hint: str | None
) -> None:
    with pytest.raises(BadInput) as caught:
        labs.resolve_lab(argument)
    assert caught.value.message == message
    assert hint is None or caught.value.hint == hint


def test_a_folder_that_a_lab_file_lies_beside(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    net_d = Path("hosts/one/etc/cni/net.d")
    net_d.mkdir(parents=True)
    (net_d / "10-lan.conf").write_text('{"cniVersion": "1.0.0", "name": "lan", "type": "macvlan"}')
    for word in ("hosts", "./hosts", str(Path.cwd() / "hosts")):
        with pytest.raises(BadInput, match="is a folder, not a lab file") as caught:
            labs.resolve_lab(word)
        assert caught.value.hint == f"underlay import {word.removeprefix('./')} -o lab.yml" + (
            "  makes one of hosts' files"
        )
    Path("hosts.yml").write_text("name: shop\n")
    for word in ("hosts", "./hosts", str(Path.cwd() / "hosts")):
        with pytest.raises(BadInput) as caught:
            labs.resolve_lab(word)
        assert caught.value.hint.endswith("hosts.yml?")
        # As a host's folder it stays one.
        assert cli.main(["lint", word]) != 2


@pytest.mark.parametrize(
    "words", [["check", "hosts"], ["diff", "hosts", "hosts"], ["import", "pien=hosts/pien"]]
)
def test_who_names_hosts_for_a_lab_is_told_what_to_name(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("hosts/pine/etc").mkdir(parents=True)
    assert cli.main(words) == 2
    said = capfd.readouterr().err
    assert "--host" not in said
    assert ("underlay import DIR -o lab.yml" in said) == (words[0] != "import")


def test_a_path_that_is_not_there_is_looked_for_beside_it(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rack.yml").touch()
    for word, near in (("rak.yml", "rack.yml"), ("./coreo.yml", "'coreos'")):
        with pytest.raises(BadInput) as caught:
            labs.resolve_lab(word)
        assert caught.value.hint == f"did you mean {near}?"


def test_only_a_lab_that_there_is_may_be_started_by_its_name(checkout: Path) -> None:
    for name, hint in (
        ("coreos", "`underlay up coreos` starts it"),
        ("nope", "`underlay up FILE`"),
    ):
        with pytest.raises(BadInput) as caught:
            labs.running_lab(name)
        assert hint in caught.value.hint


def test_running_lab(checkout: Path) -> None:
    with pytest.raises(BadInput, match=r"^no lab is up$"):
        labs.running_lab(None)
    start(checkout, "coreos")
    assert labs.running_lab(None) == "coreos"
    start(checkout, "docker-vlan")
    assert labs.running_lab("docker-vlan") == "docker-vlan"
    with pytest.raises(BadInput, match=r"^2 labs are up: coreos, docker-vlan$"):
        labs.running_lab(None)
    with pytest.raises(BadInput, match=r"^the lab 'coreso' is not up$") as caught:
        labs.running_lab("coreso")
    assert caught.value.hint == "did you mean 'coreos'?"


def start(checkout: Path, name: str) -> None:
    folder = checkout / ".underlay" / "labs" / name
    folder.mkdir(parents=True)
    (folder / "lab.json").touch()
