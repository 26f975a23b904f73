"""Signing in to a seat, with OpenSSH's own client against the real server, on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from seat_client import ASKED, LONG, Room
from underlay.errors import BadInput, Infrastructure
from underlay.storage import paths
from underlay.workshop import sign_in, ssh_server, ssh_session
from underlay.workshop.record import read_workshop

pytest.importorskip("asyncssh", reason="pip install asyncssh")

COURSE = {
    "course.yml": """\
title: A course
description: Nothing is learned here.
minutes: 5
exercises: [first]
""",
    "first/exercise.yml": """\
title: The first
minutes: 5
stages:
  - {title: Look, goal: Look., answer: {question: Who?, accept: [me]}, hints: [Look., You.]}
""",
    "first/lab.yml": """\
name: nothing
nodes: {count: 2, profile: lean}
segments: {lan: {subnet: 192.168.70.0/24}}
networks: {lannet: {driver: macvlan, segment: lan, subnet: 20.1.1.0/24, runtime: cni}}
containers: [{on: all, networks: [lannet]}]
""",
    "first/story.md": "Once upon a time.\n",
    "first/aha.md": "It was you.\n",
}


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("around")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield folder


def made(folder: Path) -> Path:
    """Make a workshop of two seats and the trainer's, without a server; return its folder."""
    course = folder / "course"
    for name, text in COURSE.items():
        (course / name).parent.mkdir(parents=True, exist_ok=True)
        (course / name).write_text(text)
    workshop = folder / "workshop"
    for number in range(3):
        (workshop / "seats" / f"{number:02d}" / "home").mkdir(mode=0o700, parents=True)
    workshop.chmod(0o700)
    (workshop / "workshop.json").write_text(json.dumps({"course": str(course), "seats": 2}))
    return workshop


@pytest.fixture(scope="module")
def room(around: Path) -> Iterator[Room]:
    workshop = made(around)
    server = sign_in.start(workshop, range(3), port=0)
    yield Room(workshop, server, around)
    sign_in.stop(workshop)
    assert not server.alive


def test_the_right_password_leads_into_the_seat(room: Room) -> None:
    done = room.run("story")
    assert done.returncode == 0, done
    assert "A course, 5 minutes" in done.stdout


def test_the_journal_says_that_somebody_came(room: Room) -> None:
    seat = read_workshop(room.folder).seat(2)
    assert room.run("help", seat=2).returncode == 0
    entries = seat.entries()
    assert (entries[-1].word, entries[-1].result) == ("enter", "ok")
    assert room.run("help", seat=2, password="wrong").returncode != 0
    assert seat.entries() == entries


def test_a_wrong_password_does_not(room: Room) -> None:
    began = time.monotonic()
    done = room.run("help", password="aaaa-aaaa-aaaa")
    assert done.returncode == 255
    assert "Permission denied" in done.stderr
    assert time.monotonic() - began >= ssh_server.PENALTY


def test_another_seats_password_does_not(room: Room) -> None:
    done = room.run("help", seat=2, password=sign_in.password(room.folder, 1))
    assert done.returncode == 255


def daily(cases: Iterable[object], *chosen: object) -> list[ParameterSet]:
    """Return ``cases`` for a test that types each: one of a kind for every day, else all."""
    return [pytest.param(one, marks=() if one in chosen else pytest.mark.all) for one in cases]


@pytest.mark.parametrize(
    "name", daily(["root", "seat-1", "seat-03", "seat-001", "seat-99", ""], "root", "seat-03")
)
def test_who_has_no_seat_is_asked_and_refused(room: Room, name: str) -> None:
    command = room.client("help")
    command[-2] = f"{name}@{room.server.address}" if name else f"-lx@{room.server.address}"
    known = sign_in.password(room.folder, 1)
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LONG, env=room.asking(known), check=False
    )
    assert done.returncode == 255


def test_a_connection_ends_after_three_wrong_passwords(room: Room) -> None:
    command = room.client("help", options=("-o", "NumberOfPasswordPrompts=9"))
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LONG, env=room.asking("wrong")
    )
    assert done.returncode == 255
    assert "too many wrong passwords" in done.stderr
    assert done.stderr.count("Permission denied, please try again") == ssh_server.PASSWORDS - 1


