"""Seats of a workshop: alike and apart, limited, and gone afterwards, whatever was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from barrier import Barrier
from cluster.commands import Done, run
from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import VERB_DEADLINE, Checkout
from course_folder import LAB, ON_ONE_NODE, course_in
from underlay.cluster.providers.uml.sandbox import start_time
from underlay.workshop.outlived import GRACE, LOOK

# A container each will do.
ONE_EACH = LAB.replace("count: 2, networks", "count: 1, networks")
DEADLINE = 900.0
SANDBOX, ASKED = ("unshare", "--map-root-user"), ("ssh", "bash")


class Workshops:
    """A course of one exercise, and the workshops of it in a checkout."""

    def __init__(self, checkout: Checkout, folder: Path, **parts: str) -> None:
        self.checkout = checkout
        self.course = course_in(folder, **parts)
        self.folder = checkout.root / ".underlay" / "workshops" / "two-rooms"

    def words(self, seats: int) -> list[str]:
        return ["workshop", "up", str(self.course), "--seats", str(seats), "--port", "0"]

    def up(self, seats: int) -> Done:
        return self.checkout.underlay(*self.words(seats), "--json", deadline=DEADLINE)

    def down(self) -> Done:
        return self.checkout.underlay("workshop", "down", "--json")

    def at(self, number: int, *words: str) -> Done:
        """Run a verb at a seat, as its learner's words do."""
        home = {"UNDERLAY_HOME": str(self.seat(number) / "home")}
        program = str(self.checkout.root / "underlay")
        return run(
            [program, *words],
            folder=self.checkout.root, deadline=VERB_DEADLINE, environment=home,
        )  # fmt: skip

    def line(self, number: int, line: str) -> Done:
        """Type a line in the shell of a seat."""
        shell = [self.checkout.tool("python"), "-P", "-m", "underlay.cli.seat_shell"]
        return run(
            [*shell, str(self.folder), str(number), "--line", line],
            folder=self.checkout.root,
            deadline=VERB_DEADLINE,
            environment={"PYTHONPATH": str(self.checkout.root / "src")},
        )

    def seat(self, number: int) -> Path:
        return self.folder / "seats" / f"{number:02d}"

    @property
    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.folder / "workshop.json").read_text())
        return record


@contextmanager
def workshops(copy: Checkout, folder: Path, **parts: str) -> Iterator[Workshops]:
    """Yield the workshops of a course with ``parts``; end what is up then, which leaves nothing."""
    found = Workshops(copy, folder, **parts)
    before = interfaces()
    yield found
    if found.folder.exists():
        found.down()
    prove_nothing_is_left(copy, before)


@pytest.fixture
def two_rooms(copy: Checkout, tmp_path: Path) -> Iterator[Workshops]:
    """Seats of two nodes, with a container each."""
    with workshops(copy, tmp_path, lab=ONE_EACH) as found:
        yield found


@pytest.fixture
def small_rooms(copy: Checkout, tmp_path: Path) -> Iterator[Workshops]:
    """Seats of one node, for what has no question about their labs."""
    with workshops(copy, tmp_path, **ON_ONE_NODE) as found:
        yield found


def test_seats_are_alike_and_know_nothing_of_each_other_until_they_are_ended(
    small_rooms: Workshops,
) -> None:
    """The end needs neither the server nor the course, and is that of whoever works for them."""
    done = small_rooms.up(1)
    assert done.code == 0, str(done)
    assert [seat["up"] for seat in done.document()["seats"]] == [True, True]
    plans = {(small_rooms.seat(n) / "home/labs/left/plan.json").read_text() for n in (0, 1)}
    assert len(plans) == 1, "not the same names and addresses"
    for number in (0, 1):
        assert small_rooms.at(number, "check").code == 1
    cured = small_rooms.at(1, "mend")
    assert cured.code == 0, str(cured)
    assert small_rooms.at(1, "check").code == 0
    assert small_rooms.at(0, "check").code == 1

    groups = [Path(group) for group in small_rooms.record["groups"]]
    if groups:
        for number in (0, 1):
            prove_all_is_in_its_groups(small_rooms, number, groups)
    else:
        assert len(small_rooms.record["unlimited"]) == 3
    # A learner's `reset` boots the nodes anew, from their own shell: within the same limits.
    done = small_rooms.line(1, "reset")
    assert done.code == 0, str(done)
    assert small_rooms.at(1, "check").code == 1
    if groups:
        prove_all_is_in_its_groups(small_rooms, 1, groups)
    again = small_rooms.up(1)
    assert again.code == 2, str(again)
    assert "is up already" in again.err + again.out
    end_without_server_and_course(small_rooms)
    assert [group for group in groups if group.exists()] == []


def prove_all_is_in_its_groups(small_rooms: Workshops, number: int, groups: list[Path]) -> None:
    identity = small_rooms.seat(number) / "home/labs/left/sandbox.json"
    space = os.readlink(f"/proc/{json.loads(identity.read_text())['pid']}/ns/pid")
    own = [group for group in groups if group.name == f"seat-{number:02d}"]
    assert own
    inside = [set((group / "cgroup.procs").read_text().split()) for group in own]
    nodes = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.readlink(process / "ns/pid") == space:
                words = (process / "cmdline").read_text(errors="replace").split("\0")
                nodes |= {word for word in words if word.startswith("umid=")}
                assert all(process.name in members for members in inside), process
    assert nodes == {"umid=core-01"}


