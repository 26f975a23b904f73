"""A seat as its learner has it: by ssh into a real lab, root on its nodes and nowhere else."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import UP_DEADLINE, Checkout
from course_folder import EXERCISE, LAB, course_in
from seat_client import Room
from underlay.workshop.record import Workshop, read_workshop

# One of three containers on a node discards what comes in, by a rule that the learner deletes.
SILENT = {
    "lab": LAB.replace("{count: 2, profile", "{count: 1, profile").replace("count: 2", "count: 3"),
    "exercise": EXERCISE.replace(
        "{break: parent-down, node: core-02}",
        "{break: container-drops-incoming, container: web-1b}",
    )
    .replace('{on: core-02, run: "ip link set eth1 up"}', '{on: web-1b, run: "iptables -F INPUT"}')
    .replace("web-1* <-> web-2*", "web-1b <-> web-1a, web-1c"),
}
MENDED = "iptables -D INPUT -j DROP"


@pytest.fixture(scope="module")
def room(copy: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """Yield a workshop of one seat and the trainer's; its end leaves nothing."""
    from underlay.workshop import sign_in

    around = tmp_path_factory.mktemp("around")
    before = interfaces()
    course = course_in(around, **SILENT)
    words = ("up", str(course), "--seats", "1", "--port", "0")
    done = copy.underlay("workshop", *words, deadline=UP_DEADLINE)
    assert done.code == 0, str(done)
    folder = copy.root / ".underlay" / "workshops" / "two-rooms"
    server = sign_in.find(folder)
    assert server is not None
    yield Room(folder, server, around)
    done = copy.underlay("workshop", "down")
    assert done.code == 0, str(done)
    assert not server.alive
    prove_nothing_is_left(copy, before)


@pytest.fixture
def workshop(room: Room) -> Workshop:
    return read_workshop(room.folder)


def told(copy: Checkout, action: str) -> list[dict[str, object]]:
    done = copy.underlay("workshop", action, "--json")
    assert done.code == 0, str(done)
    found: list[dict[str, object]] = json.loads(done.out)[
        {"watch": "seats", "grade": "grades"}[action]
    ]
    return found


def test_a_check_is_red_and_names_no_cause(room: Room, copy: Checkout) -> None:
    done = room.run("check")
    assert done.returncode == 1, done
    assert "web-1a → web-1b" in done.stdout
    assert "Not done yet." in done.stdout
    # What the exercise broke is what it is about.
    assert "discards" not in done.stdout
    done = room.run("explain")
    assert done.returncode == 2
    assert "this exercise has no explain" in done.stdout
    seat = told(copy, "watch")[1]
    assert (seat["seat"], seat["exercise"], seat["stage"]) == ("seat-01", "left", 1)
    assert isinstance(seat["last_check"], dict)
    assert (seat["last_check"]["result"], seat["last_check"]["red"]) == ("open", 4)


def test_status_is_the_plan(room: Room) -> None:
    done = room.run("status")
    assert done.returncode == 0, done
    assert re.search(r"web-1c +core-01 +web +20\.1\.1\.\d+", done.stdout)


def test_a_learner_is_root_on_nodes_and_in_containers(room: Room) -> None:
    for target, there in (("core-01", "core-01"), ("web-1c", "core-01")):
        # What follows is put together by ssh, as for any server.
        done = room.run(f"exec {target} -- sh -c 'id -u; cat /etc/hostname; exit 7'")
        assert done.returncode == 7, done
        assert done.stdout.split() == ["0", there]
    done = room.run("exec web-1a -- ip -brief -4 address show eth0")
    assert "20.1.1." in done.stdout, done


def test_standard_input_reaches_the_node(room: Room) -> None:
    text = "two words\n  and $a 'quoted' \"line\"\n"
    done = room.run("exec core-01 -- cat", text=text)
    assert (done.returncode, done.stdout) == (0, text)


def test_what_is_quoted_stays_one_word(room: Room) -> None:
    done = room.run("""exec core-01 -- printf '<%s>' 'a b' '$HOME' '; id' "it's" '*'""")
    assert done.stdout == "<a b><$HOME><; id><it's><*>"