def test_a_key_that_the_trainer_gave_opens_its_seat_alone(room: Room, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text()
    listed = tmp_path / "keys"
    listed.write_text(f"# those who have sent one\n\nseat-02 {public}")
    with_key = ("-o", "PreferredAuthentications=publickey", "-i", str(key))
    assert room.run("help", seat=2, options=with_key).returncode == 255
    assert sign_in.take_keys(room.folder, listed, range(3)) == {2: 1}
    assert room.run("help", seat=2, options=with_key).returncode == 0
    assert room.run("help", seat=1, options=with_key).returncode == 255
    assert room.run("help", seat=2).returncode == 0, "its password stays"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("seat-07 ssh-ed25519 AAAA", "found 'seat-07', expected a seat, seat-00 to seat-02"),
        ("ssh-ed25519 AAAA", "found 'ssh-ed25519'"),
        ("seat-01 nonsense", "this is no public key"),
        ('seat-01 command="id" ssh-ed25519 AAAA', "this is no public key"),
    ],
)
def test_a_file_of_keys_that_can_not_be_used_changes_nothing(
    room: Room, tmp_path: Path, line: str, why: str
) -> None:
    listed = tmp_path / "keys"
    listed.write_text(f"\n{line}\n")
    before = sign_in.keys(room.folder, 1)
    with pytest.raises(BadInput) as raised:
        sign_in.take_keys(room.folder, listed, range(3))
    assert f"{listed}:2:1: " in raised.value.message
    assert why in raised.value.message
    assert sign_in.keys(room.folder, 1) == before


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[tuple[int, list[bool]]]:
    """Yield a port of this machine, and whether anybody has come there."""
    came: list[bool] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening.getsockname()[1], came
        try:
            listening.accept()
            came.append(True)
        except BlockingIOError:
            pass
        assert not came, "somebody got through"


def test_no_port_of_this_machine_is_reached(room: Room, heard: tuple[int, list[bool]]) -> None:
    done = room.run(options=("-W", f"127.0.0.1:{heard[0]}"))
    assert done.returncode == 255
    assert "open failed" in done.stderr


@pytest.mark.parametrize(
    "option", [("-R", "0:127.0.0.1:1"), ("-R", "/tmp/underlay-test.sock:/tmp/x")]
)
def test_no_port_or_socket_is_opened_here(room: Room, option: tuple[str, str]) -> None:
    done = room.run("help", options=("-o", "ExitOnForwardFailure=yes", *option))
    assert done.returncode == 255
    assert "forwarding failed" in done.stderr
    assert not Path("/tmp/underlay-test.sock").exists()


def test_a_socket_of_this_machine_is_not_reached(room: Room, tmp_path: Path) -> None:
    there = tmp_path / "there.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(there))
        listening.listen()
        listening.setblocking(False)
        here = tmp_path / "here.sock"
        client = subprocess.Popen(
            room.client(options=("-N", "-L", f"{here}:{there}")),
            env=room.asking(sign_in.password(room.folder, 1)),
            stderr=subprocess.PIPE,
        )
        end = time.monotonic() + LONG
        while not here.exists() and time.monotonic() < end:
            time.sleep(0.05)
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(LONG)
            asking.connect(str(here))
            assert asking.recv(1) == b"", "refused: the client closes it"
        with pytest.raises(BlockingIOError):
            listening.accept()
        client.kill()
        client.communicate()


def test_nothing_is_copied(room: Room, tmp_path: Path) -> None:
    secret = room.folder / "workshop.json"
    known = room.asking(sign_in.password(room.folder, 1))
    seat = f"seat-01@{room.server.address}"
    for program in (["scp"], ["scp", "-O"]):
        done = subprocess.run(
            [
                *program,
                *("-F", "/dev/null", *ASKED, "-P", str(room.server.port)),
                f"{seat}:{secret}",
                tmp_path / "stolen",
            ],
            capture_output=True,
            text=True,
            timeout=LONG,
            env=known,
            check=False,
        )
        assert done.returncode, done
    done = room.run("-s", "sftp")
    assert done.returncode
    assert not (tmp_path / "stolen").exists()


