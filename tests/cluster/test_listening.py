"""Nothing of a lab listens outside its sandbox: neither nodes, nor their ports, nor helpers."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.family import Family, family
from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import CHECK_DEADLINE, UP_DEADLINE, Checkout, Lab, written
from cluster.small_lab import small_lab
from underlay.proof.bench.soak import waited

LAB = small_lab("quiet", 1, count=2, more="hosts:\n  peer: {on: {lan: {}}}\n")
# By table of /proc/net: the columns of the inode and of the state, and the state that listens.
# An unconnected socket of the others takes what comes, whatever its state.
TABLES = {
    "tcp": (9, 3, "0A"), "tcp6": (9, 3, "0A"), "udp": (9, 3, ""), "udp6": (9, 3, ""),
    "raw": (9, 3, ""), "raw6": (9, 3, ""), "packet": (8, 3, ""),
}  # fmt: skip
# Of the table `unix`, see net/unix/af_unix.c: __SO_ACCEPTCON and SOCK_STREAM.
ACCEPTS, STREAM = 1 << 16, 1


@dataclass(frozen=True)
class Heard:
    """A socket of this machine's own network that takes what others send; a unix one by name."""

    table: str
    inode: str
    name: str

    @property
    def private(self) -> bool:
        """Whether only this user gets at it: a file in a folder closed to everybody else."""
        if not self.name.startswith("/"):
            return False
        try:
            folder = Path(self.name).parent.stat()
        except OSError:
            return False
        return stat.S_IMODE(folder.st_mode) == 0o700 and folder.st_uid == os.geteuid()


def hearing() -> set[Heard]:
    """Return all such sockets; of the unix ones those that are bound to a name."""
    found = set()
    for table, (inode, state, listens) in TABLES.items():
        for line in _rows(table):
            words = line.split()
            if not listens or words[state] == listens:
                found.add(Heard(table, words[inode], words[1]))
    for line in _rows("unix"):
        words = line.split(maxsplit=7)
        # A connection that was taken has its listener's name, which may be in the sandbox alone.
        if len(words) == 8 and (int(words[3], 16) & ACCEPTS or int(words[4], 16) != STREAM):
            found.add(Heard("unix", words[6], words[7]))
    return found


def _rows(table: str) -> list[str]:
    try:
        return Path("/proc/net", table).read_text().splitlines()[1:]
    except OSError:
        return []


def sockets(pid: int) -> set[str]:
    """Return the inodes of the sockets that a process has open."""
    found = set()
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                target = str(entry.readlink())
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found


class Watch:
    """Compares what is heard with what was before; other programs of this machine don't count."""

    def __init__(self) -> None:
        self._before = hearing()
        self.seen: set[Heard] = set()
        self._unheld: set[Heard] = set()

    def look(self, *commands: Family) -> None:
        """Note what is new and is held by a command's family, or by no process at all."""
        new = hearing() - self._before
        ours = {member.pid for command in commands for member in command.members()}
        every = {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
        mine = {inode for pid in ours for inode in sockets(pid)}
        others = {inode for pid in every - ours for inode in sockets(pid)}
        # One that is gone by now may have been anybody's, and so may what only root can look into.
        unheld = {h for h in new & hearing() if h.inode not in others and os.geteuid() == 0}
        # Twice, as its holder may have been started while this was looking.
        self._unheld, unheld = unheld, self._unheld & unheld
        self.seen |= unheld | {heard for heard in new if heard.inode in mine}

    def prove(self) -> None:
        """Fail where anybody else could send something to what was noted."""
        wrong = [str(heard) for heard in self.seen if not heard.private]
        assert not wrong, "\n".join(wrong)


@pytest.fixture
def quiet(copy: Checkout, tmp_path: Path) -> Iterator[Lab]:
    """A lab of a lean node and an external host, not up."""
    with written(copy, tmp_path, "quiet", LAB) as lab:
        yield lab


def test_nothing_listens_outside_the_sandbox(quiet: Lab, tmp_path: Path) -> None:
    before = interfaces()
    watch = Watch()
    with family(quiet.checkout, tmp_path / "up", "up", str(quiet.file)) as up:
        looking(watch, lambda: up.code is not None, UP_DEADLINE, up)
        assert up.code == 0, up.words()
        watch.prove()
        with family(
            quiet.checkout, tmp_path / "check", "check", "--lab", quiet.name, "--json"
        ) as check:
            looking(watch, lambda: check.code is not None, CHECK_DEADLINE, up, check)
            assert check.code == 0, check.words()
            watch.look(up, check)
            watch.prove()
            # Else nothing has been looked at: the shared ssh connections must have been seen.
            shared = {Path(heard.name).name.partition(".")[0] for heard in watch.seen}
            assert {node.name for node in quiet.plan.nodes} <= shared, watch.seen
            done = quiet.down()
            assert done.code == 0, str(done)
            assert waited(lambda: not up.members() and not check.members(), 10) is not None
    prove_nothing_is_left(quiet.checkout, before)


def looking(watch: Watch, over: Callable[[], bool], patience: float, *commands: Family) -> None:
    """Look again and again until it is over."""
    limit = time.monotonic() + patience
    while not over():
        assert time.monotonic() < limit, [command.words() for command in commands]
        watch.look(*commands)
        time.sleep(0.1)