@pytest.mark.all
def test_a_seat_takes_no_memory_of_the_others(two_rooms: Workshops) -> None:
    """Nodes' disks are in memory: whoever fills them is ended, and nobody else."""
    assert two_rooms.up(1).code == 0
    groups = [Path(group) for group in two_rooms.record["groups"]]
    own = [group for group in groups if group.name == "seat-01" and "/memory/" in str(group)]
    if not own or not (own[0] / "memory.limit_in_bytes").exists():
        two_rooms.down()
        pytest.skip("here memory is limited by no control group of version 1")
    limit = int((own[0] / "memory.limit_in_bytes").read_text())
    fill = "dd if=/dev/urandom of=/root/full-NUMBER bs=1M count=900; sync"
    for number in (1, 2):
        words = fill.replace("NUMBER", str(number))
        two_rooms.at(1, "exec", f"core-0{number}", "--", "sh", "-c", words)
    assert int((own[0] / "memory.max_usage_in_bytes").read_text()) <= limit
    assert int((own[0] / "memory.failcnt").read_text()) > 0, "it never came to the limit"
    well = two_rooms.at(0, "exec", "core-02", "--", "true")
    assert well.code == 0, str(well)
    assert two_rooms.line(1, "reset").code == 0
    assert two_rooms.at(1, "exec", "core-02", "--", "true").code == 0
    assert two_rooms.down().code == 0


@pytest.mark.parametrize(
    "point", [SANDBOX, pytest.param(ASKED, marks=pytest.mark.all)], ids=lambda point: point[0]
)
@pytest.mark.parametrize(
    "sign",
    [
        pytest.param(signal.SIGKILL, marks=pytest.mark.all, id="killed"),
        pytest.param(signal.SIGINT, id="interrupted"),
    ],
)
def test_a_broken_off_up_leaves_nothing(
    small_rooms: Workshops, sign: signal.Signals, point: tuple[str, str], barrier: Barrier
) -> None:
    held = barrier.hold(*point)
    up = small_rooms.checkout.start(*small_rooms.words(2), environment=barrier.environment)
    held.wait(lambda: up.poll() is None)
    os.kill(up.pid, sign)
    held.release()
    code = up.wait(timeout=120)
    if sign == signal.SIGINT:
        assert code == 130
        assert not small_rooms.folder.exists()
        return
    assert small_rooms.folder.exists()
    if point == SANDBOX:
        # What it has left gives way, and not to `down` alone.
        again = small_rooms.up(1)
        assert again.code == 0, str(again)
        assert "was not brought up to its end" in again.err + again.out
    done = small_rooms.down()
    assert done.code == 0, str(done)
    assert not small_rooms.folder.exists()


def test_down_ends_an_up_that_is_still_at_work(small_rooms: Workshops, barrier: Barrier) -> None:
    held = barrier.hold(*SANDBOX)
    up = small_rooms.checkout.start(*small_rooms.words(2), environment=barrier.environment)
    held.wait(lambda: up.poll() is None)
    down = small_rooms.checkout.start("workshop", "down")
    assert up.wait(timeout=120) == 130
    held.release()
    # Which of the two has ended the last of it, nobody can tell.
    assert down.wait(timeout=120) in (0, 2)
    assert not small_rooms.folder.exists()


@pytest.mark.all
def test_the_server_ends_by_itself_where_all_sandboxes_were_killed(two_rooms: Workshops) -> None:
    """As a killed test of nodes leaves it, or a machine whose memory ran out."""
    assert two_rooms.up(1).code == 0
    server = json.loads((two_rooms.folder / "sign-in/server.json").read_text())
    found = [json.loads(one.read_text()) for one in two_rooms.folder.rglob("sandbox.json")]
    assert len(found) == 2
    first, second = (one["outer"] for one in found)
    time.sleep(2 * LOOK)
    os.kill(first, signal.SIGKILL)
    time.sleep(GRACE + 2 * LOOK)
    assert start_time(server["pid"]) == server["started"], "a seat is still there"
    os.kill(second, signal.SIGKILL)
    limit = time.monotonic() + 120
    while start_time(server["pid"]) == server["started"]:
        assert time.monotonic() < limit
        time.sleep(0.5)
    done = two_rooms.down()
    assert done.code == 0, str(done)
    assert not two_rooms.folder.exists()


def working_for(token: str) -> subprocess.Popen[bytes]:
    """Start a process as the workshop's own are, which ends by itself."""
    words = [sys.executable, "-c", "import time; time.sleep(60)"]
    return subprocess.Popen(words, env={**os.environ, "UNDERLAY_WORKSHOP": token})


def end_without_server_and_course(small_rooms: Workshops) -> None:
    """End a workshop by `down`: whoever works for it ends as well, and nobody else."""
    server = json.loads((small_rooms.folder / "sign-in/server.json").read_text())
    os.kill(server["pid"], signal.SIGKILL)
    (small_rooms.course / "course.yml").unlink()
    own, stranger = working_for(small_rooms.record["token"]), working_for("0" * 32)
    began = start_time(stranger.pid)
    done = small_rooms.down()
    assert done.code == 0, str(done)
    assert not small_rooms.folder.exists()
    assert own.wait(timeout=10) == -signal.SIGKILL
    assert start_time(stranger.pid) == began
    stranger.kill()
    stranger.wait(timeout=10)


def test_more_seats_than_fit_are_refused_with_the_sum(small_rooms: Workshops) -> None:
    done = small_rooms.up(5000)
    assert done.code == 2, str(done)
    assert "5001 ×" in done.out + done.err
    assert not small_rooms.folder.exists()