LINES = [
    "id", "sh", "bash -i", "/bin/sh -c id", "scp -t /tmp", "rsync --server . .", "env",
    "help; touch {}", "help && touch {}", "help | touch {}", "$(touch {})", "`touch {}`",
    "help\ntouch {}", "exec core-01 -- touch {}", "story > {}", "answer $(touch {})",
    "answer '\"; touch {}; \"'", "capture lan --output {}", "explain {}",
    "exec switch -- touch {}", "hint --save={}",
]  # fmt: skip
# A program, a second one, one inside, another line, a file, and what a word of the seat's is given.
EVERY_DAY = (
    "id", "help; touch {}", "$(touch {})", "help\ntouch {}", "story > {}",
    "exec core-01 -- touch {}", "capture lan --output {}",
)  # fmt: skip


@pytest.mark.parametrize("line", daily(LINES, *EVERY_DAY))
def test_no_program_of_this_machine_is_run(room: Room, tmp_path: Path, line: str) -> None:
    mark = tmp_path / "mark"
    done = room.run(line.format(mark))
    assert done.returncode in (1, 2), done
    assert "uid=" not in done.stdout
    assert not mark.exists()


def shells(room: Room) -> list[int]:
    """Return the processes of the room's shells."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"underlay.cli.seat_shell" in words and str(room.folder).encode() in words:
            found.append(int(entry.name))
    return found


def gone(room: Room) -> bool:
    """Wait until no shell is left; whether that is so."""
    end = time.monotonic() + ssh_session.PATIENCE
    while shells(room) and time.monotonic() < end:
        time.sleep(0.05)
    return not shells(room)


def test_the_clients_environment_and_agent_stay_outside(room: Room) -> None:
    client = subprocess.Popen(
        room.client(options=("-A", "-tt", "-o", "SetEnv=LD_PRELOAD=/x PYTHONPATH=/x EVIL=1")),
        env=room.asking(sign_in.password(room.folder, 1)) | {"TERM": "xterm$(id)"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert client.stdout is not None
    said = b""
    while b"seat-01> " not in said:
        said += os.read(client.stdout.fileno(), 4096) or pytest.fail(said.decode())
    (shell,) = shells(room)
    text = Path(f"/proc/{shell}/environ").read_text().rstrip("\0").split("\0")
    environment = dict(line.split("=", 1) for line in text)
    assert set(environment) <= {*ssh_session.environment(), "LC_CTYPE"}
    assert environment["TERM"] == "dumb"
    assert environment["PYTHONPATH"] == str(paths.PACKAGE.parent)
    client.kill()
    client.communicate()
    assert gone(room), "a lost connection ends the shell"


def test_a_seat_has_so_many_sessions_and_no_more(room: Room) -> None:
    opened = [room.terminal() for _ in range(ssh_server.SESSIONS)]
    done = room.run("help")
    assert done.returncode == 255
    assert f"seat-01 has {ssh_server.SESSIONS} sessions already" in done.stderr
    assert room.run("help", seat=2).returncode == 0, "another seat has its own"
    opened[0].type(b"exit\n")
    assert opened[0].leave() == 0
    assert room.run("help").returncode == 0
    for terminal in opened[1:]:
        terminal.tear()
    assert gone(room)


def test_a_seat_has_so_many_connections_and_no_more(room: Room) -> None:
    known = room.asking(sign_in.password(room.folder, 2))
    idle = room.client(seat=2, options=("-N",))
    log = room.folder / sign_in.FOLDER / ssh_server.LOG
    before = log.read_text().count("seat 02 signed in")
    clients = [subprocess.Popen(idle, env=known) for _ in range(ssh_server.CONNECTIONS)]
    end = time.monotonic() + LONG
    while log.read_text().count("seat 02 signed in") < before + len(clients):
        assert time.monotonic() < end
        time.sleep(0.05)
    done = room.run("help", seat=2)
    assert done.returncode == 255
    assert f"seat-02 has {ssh_server.CONNECTIONS} connections already" in done.stderr
    assert room.run("help").returncode == 0, "another seat has its own"
    for client in clients:
        client.kill()
        client.wait()
    while room.run("help", seat=2).returncode:
        assert time.monotonic() < end


def test_ctrl_c_gives_up_a_line_and_ctrl_d_leaves(room: Room) -> None:
    terminal = room.terminal()
    terminal.type(b"exit and never come back\x03")
    terminal.expect("seat-01> ")
    # Neither stops anything: there is nobody who could go on with it.
    terminal.type(b"\x1a\x1c")
    terminal.type(b"hel\t")
    terminal.expect("help ")
    terminal.type(b"\n")
    terminal.expect("Ctrl-D leaves")
    terminal.expect("seat-01> ")
    terminal.type(b"\x04")
    assert terminal.leave() == 0


def test_what_is_typed_before_is_there_again(room: Room) -> None:
    terminal = room.terminal()
    terminal.type(b"nosuchword\n")
    terminal.expect("there is no word 'nosuchword'")
    terminal.expect("seat-01> ")
    terminal.type(b"\x1b[A")
    terminal.expect("nosuchword")
    terminal.tear()


@pytest.mark.parametrize(
    "keys",
    daily([b"\x1b&", b"\x1b/", b"\x18\x12", b"\x1b~", b"\x18\x05"], b"\x1b~", b"\x18\x05"),
)
def test_no_key_looks_at_this_machine(room: Room, keys: bytes) -> None:
    """Of GNU readline: users' names, files, its own file, an editor."""
    terminal = room.terminal()
    terminal.type(b"~root/" + keys)
    terminal.type(b"!\n")
    terminal.expect("there is no word '~root/")
    terminal.expect("seat-01> ")
    terminal.tear()


