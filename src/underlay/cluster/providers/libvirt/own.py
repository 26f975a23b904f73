"""A libvirtd of the lab's own, where none answers that this user may use.

It runs in namespaces that end with the lab, as a uml lab's nodes do (uml/sandbox.py): no bridge,
firewall rule, machine or socket of it is seen on this host, two labs may have equal addresses, and
whoever may make a user namespace needs no right beside. The daemon believes itself root. What it
starts can read and write what this user can, and nothing else.

Unlike a uml lab's it sees this host's files, by the paths that Vagrant and qemu are told; but its
settings, sockets and notes are in memory file systems of its own.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.providers.libvirt.virsh import DEFAULT_URI, URI, require
from underlay.cluster.providers.uml import sandbox
from underlay.errors import Infrastructure

if TYPE_CHECKING:
    from collections.abc import Callable

# What says in a lab's state folder that its daemon is, or was, the lab's own.
MARK = "libvirt/own"
SOCKET = "/run/libvirt/libvirt-sock"
HOLDER = Path(sandbox.__file__).with_name("holder.py")
WITHOUT_GROUPS = Path(__file__).with_name("without_groups.py")
FOLDERS = ("/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt")
MIB = 64  # of each of these, and of /dev/shm: notes and logs
ANSWERS = 30.0  # s until it has to answer
INTERVAL = 0.1

# Nobody would hand it cgroups, it may not make the namespaces and devices that it would give a
# machine, and files belong to whom they belong: in there this user is root.
MACHINES = """\
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
dynamic_ownership = 0
remember_owner = 0
stdio_handler = "file"
"""
# Whoever reaches the socket is this user; polkit would need a system bus.
DAEMON = """\
unix_sock_rw_perms = "0700"
auth_unix_rw = "none"
"""


def uri_of(state: Path) -> str:
    """Return by which URI a lab's libvirtd is reached: its own, the user's choice, the system's."""
    living = sandbox.find(state)
    if living is not None:
        return f"qemu+unix:///system?socket=/proc/{living.pid}/root{SOCKET}"
    return os.environ.get(URI) or DEFAULT_URI


def has_own(state: Path) -> bool:
    """Whether the lab was started with a libvirtd of its own, which may have ended since."""
    return (state / MARK).exists()


def ensure(state: Path, progress: Callable[[str], None]) -> None:
    """Start a libvirtd of the lab's own unless it has one, or another that this user may use.

    Raises Infrastructure where libvirt isn't installed, where none can be started, and where
    the one that the user has chosen by ``LIBVIRT_DEFAULT_URI`` doesn't answer.
    """
    if sandbox.find(state) is not None:
        return
    (state / MARK).unlink(missing_ok=True)
    try:
        require(uri_of(state))
    except Infrastructure as error:
        if os.environ.get(URI) or not error.detail:
            raise
        progress(f"{error.message}: starting one of the lab's own")
        _start(state)


def _start(state: Path) -> None:
    (state / MARK).parent.mkdir(parents=True, exist_ok=True)
    (state / MARK).touch()
    first = [sys.executable, "-I", "-S", str(WITHOUT_GROUPS), str(HOLDER)]
    living = sandbox.begin(first, {"tmpfs_mib": MIB, "commands": _commands()}, state)
    limit = time.monotonic() + ANSWERS
    while True:
        try:
            require(uri_of(state))
        except Infrastructure as error:
            if time.monotonic() > limit:
                living.stop()
                raise Infrastructure(
                    "the lab's own libvirtd does not answer",
                    detail=error.detail,
                    hint="sudo systemctl start libvirtd",
                ) from error
            time.sleep(INTERVAL)
        else:
            return


def _commands() -> list[tuple[list[str], str]]:
    """Return what the holder runs to have a libvirtd, each with its standard input."""
    options = f"size={MIB}m,mode=0755"
    made: list[tuple[list[str], str]] = [
        (["mount", "-t", "tmpfs", "-o", options, "underlay", folder], "")
        for folder in FOLDERS
        if Path(folder).is_dir()
    ]
    made += [
        (["ip", "link", "set", "lo", "up"], ""),
        (["mkdir", "-p", "/run/lock", "/var/lib/libvirt/dnsmasq", "/var/log/libvirt/qemu"], ""),
        (["tee", "/etc/libvirt/qemu.conf"], MACHINES),
        (["tee", "/etc/libvirt/libvirtd.conf"], DAEMON),
        (["libvirtd", "--daemon"], ""),
    ]
    return made