def test_nothing_is_run_where_the_switch_is(room: Room) -> None:
    done = room.run("exec switch -- id")
    assert (done.returncode, "nothing can be run there" in done.stdout) == (2, True)
    done = room.run("switch links")
    assert done.returncode == 0, done
    assert "master br-lan" in done.stdout


def test_frames_are_captured_and_shown(room: Room) -> None:
    asking = room.terminal()
    asking.type(b"exec web-1a -- ping -i 0.2 -c 300 web-1c || true\n")
    done = room.run("capture core-01:eth1 --seconds 1")
    assert done.returncode == 0, done
    done = room.run("trace web-1a web-1c")
    assert (done.returncode, "The answer came back." in done.stdout) == (0, True), done
    done = room.run("capture lan --seconds 5 --count 1 --filter 'arp or icmp'")
    assert done.returncode == 0, done
    asking.tear()


def test_a_shell_on_a_node_has_the_terminal_and_ctrl_c(room: Room) -> None:
    # The client has none of its own.
    terminal = room.terminal(options=("-e", "none"))
    terminal.type(b"ssh core-01\n")
    terminal.expect("# ")
    terminal.type(b"echo $(id -u) $(tty) be''gun; sleep 1000\n")
    terminal.expect("0 /dev/")
    terminal.expect("begun")
    terminal.type(b"\x03")
    terminal.expect("# ")
    # ssh's own escapes would open ports of the trainer's machine: here they are text.
    terminal.type(b"\r~C\r~?\recho $((6 * 7))\n")
    terminal.expect("42")
    assert b"ssh>" not in terminal.text
    assert b"escape sequences" not in terminal.text
    terminal.type(b"exit\n")
    terminal.expect("seat-01> ")
    terminal.type(b"exit\n")
    assert terminal.leave() == 0


def test_ctrl_c_ends_a_word_and_not_the_shell(room: Room, workshop: Workshop) -> None:
    terminal = room.terminal()
    terminal.type(b"check\n")
    terminal.expect("measuring")
    terminal.type(b"\x03")
    terminal.expect("seat-01> ")
    terminal.type(b"help\n")
    terminal.expect("Ctrl-D leaves")
    assert workshop.seat(1).entries()[-1].result in ("failed", "open")
    terminal.tear()


def running(room: Room, pattern: str) -> str:
    return room.run(f"exec core-01 -- sh -c 'pgrep -xf \"{pattern}\" || true'").stdout.strip()


def test_a_lost_connection_ends_what_ran(room: Room) -> None:
    terminal = room.terminal()
    terminal.type(b"exec core-01 -- sh -c 'echo be\"\"gun; exec sleep 4321'\n")
    terminal.expect("begun")
    assert running(room, "sleep 4321")
    terminal.tear()
    end = time.monotonic() + 30
    while running(room, "sleep 4321") and time.monotonic() < end:
        time.sleep(0.2)
    assert not running(room, "sleep 4321")


def test_a_learner_solves_it_and_it_is_graded(room: Room, copy: Checkout) -> None:
    assert room.run("hint").returncode == 0
    done = room.run(f"exec web-1b -- sh -c '{MENDED}'")
    assert done.returncode == 0, done
    done = room.run("check")
    assert done.returncode == 0, done
    assert "Done." in done.stdout
    assert "It was the link." in done.stdout
    (seat,) = told(copy, "grade")
    assert (seat["seat"], seat["done"], seat["skipped"], seat["hints"]) == ("seat-01", 1, 0, 1)
    done = copy.underlay("workshop", "grade", "--csv")
    assert "seat-01,left,1,Back again,done,1,2," in done.out


def test_the_seat_beside_is_untouched(room: Room, workshop: Workshop, copy: Checkout) -> None:
    """Names and addresses are the same there, and so is what was broken at the beginning."""
    done = room.run("check", seat=0)
    assert done.returncode == 1, done
    assert "Not done yet." in done.stdout


def test_a_reset_brings_the_fault_back(room: Room, workshop: Workshop) -> None:
    done = room.run("reset")
    assert done.returncode == 0, done
    assert "The stage is as it began" in done.stdout
    done = room.run("check")
    assert done.returncode == 1, done
    assert Path(workshop.seat(1).home, "labs").is_dir()