def test_without_a_terminal_lines_are_read_and_done(room: Room) -> None:
    done = room.run(text="help\n\nnosuchword\nhint\n")
    assert "Ctrl-C ends the word" in done.stdout
    assert "there is no word 'nosuchword'" in done.stdout
    assert "no exercise has begun here" in done.stdout
    assert done.returncode == 2


def test_the_trainer_may_forbid_to_skip(room: Room) -> None:
    workshop = read_workshop(room.folder)
    for may, seat, said in (
        (True, 1, "no exercise has begun here"),
        (False, 1, "the trainer wants nothing skipped here"),
        (False, 0, "no exercise has begun here"),
        (True, 1, "no exercise has begun here"),
    ):
        workshop.let_skip(may)
        done = room.run("skip", seat=seat)
        assert (done.returncode, said in done.stdout) == (2, True), done


def test_its_files_are_the_trainers_alone(room: Room) -> None:
    for path in (room.folder / sign_in.FOLDER, *(room.folder / sign_in.FOLDER).rglob("*")):
        open_to = stat.S_IMODE(path.stat().st_mode) & 0o077
        assert not open_to or path.name == "server.err", path


def test_no_password_is_in_the_log(room: Room) -> None:
    room.run("help")
    room.run("help", password="bbbb-bbbb-bbbb")
    text = (room.folder / sign_in.FOLDER / ssh_server.LOG).read_text()
    assert "seat 01 signed in" in text
    assert "wrong password for 'seat-01'" in text
    known = [sign_in.password(room.folder, number) for number in range(3)]
    assert not [word for word in (*known, "bbbb-bbbb-bbbb") if word in text]


def test_it_listens_on_loopback_alone(room: Room) -> None:
    assert room.server.address == "127.0.0.1"
    assert room.server.entry(1) == f"ssh seat-01@127.0.0.1 -p {room.server.port}"
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", room.server.port), timeout=5)


def test_starting_again_finds_the_one_that_runs(room: Room) -> None:
    assert sign_in.start(room.folder, range(3), port=0) == room.server


