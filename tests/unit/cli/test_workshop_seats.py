"""`workshop seats`, `watch` and `grade`, of a workshop whose journals are written by the test."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from course_folder import course_in
from documents import problems
from underlay import cli
from underlay.cli import seats_screen
from underlay.cli.workshop_actions.told import standing_document
from underlay.errors import BadInput
from underlay.proof.bench.command_line import PseudoTerminal
from underlay.storage import paths
from underlay.workshop import sign_in
from underlay.workshop.reading import load_course
from underlay.workshop.record import Workshop, workshops_folder
from underlay.workshop.room import end_half, new, starting
from underlay.workshop.standing import standing


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """Return a workshop of 20 seats: the first is done, the second isn't, the third was skipped."""
    monkeypatch.setenv(paths.HOME, str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    course = course_in(tmp_path)
    made = Workshop(workshops_folder() / "two-rooms", course, 20)
    made.write()
    (made.folder / "seats").mkdir()
    seats = [seat.make() for seat in made.all_seats()]
    sign_in.prepare(made.folder, made.numbers)
    for seat in seats[1:5]:
        seat.write("begin", "left", 0)
    for seat in seats[1:4]:
        seat.write("begin", "left", 0, "ok")
    seats[1].write("check", "left", 0, "done")
    red = {"red": 3, "cells": ["=web-1a → web-2a (icmp): why"], "noticed": ["=Not that way."]}
    seats[2].write("hint", "left", 0, "ok", number=1)
    seats[2].write("check", "left", 0, "open", **red)
    seats[3].write("skip", "left", 0, "ok")
    seats[3].write("check", "left", 0, "done", of="skip")
    return made


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert cli.main(["workshop", *words]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(said(capsys, *words, "--json"))
    assert not problems("workshop", found)
    return found


def test_seats_are_told_how_to_be_entered(
    room: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    told = document(capsys, "seats")
    assert (told["workshop"], told["listening"], told["port"]) == ("two-rooms", False, None)
    entries = told["entries"]
    assert isinstance(entries, list)
    assert [one["seat"] for one in entries] == [f"seat-{number:02d}" for number in range(21)]
    assert entries[7]["password"] == sign_in.password(room.folder, 7)
    text = said(capsys, "seats", "two-rooms")
    assert sign_in.password(room.folder, 7) in text
    assert "seat-00 (yours)" in text


def test_a_password_is_changed(room: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    before = sign_in.password(room.folder, 7)
    text = said(capsys, "seats", "--new-password", "7")
    assert before not in text
    assert sign_in.password(room.folder, 7) in text
    assert cli.main(["workshop", "seats", "--new-password", "21"]) == 2
    assert "there is no seat 21 in two-rooms, expected one of 0 to 20" in capsys.readouterr().err


def test_skipping_is_allowed_or_not(room: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    assert document(capsys, "seats")["may_skip"] is True
    assert document(capsys, "seats", "--skip", "no")["may_skip"] is False
    assert document(capsys, "seats", "--skip", "yes")["may_skip"] is True


def test_keys_are_taken(room: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    file = tmp_path / "keys"
    file.write_text(f"seat-07 {key.with_suffix('.pub').read_text()}")
    told = document(capsys, "seats", "--keys", str(file))
    assert isinstance(told["entries"], list)
    assert [one["keys"] for one in told["entries"]] == [int(number == 7) for number in range(21)]
    file.write_text("seat-7 nonsense\n")
    assert cli.main(["workshop", "seats", "--keys", str(file)]) == 2
    assert f"{file}:1:1: found 'seat-7'" in capsys.readouterr().err


@pytest.mark.parametrize("action", ["seats", "watch", "grade"])
def test_a_workshop_that_is_not_up_is_said(
    action: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(paths.HOME, str(tmp_path / "home"))
    assert cli.main(["workshop", action]) == 2
    assert "no workshop is up" in capsys.readouterr().err


def test_what_was_done_is_graded_and_why(
    room: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    told = document(capsys, "grade")
    grades = told["grades"]
    assert isinstance(grades, list)
    assert [one["seat"] for one in grades][:2] == ["seat-01", "seat-02"], "not the trainer's"
    assert [one["stages"][0]["how"] for one in grades[:5]] == [
        *("done", "open", "skipped", "not begun", "not begun"),
    ]
    assert grades[1]["stages"][0]["reasons"] == [
        "3 red cells: =web-1a → web-2a (icmp) and 2 more",
        "noticed: =Not that way.",
    ]
    text = said(capsys, "grade")
    assert "seat-01  1 of 1 stage, 0 hints" in text
    assert "skipped  left 1: Back again" in text
    assert "a guard noticed: =Not that way." in text


def test_a_table_of_grades_holds_no_formula(
    room: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = list(csv.DictReader(io.StringIO(said(capsys, "grade", "--csv"))))
    assert len(rows) == 20
    assert (rows[1]["seat"], rows[1]["how"], rows[1]["hints"]) == ("seat-02", "open", "1")
    assert (rows[2]["how"], rows[2]["checks"], rows[2]["reasons"]) == ("skipped", "0", "skipped")
    assert rows[1]["noticed"] == "'=Not that way."
    assert not [
        value for row in rows for value in row.values() if value.startswith(("=", "+", "-", "@"))
    ]


def test_watch_tells_where_all_seats_are(
    room: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    told = document(capsys, "watch")
    seats = told["seats"]
    assert isinstance(seats, list)
    assert len(seats) == 21
    assert (seats[2]["exercise"], seats[2]["stage"], seats[2]["hints"]) == ("left", 1, 1)
    assert seats[2]["last_check"]["red"] == 3
    assert [seats[at]["whole"] for at in (1, 4, 5)] == [True, False, True]
    text = said(capsys, "watch")
    assert "20 seats and your own, 1 of 20 stages done, 1 skipped" in text
    assert "✗ 1 noticed, now" in text


def test_twenty_seats_fit_on_a_screen_of_80_columns(room: Workshop) -> None:
    console = Console(width=80, height=24, file=io.StringIO(), force_terminal=True, no_color=True)
    now = time.time()
    seats = [standing_document(standing(seat, now)) for seat in room.all_seats()]
    title = "A course with a title of more than one line of a screen of 80 columns"
    console.print(seats_screen.screen(title, seats, now, live=True))
    assert isinstance(console.file, io.StringIO)
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in console.file.getvalue().splitlines()]
    # A line about all of it, the heads, and 21 seats.
    assert len(lines) == 23
    assert lines[0].startswith("20 seats and your own, 1 of 20 stages done, 1 skipped · A course")
    assert max(map(len, lines)) <= 80
    shown = [line for line in lines if re.match(r"\d\d\*? ", line) and " seats " not in line]
    assert len(shown) == 21
    assert "Left alone" in shown[1]


def answer(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(address, timeout=30) as found:
            return found.status, found.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


@contextmanager
def serving(*more: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``workshop watch --serve``, and end it whatever becomes of the test."""
    command = [sys.executable, "-P", "-m", "underlay", "workshop", "watch", "--serve", *more]
    environment = os.environ | {"PYTHONPATH": str(paths.PACKAGE.parent)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def address_of(process: subprocess.Popen[str]) -> str:
    """Return where ``process`` serves its page, as it says when it does."""
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/[\w-]+/", line)
    assert found, line
    return found[0]


def test_the_page_shows_the_same_to_who_knows_its_address(room: Workshop) -> None:
    with serving() as process:
        address = address_of(process)
        status, page = answer(address)
        assert (status, "<script>" in page) == (200, True)
        status, text = answer(f"{address}state?revision=0&cells=0")
        shown = json.loads(text)
        assert len(shown["seats"]) == 21
        assert shown["seats"][2]["cells"][3] == "✗ 1 noticed, now"
        assert shown["seats"][2]["sign"] == "bad"
        assert answer(address.rsplit("/", 2)[0] + "/guessed/")[0] == 404
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130


def test_a_test_that_fails_leaves_no_server_and_does_not_wait_for_one(room: Workshop) -> None:
    """The twin: what a test finds wrong ends the command that it looks at."""
    began = time.monotonic()

    def wrong() -> None:
        with serving() as process:
            seen.append((process, address_of(process)))
            pytest.fail("another page was expected")

    seen: list[tuple[subprocess.Popen[str], str]] = []
    with pytest.raises(pytest.fail.Exception, match="another page"):
        wrong()
    ((process, address),) = seen
    assert process.returncode == -signal.SIGKILL
    assert time.monotonic() - began < 60
    with pytest.raises(OSError, match="refused"):
        answer(address)


def test_watch_ends_with_the_workshop(room: Workshop) -> None:
    with serving() as process:
        address_of(process)
        words = [sys.executable, "-P", "-m", "underlay", "workshop", "down"]
        environment = os.environ | {"PYTHONPATH": str(paths.PACKAGE.parent)}
        down = subprocess.run(words, env=environment, timeout=60)
        assert down.returncode == 0
        _, complaint = process.communicate(timeout=60)
        assert "the workshop two-rooms is down" in complaint
        assert process.returncode == 0


def test_watch_does_not_go_on_to_another_workshop(room: Workshop) -> None:
    from underlay.cli.workshop_actions.watch import _as_it_is

    assert _as_it_is(room) == room
    replace(room, token="another").write()
    assert _as_it_is(room) is None


NOBODY = "nobody can come in: the ssh server doesn't run; `underlay workshop seats two-rooms`"


def test_a_server_that_was_killed_is_said_and_started_again(
    room: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("asyncssh", reason="pip install asyncssh")
    before = sign_in.start(room.folder, room.numbers, port=0)
    try:
        assert document(capsys, "watch")["listening"] is True
        assert NOBODY not in capsys.readouterr().err
        os.kill(before.pid, signal.SIGKILL)
        os.waitpid(before.pid, 0)
        for words in (["watch"], ["watch", "--json"], ["grade"], ["grade", "--csv"]):
            capsys.readouterr()
            assert cli.main(["workshop", *words]) == 0
            told = capsys.readouterr()
            assert f"{NOBODY} starts it again" in told.err, words
            assert (NOBODY in told.out) == (words == ["watch"])
        assert document(capsys, "watch")["listening"] is False
        capsys.readouterr()
        assert cli.main(["workshop", "seats"]) == 0
        told = capsys.readouterr()
        assert "the ssh server had ended, and runs again" in told.err
        assert f"ssh seat-07@127.0.0.1 -p {before.port}" in told.out
        assert document(capsys, "watch")["listening"] is True
    finally:
        sign_in.stop(room.folder)


def test_a_half_one_is_said(room: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    replace(room, whole=False).write()
    told = "two-rooms was not brought up to its end: 3 of 21 seats, your own among them"
    for action in ("seats", "watch", "grade"):
        capsys.readouterr()
        assert cli.main(["workshop", action]) == 0
        complaint = capsys.readouterr().err
        assert told in complaint
        assert f"`underlay workshop up {room.course_folder} --seats 20` ends it" in complaint
    with starting("two-rooms"):
        assert cli.main(["workshop", "seats"]) == 0
        assert "two-rooms is still being brought up" in capsys.readouterr().err


def test_a_half_one_gives_way_and_a_whole_one_does_not(room: Workshop) -> None:
    said: list[str] = []
    with starting("two-rooms"):
        end_half("two-rooms", said.append)
        assert (room.folder.exists(), said) == (True, [])
        with pytest.raises(BadInput, match="is up already"):
            new(room.course(), 2)
        replace(room, whole=False).write()
        end_half("two-rooms", said.append)
        assert not room.folder.exists()
        assert "3 of 21 seats, your own among them: ending it" in said[0]
        (room.folder).mkdir(parents=True)
        (room.folder / "workshop.json").write_text("nothing that is read")
        end_half("two-rooms", said.append)
        assert room.folder.exists(), "nobody knows what it is"


def test_options_that_contradict_each_other_are_refused(
    room: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, why in (
        (["watch", "--port", "0"], "--port needs --serve"),
        (["watch", "--serve", "--json"], "--serve shows a page"),
        (["grade", "--json", "--csv"], "either the document or the table"),
    ):
        assert cli.main(["workshop", *words]) == 2
        assert why in capsys.readouterr().err


def test_the_course_is_read_as_it_is_now(room: Workshop) -> None:
    assert load_course(room.course_folder).title == room.course().title


def test_on_a_terminal_it_stays_and_follows(room: Workshop) -> None:
    command = [sys.executable, "-P", "-m", "underlay", "workshop", "watch"]
    own = {"PYTHONPATH": str(paths.PACKAGE.parent), "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    terminal = PseudoTerminal(command, os.environ | own)

    def expect(text: str) -> None:
        end = time.monotonic() + 60
        while text.encode() not in terminal.text:
            assert time.monotonic() < end, terminal.text.decode()
            assert terminal.process.poll() is None, terminal.text.decode()
            terminal.watch(0.2)

    expect("20 seats and your own, 1 of 20 stages done")
    expect("✗ 1 noticed")
    room.seat(2).write("check", "left", 0, "done")
    expect("20 seats and your own, 2 of 20 stages done")
    terminal.type(b"\x03")
    end = time.monotonic() + 60
    while terminal.process.poll() is None and time.monotonic() < end:
        terminal.watch(0.2)
    terminal.close()
    assert terminal.process.wait(5) == 130
