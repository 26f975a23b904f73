"""Running other programs: small real ones, from the deadline to the last byte of their output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ending import ends, interrupted_once, noted
from underlay.cluster.process import run, run_bytes, tail, with_its_starter
from underlay.errors import Infrastructure

SOURCE = Path(__file__).resolve().parents[3] / "src"
# It notes its child's pid, which doesn't end politely, and hangs.
HANGS = """\
(trap '' TERM; exec sleep 60) &
echo $! >pid
echo hanging >&2
wait
"""
STARTER = """\
import sys
from underlay.cluster.process import run, with_its_starter
words = ["sh", "-c", "echo $$ >pid; exec sleep 60"]
run(with_its_starter(words), deadline=60, environment={"TMPDIR": sys.argv[1]})
"""


def test_both_streams_and_the_exit_code_are_returned() -> None:
    done = run(["sh", "-c", "echo out; echo err >&2; exit 3"], deadline=10, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")


@pytest.mark.parametrize("watched", [False, True])
def test_much_output_on_both_streams(watched: bool) -> None:
    """More than pipes hold, whichever stream comes first."""
    lines: list[str] = []
    script = "seq 200000; seq 200000 >&2; seq 200000"
    done = run(["sh", "-c", script], deadline=60, on_line=lines.append if watched else None)
    numbers = [str(number) for number in range(1, 200_001)]
    assert done.stdout.split("\n") == [*numbers, *numbers, ""]
    assert done.stderr.split("\n") == [*numbers, ""]
    assert lines == (numbers if watched else [])


def test_lines_are_handed_over_as_they_come(tmp_path: Path) -> None:
    """The program waits for what is done upon its first line."""
    script = "echo first >&2; until [ -e go ]; do sleep 0.01; done; printf second >&2; echo out"
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        (tmp_path / "go").touch()

    done = run(["sh", "-c", script], deadline=10, folder=tmp_path, on_line=on_line)
    assert lines == ["first", "second"]
    assert (done.stdout, done.stderr) == ("out\n", "first\nsecond")


def test_output_that_is_no_utf_8() -> None:
    done = run(["printf", r"\377ok\303\244"], deadline=10)
    assert done.stdout == "\N{REPLACEMENT CHARACTER}okä"


def test_nobody_waits_for_input() -> None:
    assert run(["cat"], deadline=10).stdout == ""


def test_input_is_handed_over() -> None:
    text = "zeile ä\n" * 100_000
    assert run(["cat"], deadline=10, input_text=text).stdout == text
    assert run(["true"], deadline=10, input_text=text).returncode == 0, "who doesn't read it may"


def test_environment_is_added_and_the_folder_is_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERLAY_A", "outer")
    monkeypatch.setenv("UNDERLAY_B", "outer")
    done = run(
        ["sh", "-c", "echo $UNDERLAY_A $UNDERLAY_B; pwd -P"],
        deadline=10, environment={"UNDERLAY_B": "inner"}, folder=tmp_path,
    )  # fmt: skip
    assert done.stdout == f"outer inner\n{tmp_path.resolve()}\n"


def test_a_program_that_fails_says_why() -> None:
    with pytest.raises(Infrastructure) as caught:
        run(["sh", "-c", "seq 100 >&2; echo; exit 7"], deadline=10)
    assert caught.value.message == "sh failed with exit code 7"
    assert caught.value.detail.split("\n") == [str(number) for number in range(81, 101)]
    with pytest.raises(Infrastructure) as caught:
        run(["sh", "-c", "echo on stdout; exit 1"], deadline=10, name="the tool")
    assert (caught.value.message, caught.value.detail) == (
        "the tool failed with exit code 1",
        "on stdout",
    )


def test_a_program_that_a_signal_ends() -> None:
    assert run(["sh", "-c", "kill -KILL $$"], deadline=10, check=False).returncode == -9
    with pytest.raises(Infrastructure, match="sh was ended by SIGKILL"):
        run(["sh", "-c", "kill -KILL $$"], deadline=10)


def test_a_missing_program(tmp_path: Path) -> None:
    (tmp_path / "closed").touch(mode=0o644)
    for word, reason in (
        ("no-such-program", "no-such-program cannot be run: No such file or directory"),
        (str(tmp_path / "closed"), "closed cannot be run: Permission denied"),
    ):
        for attempt in (
            lambda word=word: run([word], deadline=10),
            lambda word=word: run_bytes([word], b"", deadline=10),
        ):
            with pytest.raises(Infrastructure) as caught:
                attempt()
            assert (caught.value.message, caught.value.hint) == (reason, "underlay doctor")


@pytest.mark.parametrize("watched", [False, True])
def test_past_the_deadline_the_whole_group_ends(tmp_path: Path, watched: bool) -> None:
    lines: list[str] = []
    began = time.monotonic()
    with pytest.raises(Infrastructure, match="sh did not finish within 1 s") as caught:
        run(
            ["sh", "-c", HANGS],
            deadline=1, folder=tmp_path, on_line=lines.append if watched else None,
        )  # fmt: skip
    assert time.monotonic() - began < 10
    assert ends(noted(tmp_path / "pid"))
    assert caught.value.detail == ("hanging" if watched else "")


@pytest.mark.parametrize("watched", [False, True])
def test_an_interrupt_leaves_no_child(tmp_path: Path, watched: bool) -> None:
    with interrupted_once(tmp_path / "pid"), pytest.raises(KeyboardInterrupt):
        run(
            ["sh", "-c", HANGS],
            deadline=60, folder=tmp_path, on_line=(lambda _: None) if watched else None,
        )  # fmt: skip
    assert ends(int((tmp_path / "pid").read_text()))


def test_an_interrupt_while_the_program_is_started_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes when the program runs already, and nobody has been told its number."""
    start = subprocess.Popen

    def interrupted(*words: Any, **more: Any) -> subprocess.Popen[str]:
        program: subprocess.Popen[str] = start(*words, **more)
        noted(tmp_path / "pid")
        signal.raise_signal(signal.SIGINT)
        return program

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(["sh", "-c", HANGS], deadline=60, folder=tmp_path)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert ends(noted(tmp_path / "pid"))