def test_a_port_that_is_taken_is_said(room: Room, tmp_path: Path) -> None:
    other = made(tmp_path)
    with pytest.raises(BadInput) as raised:
        sign_in.start(other, range(3), port=room.server.port)
    assert f"port {room.server.port}, can't be listened at: address already in use" in str(
        raised.value
    )
    assert "--port" in raised.value.hint
    assert sign_in.find(other) is None


def test_an_address_of_nobodys_is_said(tmp_path: Path, around: Path) -> None:
    with pytest.raises(
        BadInput, match=r"^no interface of this machine has 192\.0\.2\.1$"
    ) as raised:
        sign_in.start(made(tmp_path), range(3), listen="192.0.2.1", port=2222)
    assert "127.0.0.1" in raised.value.hint
    assert "--port" not in raised.value.hint


def test_what_is_not_installed_is_said(
    tmp_path: Path, around: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for asked in (
        lambda: sign_in.start(made(tmp_path), range(3), port=0),
        lambda: sign_in.take_keys(tmp_path, tmp_path / "keys", range(3)),
    ):
        with pytest.raises(Infrastructure, match="asyncssh is not installed") as raised:
            asked()
        assert "pip install asyncssh" in raised.value.hint


def test_passwords_stay_until_they_are_changed(tmp_path: Path, around: Path) -> None:
    workshop = made(tmp_path)
    sign_in.prepare(workshop, range(2))
    first = sign_in.password(workshop, 1)
    sign_in.prepare(workshop, range(3))
    assert sign_in.password(workshop, 1) == first
    assert len({sign_in.password(workshop, number) for number in range(3)}) == 3
    fresh = sign_in.change_password(workshop, 1)
    assert fresh == sign_in.password(workshop, 1) != first
    assert sign_in.is_password(workshop, 1, fresh)
    assert not sign_in.is_password(workshop, 1, first)
    # A seat that isn't there has no password that could be empty.
    assert not sign_in.is_password(workshop, 9, "")
    assert not sign_in.is_password(workshop, 9, sign_in.password(workshop, 9))


def test_a_server_that_is_killed_leaves_no_session(tmp_path: Path, around: Path) -> None:
    workshop = made(tmp_path)
    room = Room(workshop, sign_in.start(workshop, range(3), port=0), tmp_path)
    terminal = room.terminal()
    assert shells(room)
    os.kill(room.server.pid, signal.SIGKILL)
    assert gone(room)
    assert sign_in.find(workshop) is None
    # The host key is the machine's: laptops that know it aren't warned of the next one.
    again = sign_in.start_again(workshop, range(3))
    assert again is not None
    assert (again.port, again.address) == (room.server.port, room.server.address)
    assert again.pid != room.server.pid
    assert sign_in.start_again(workshop, range(3)) == again
    terminal.tear()
    sign_in.stop(workshop)


def test_its_end_is_the_end_of_all_sessions(tmp_path: Path, around: Path) -> None:
    workshop = made(tmp_path)
    room = Room(workshop, sign_in.start(workshop, range(3), port=0), tmp_path)
    terminal = room.terminal()
    sign_in.stop(workshop)
    assert not shells(room)
    assert not room.server.alive
    assert terminal.leave() == 128 + signal.SIGHUP
    sign_in.stop(workshop)


def test_a_number_that_another_process_has_by_now_is_left_alone(
    tmp_path: Path, around: Path
) -> None:
    workshop = made(tmp_path)
    sign_in.prepare(workshop, range(3))
    other = subprocess.Popen(["sleep", "60"])
    told = {"boot": sign_in.boot_id(), "pid": other.pid, "started": 1, "address": "", "port": 1}
    (workshop / sign_in.FOLDER / "server.json").write_text(json.dumps(told))
    sign_in.stop(workshop)
    assert other.poll() is None
    other.kill()
    other.wait()


@pytest.mark.parametrize(
    "name", ["seat-1", "seat-001", "Seat-01", "seat-01 ", "seat--1", "seat-٠١"]
)
def test_a_seat_has_one_name(name: str) -> None:
    assert sign_in.seat_of(name) is None
    assert sign_in.seat_of("seat-01") == 1
    assert sign_in.seat_of(sign_in.user(117)) == 117
