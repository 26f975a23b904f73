"""What `doctor` says of machines that this one isn't: looked at through a root of their own.

AppArmor's restriction, a closed /dev/net/tun and an old Vagrant can't be had here without
changing the machine for everybody. The files, programs and users in these tests are real;
only the folder that counts as / is another.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from underlay.cluster.requirements import machine
from underlay.cluster.requirements.machine import Row

NOBODY = 65534


def put(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def as_nobody(look: Callable[[], Row | None]) -> Row | None:
    """Return what ``look`` finds in a process of an ordinary user."""
    if os.geteuid() != 0:
        return look()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        os.write(writing, pickle.dumps(look()))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        row: Row | None = pickle.loads(stream.read())
    assert os.waitpid(child, 0)[1] == 0
    return row


@pytest.fixture
def root() -> Iterator[Path]:
    # Not pytest's own folder: ordinary users must get in, and it is closed to them, how far up
    # depends on whether the tests run side by side.
    with tempfile.TemporaryDirectory(prefix="underlay-root-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_ubuntu_restricts_user_namespaces(root: Path) -> None:
    put(root, machine.RESTRICTION, "1\n")
    row = as_nobody(lambda: machine.app_armor(root))
    assert row is not None
    assert not row.ok
    assert row.fix.startswith("sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0;")
    assert "/etc/sysctl.d" in row.fix


@pytest.mark.parametrize("setting", ["0\n", None])
def test_others_leave_them_alone(root: Path, setting: str | None) -> None:
    if setting is not None:
        put(root, machine.RESTRICTION, setting)
    row = as_nobody(lambda: machine.app_armor(root))
    assert row is None if setting is None else row is not None and row.ok


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("user/max_user_namespaces", "sudo sysctl -w user.max_user_namespaces=15000"),
        ("kernel/unprivileged_userns_clone", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
    ],
)
def test_a_setting_forbids_user_namespaces(root: Path, name: str, cure: str) -> None:
    assert machine.user_namespaces(root) is None
    setting = put(root, f"proc/sys/{name}", "0\n")
    row = machine.user_namespaces(root)
    assert row is not None
    assert (row.ok, row.found) == (False, f"{name.replace('/', '.')} is 0")
    assert row.fix.startswith(cure)
    setting.write_text("12345\n")
    assert machine.user_namespaces(root) is None


def test_tun_is_missing(root: Path) -> None:
    row = machine.tun(root)
    assert (row.ok, row.found, row.fix) == (False, "is missing", "sudo modprobe tun")


def test_tun_is_closed(root: Path) -> None:
    put(root, "dev/net/tun", "").chmod(0o600 if os.geteuid() == 0 else 0)
    row = as_nobody(lambda: machine.tun(root))
    assert row is not None
    assert (row.ok, row.found) == (False, "cannot be opened: Permission denied")
    assert row.fix == "sudo chmod 0666 /dev/net/tun"


def test_too_little_memory(root: Path) -> None:
    put(root, "proc/meminfo", "MemTotal: 4000000 kB\nMemAvailable:  1048576 kB\n")
    row = machine.memory(root)
    assert (row.ok, row.found, row.needed) == (False, "1.0 GiB", "2.0 GiB")
    put(root, "proc/meminfo", "MemTotal: 4000000 kB\nMemAvailable:  2097152 kB\n")
    assert machine.memory(root).ok


def test_a_labs_memory_files_need_no_room_in_the_machines_dev_shm() -> None:
    """The sandbox mounts a file system of its own there: a container's 64 MiB are no limit."""
    own = "mount -t tmpfs -o size=3g none /dev/shm && stat --file-system -c '%b %S' /dev/shm"
    script = f'mount -t tmpfs -o size=64k none /dev/shm && unshare --mount sh -c "{own}"'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    blocks, size = map(int, done.stdout.split())
    assert blocks * size == 3 << 30


@pytest.mark.parametrize(
    ("says", "ok", "fix"),
    [
        ("Vagrant 1.9.8", False, "use Debian 12 or 13, which have 2.3"),
        ("Vagrant 2.2.19", False, "use Debian 12 or 13, which have 2.3"),
        ("Vagrant 2.3.8.dev", True, ""),
        ("Vagrant 2.4.1", True, ""),
        ("Vagrant 10.0", True, ""),
        ("cannot load such file -- vagrant", False, "sudo apt-get install --reinstall vagrant"),
    ],
)
def test_vagrant_of_any_age(
    says: str, ok: bool, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = put(tmp_path, "vagrant", f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    # A program of that name, which says what an old one says.
    monkeypatch.setitem(machine.SBIN, "PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PATH", machine.SBIN["PATH"])
    row = machine.vagrant()
    assert (row.ok, row.found, row.fix) == (ok, says, fix)


def test_vagrant_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(machine.SBIN, "PATH", "/nonexistent")
    monkeypatch.setenv("PATH", "/nonexistent")
    row = machine.vagrant()
    assert (row.ok, row.found) == (False, "vagrant cannot be run: No such file or directory")