def test_a_program_is_in_a_group_of_its_own() -> None:
    """The Ctrl-C of a terminal meets the command, which then ends its programs in its order."""
    program = "import os; print(os.getpid(), os.getpgid(0), os.getsid(0))"
    said = run([sys.executable, "-c", program], deadline=10).stdout.split()
    assert said[0] == said[1] == said[2] != str(os.getpgid(0))


def test_bytes_go_through_as_they_are() -> None:
    data = bytes(range(256)) * 1000
    assert run_bytes(["cat"], data, deadline=10).stdout == data
    done = run_bytes(["sh", "-c", r"printf '\377' >&2; exit 4"], b"", deadline=10)
    assert (done.returncode, done.stdout, done.stderr) == (4, b"", b"\xff")


def test_bytes_have_a_deadline_too() -> None:
    began = time.monotonic()
    with pytest.raises(Infrastructure, match="sleep did not finish within 0 s"):
        run_bytes(["sleep", "60"], b"", deadline=0.2)
    assert time.monotonic() - began < 10


def test_a_guarded_program_returns_as_itself(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    done = run(
        with_its_starter(["sh", "-c", 'echo "$1"; exit 5', "sh", "two  words"]),
        deadline=10, environment={"TMPDIR": str(own)}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (5, "two  words\n")
    assert not own.exists(), "its folder goes with it"


def test_a_guarded_program_ends_with_its_starter(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(own)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    ) as starter:
        pid = noted(tmp_path / "pid")
        starter.kill()
    assert ends(pid)
    for _ in range(100):
        if not own.exists():
            break
        time.sleep(0.05)
    assert not own.exists()


def test_the_tail_is_made_of_lines_that_say_something() -> None:
    assert tail("a\n\nb\n \nc\n", 2) == "b\nc"
    assert tail("") == ""
