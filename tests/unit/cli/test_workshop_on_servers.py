"""`workshop seats`, `watch` and `grade` with an inventory: what servers say, by Ansible itself.

The servers are this machine, on which Ansible runs commands without ssh, and one that isn't there.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from course_folder import course_in
from documents import problems
from underlay import cli
from underlay.storage import paths
from underlay.workshop import sign_in
from underlay.workshop.record import Workshop, workshops_folder
from unit.cli.test_workshop_seats import address_of, answer, serving

SERVER = """\
#!/bin/sh
export UNDERLAY_HOME={home} PYTHONPATH={source}
exec {python} -P -m underlay "$@"
"""
GONE = "  room-c: {ansible_host: 127.0.0.1, ansible_port: 1, ansible_user: nobody}\n"


def workshop(course: Path, seats: int) -> None:
    made = Workshop(workshops_folder() / "two-rooms", course, seats)
    made.write()
    (made.folder / "seats").mkdir()
    all_seats = [seat.make() for seat in made.all_seats()]
    sign_in.prepare(made.folder, made.numbers)
    all_seats[1].write("begin", "left", 0)
    all_seats[1].write("begin", "left", 0, "ok")
    all_seats[1].write("check", "left", 0, "done" if seats == 2 else "open", red=3)


@pytest.fixture
def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an inventory of two servers, which have two seats and one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    course = course_in(tmp_path)
    lines = ["all:", " hosts:"]
    for name, seats in (("room-a", 2), ("room-b", 1)):
        home = tmp_path / name
        monkeypatch.setenv(paths.HOME, str(home))
        workshop(course, seats)
        command = tmp_path / f"{name}.sh"
        words = {"home": home, "source": paths.PACKAGE.parent, "python": sys.executable}
        command.write_text(SERVER.format(**words))
        command.chmod(0o755)
        lines.append(f"  {name}: {{ansible_connection: local, underlay: {command}}}")
    monkeypatch.setenv(paths.HOME, str(tmp_path / "trainer"))
    file = tmp_path / "servers.yml"
    file.write_text("\n".join(lines) + "\n")
    return file


def said(
    capsys: pytest.CaptureFixture[str], servers: Path, *words: str, code: int = 0
) -> tuple[str, str]:
    capsys.readouterr()
    done = cli.main(["workshop", words[0], "two-rooms", "-i", str(servers), *words[1:]])
    told = capsys.readouterr()
    assert done == code, told.err
    return told.out, told.err


EVERYBODY = [
    *("room-a/seat-00", "room-a/seat-01", "room-a/seat-02"),
    *("room-b/seat-00", "room-b/seat-01"),
]


def test_what_servers_say_is_one_and_who_says_nothing_costs_its_seats_and_the_exit_code(
    servers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    servers.write_text(servers.read_text() + GONE)
    watch = json.loads(said(capsys, servers, "watch", "--json", code=3)[0])
    prove_one_is_gone(watch)
    assert [one["seat"] for one in watch["seats"]] == EVERYBODY
    assert watch["seats"][4]["last_check"]["red"] == 3
    text, complaint = said(capsys, servers, "grade", "--csv", code=3)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["seat"], row["how"]) for row in rows] == [
        ("room-a/seat-01", "done"),
        ("room-a/seat-02", "not begun"),
        ("room-b/seat-01", "open"),
    ]
    assert "room-c: " in complaint


def prove_one_is_gone(found: dict[str, Any]) -> None:
    """Fail unless a document is of two servers that answered and one that didn't."""
    assert not problems("workshop", found)
    assert [row["ok"] for row in found["servers"]] == [True, True, False]
    assert found["servers"][2]["error"]


@pytest.mark.all
def test_settings_are_those_of_all_servers(
    servers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are brought back as what `watch` says is."""
    servers.write_text(servers.read_text() + GONE)
    words = ("seats", "--skip", "no", "--json")
    seats = json.loads(said(capsys, servers, *words, code=3)[0])
    prove_one_is_gone(seats)
    assert [row["may_skip"] for row in seats["servers"]] == [False, False, False]
    assert [one["seat"] for one in seats["entries"]] == EVERYBODY


@pytest.mark.all
def test_where_each_server_answers_that_is_no_failure(
    servers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The twin: the same of servers that are all there, on a terminal's screen as well."""
    found = json.loads(said(capsys, servers, "grade", "--json")[0])
    assert not problems("workshop", found)
    assert [(one["seat"], one["done"]) for one in found["grades"]] == [
        *(("room-a/seat-01", 1), ("room-a/seat-02", 0), ("room-b/seat-01", 0)),
    ]
    text, _ = said(capsys, servers, "watch")
    assert "3 seats and your own, 1 of 3 stages done" in text
    assert "room-b/01" in text
    assert "room-b: nobody can come in" in text
    capsys.readouterr()
    assert cli.main(["workshop", "grade", "no-room", "-i", str(servers)]) == 3
    complaint = capsys.readouterr().err
    assert "room-a: " in complaint
    assert "room-b: " in complaint


@pytest.mark.all
def test_the_page_shows_the_seats_of_all_servers_until_no_server_has_them(servers: Path) -> None:
    pytest.importorskip("starlette", reason="pip install starlette uvicorn")
    with serving("two-rooms", "-i", str(servers)) as process:
        address = address_of(process)
        shown = json.loads(answer(f"{address}state?revision=0&cells=0")[1])
        names = [one["cells"][0] for one in shown["seats"]]
        assert names == ["room-a/00*", "room-a/01", "room-a/02", "room-b/00*", "room-b/01"]
        assert "room-a: nobody can come in" in shown["wrong"]
        for name in ("room-a", "room-b"):
            (servers.parent / name / "workshops" / "two-rooms" / "workshop.json").unlink()
        _, complaint = process.communicate(timeout=300)
        assert "the workshop two-rooms is down" in complaint
        assert process.returncode == 0


@pytest.mark.parametrize("words", [("--new-password", "1"), ("--keys", "keys")])
def test_what_is_one_machines_is_refused(
    words: tuple[str, ...], servers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, complaint = said(capsys, servers, "seats", *words, code=2)
    assert f"there: underlay workshop seats {words[0]}" in complaint


# Notes what it is asked, and says what it is to.
STUB = """\
#!/bin/sh
echo "$@" >>{log}
echo '{said}'
exit {code}
"""


@pytest.mark.all
def test_where_one_server_fails_all_that_were_asked_end_what_they_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The servers are stand-ins; tests/cluster/test_seat_servers.py has real seats."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lines = ["all:", " hosts:"]
    for name, code, answered in (("room-a", 0, {"seats": []}), ("room-b", 3, {"error": "full"})):
        command = tmp_path / f"{name}.sh"
        words = {"log": tmp_path / name, "code": code, "said": json.dumps(answered)}
        command.write_text(STUB.format(**words))
        command.chmod(0o755)
        lines.append(f"  {name}: {{ansible_connection: local, underlay: {command}}}")
    (tmp_path / "servers.yml").write_text("\n".join(lines) + "\n")
    course = "find-the-fault"
    words = ["workshop", "up", course, "--seats", "2", "-i", str(tmp_path / "servers.yml")]
    assert cli.main(words) == 3
    assert "room-b: full" in capsys.readouterr().err
    asked = [f"workshop up {course} --seats 1 --json", f"workshop down {course} --json"]
    for name in ("room-a", "room-b"):
        assert (tmp_path / name).read_text().splitlines() == asked
