"""What a node's process sees of this host: nothing but programs, its disk and its seed.

Whoever is root on a node can run code in the process that is its kernel. So everything here is
tried from where that process is, with the rights that it has; and each search is made once more
from a sandbox that isn't confined, where it has to find what it looks for.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.running import Checkout, written
from cluster.small_lab import small_lab
from underlay.cluster.providers.uml import holder, sandbox
from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.storage import paths

DEADLINE = 120
# Every file that has this name, also by the way of each process's root, folder and open files.
SEARCH = (
    "find / /proc/[0-9]*/root/ /proc/[0-9]*/cwd/ -path /sys -prune -o -name '{}*' -print"
    " 2>/dev/null"
)


class Seat:
    """A sandbox, and what is run in it as a node's process would run it."""

    def __init__(self, made: sandbox.Sandbox) -> None:
        self.made = made

    def run(self, script: str) -> str:
        """Run ``script`` with a node's rights; return all that it says."""
        command = self.made.enter([*holder.POWERLESS, "sh", "-c", script])
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        return done.stdout + done.stderr

    def can(self, script: str) -> bool:
        """Whether ``script`` succeeds with a node's rights."""
        return self.run(f"({script}) >/dev/null 2>&1 && echo yes").strip() == "yes"


Make = Callable[[bool], Seat]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """What nodes boot from, to which nobody may write."""
    file = tmp_path / "cache" / "root.ext4"
    file.parent.mkdir()
    file.write_bytes(b"disk")
    return file


@pytest.fixture
def make(tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Return what makes a seat, confined or not."""
    made: list[sandbox.Sandbox] = []

    def start(confined: bool) -> Seat:
        with monkeypatch.context() as patched:
            if not confined:
                words = [sys.executable, "-I", "-S", str(holder.__file__)]
                patched.setattr(sandbox, "_first_process", lambda *_: words)
            folder = tmp_path / "seats" / f"{len(made):02}" / "home" / "labs" / "small"
            folder.mkdir(parents=True)
            (folder.parents[2] / "journal.jsonl").write_text("{}\n")
            lab = tmp_path / "small.yml"
            lab.write_text(small_lab("small", 1, count=1))
            made.append(sandbox.start(make_plan(read_lab(lab)), folder, [disk]))
        return Seat(made[-1])

    yield start
    for each in made:
        each.stop()


def found(seat: Seat, name: str) -> list[str]:
    return [line for line in seat.run(SEARCH.format(name)).splitlines() if name in line]


@pytest.fixture
def solution(tmp_path: Path) -> str:
    """The name of files that nobody at a seat is to see: a course's, the trainer's, a seat's."""
    name = f"solution-{secrets.token_hex(6)}"
    for folder in (tmp_path / "courses", tmp_path / "you", tmp_path / "seats" / "07"):
        folder.mkdir(parents=True)
        (folder / f"{name}.yml").write_text("solve: []\n")
    return name


def test_a_seat_sees_no_solution(make: Make, solution: str) -> None:
    seat = make(True)
    assert found(seat, solution) == []
    assert "/lab/nodes" in found(seat, "nodes")


# It looks through all of this machine's disk.
@pytest.mark.all
def test_the_same_search_finds_it_where_nothing_is_confined(make: Make, solution: str) -> None:
    files = [line for line in found(make(False), solution) if line.startswith("/")]
    assert {Path(file).parent.name for file in files} >= {"courses", "you", "07"}


def test_a_seat_sees_no_other_seat(make: Make) -> None:
    first, second = make(True), make(True)
    for seat in (first, second):
        assert found(seat, "journal.jsonl") == []
        assert seat.run("ls /lab/nodes; ls /proc | grep -c '^[0-9]'").split()[-1] in "1234567"
    assert first.run("readlink /proc/self/ns/net") != second.run("readlink /proc/self/ns/net")


def test_underlay_itself_is_not_there(make: Make) -> None:
    assert not make(True).can(f"test -e {paths.PACKAGE}/__init__.py")
    assert make(False).can(f"test -e {paths.PACKAGE}/__init__.py")


@contextmanager
def listening(path: Path) -> Iterator[str]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield str(path)


def test_no_socket_of_the_host_is_reached(make: Make, tmp_path: Path) -> None:
    script = (
        "busybox nc -w 1 local:{0} </dev/null || python3 -c 'import socket; s = "
        'socket.socket(socket.AF_UNIX); s.connect("{0}")\''
    )
    with listening(tmp_path / "s") as path:
        assert not make(True).can(script.format(path))
        assert make(False).can(script.format(path))


def test_nothing_of_the_host_can_be_written(make: Make, disk: Path) -> None:
    seat = make(True)
    shown = sandbox.inside(disk)
    assert seat.can(f"test -r {shown}")
    for path in (shown, "/usr/bin/env", "/holder.py", "/proc/1/root/usr/bin/env", "/etc/passwd"):
        assert not seat.can(f"exec 3>>{path}"), path
    for path in ("/new", "/usr/new", "/lab/nodes/new", "/etc/new", "/dev/new"):
        assert not seat.can(f": >{path}"), path
    for setting in ("kernel/core_pattern", "vm/overcommit_memory", "kernel/hostname"):
        assert not seat.can(f"exec 3>/proc/sys/{setting}"), setting
    assert disk.read_bytes() == b"disk"
    assert make(False).can(f"exec 3>>{disk}")


# A way out or up for a process that had any right left.
WAYS = {
    "mount": "mount -t tmpfs none /tmp",
    "write again": "mount -o remount,bind,rw /usr",
    "uncover": "umount /proc/sys",
    "a device": "mknod /dev/shm/vda b 254 0",
    "the first process's files": "ls /proc/1/fd/0",
    "the first process's root": "ls /proc/1/root/",
    "another root": "mkdir -p /dev/shm/r && chroot /dev/shm/r",
    "the switch": "ip link add bad0 type bridge",
    "a module": "python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(175, 0, 0, 0)"
    " != 0)'",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_node_has_no_right_to_it(make: Make, way: str) -> None:
    assert not make(True).can(WAYS[way])


# CLONE_NEWUSER and CLONE_NEWNS; MS_REMOUNT and MS_BIND; MNT_DETACH. Its answers: what succeeded.
ALL_RIGHTS = """
import ctypes
c = ctypes.CDLL(None)
print("in" if c.unshare(0x10020000) == 0 else "out", end="")
for folder in (b"/usr", b"/lab/nodes", b"/"):
    print("" if c.mount(None, folder, None, ctypes.c_ulong(4128), None) else " written", end="")
for folder in (b"/usr", b"/proc/sys", b"/dev/shm"):
    print("" if c.umount2(folder, 2) else " uncovered", end="")
print(" made" if c.mount(b"none", b"/tmp", b"tmpfs", ctypes.c_ulong(0), None) == 0 else "")
"""


def test_a_user_namespace_of_its_own_uncovers_nothing(make: Make) -> None:
    """There a process has all rights again, but what it was handed stays locked."""
    said = make(True).run(f"python3 -I -S -c '{ALL_RIGHTS}'").strip()
    if said.startswith("out"):
        pytest.skip("this host forbids user namespaces in there")
    assert said == "in made"


def test_the_holder_cannot_be_replaced(make: Make) -> None:
    seat = make(True)
    for words in ("rm -f /dev/shm/holder", "mv /dev/shm/holder /dev/shm/x", "ln -sf /x {0}"):
        assert not seat.can(f"cd /dev/shm && {words.format('/dev/shm/holder')}"), words
    assert seat.made.ask({"do": "states"}) == {"states": {}}


def test_what_is_written_in_there_is_bounded(make: Make) -> None:
    seat = make(True)
    sizes = seat.run("df -m --output=size,target /dev/shm /run /tmp /var/tmp").split()[3:]
    by_folder = dict(zip(sizes[1::2], map(int, sizes[::2]), strict=True))
    assert max(size for name, size in by_folder.items() if name != "/dev/shm") <= 16
    assert by_folder["/dev/shm"] <= 512 + 768
    assert not seat.can("head -c 20M /dev/zero >/tmp/full")


def test_nodes_run_confined_and_are_reached(copy: Checkout, tmp_path: Path) -> None:
    with written(copy, tmp_path, "confined", small_lab("confined", 1, count=2)) as lab:
        done = lab.up()
        assert done.code == 0, str(done)
        lab.check().prove_green()
        living = sandbox.find(copy.state("confined"))
        assert living
        space = os.readlink(f"/proc/{living.pid}/ns/pid")
        kernels = [p for p in processes_in(space) if b"linux.uml" in cmdline(p)]
        assert kernels
        started = {int(process.name): sandbox.start_time(int(process.name)) for process in kernels}
        for process in kernels:
            status = (process / "status").read_text()
            assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE), status
            assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE), status
            assert sorted(os.listdir(process / "root")) == sorted(
                os.listdir(f"/proc/{living.pid}/root")
            )
            assert not (process / "root" / str(tmp_path)[1:]).exists()
        # A node's root by the way that User Mode Linux has for it.
        words = "mount -t hostfs none /mnt -o / && ls -A /mnt"
        hostfs = lab.execute("core-01", "sh", "-c", words)
        assert not hostfs.out.strip(), str(hostfs)
        for words in (("status",), ("capture", "lan", "--seconds", "1", "--output", "-")):
            assert lab.verb(*words).code == 0
        assert "br-lan" in lab.execute("switch", "ip", "link").out
        assert lab.down().code == 0
    assert not living.alive
    assert [pid for pid, began in started.items() if sandbox.start_time(pid) == began] == []


def processes_in(space: str) -> list[Path]:
    inside = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "ns" / "pid") == space:
                inside.append(process)
        except OSError:
            continue
    return inside


def cmdline(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
