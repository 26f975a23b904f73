"""Containers that are namespaces and nothing else: one process holds them, as a pod's pause does.

The network namespace is the one that `ip netns` made; host name and IPC are the process's own.
An OCI runtime would add a root file system that nobody here looks at, and take twenty times
as long.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time

from .commands import Failed, write
from .crun import BUNDLES, ROOTFS, SLEEP, started
from .namespaces import CLONE_NEWIPC, CLONE_NEWUTS, aside, join, leave, path

NO_STREAMS = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in range(3)]
# Seconds that a killed process gets to disappear.
DEADLINE = 10.0


def start(name: str) -> None:
    """Start the process that holds the container's namespaces; note its identity."""
    failed: list[str] = []

    def inside() -> None:
        try:
            leave(CLONE_NEWUTS | CLONE_NEWIPC)
            socket.sethostname(name)
            with open(path(name), encoding="ascii") as space:
                join(space.fileno())
            process = os.posix_spawn(
                f"{ROOTFS}{SLEEP[0]}", SLEEP, {}, file_actions=NO_STREAMS, setsid=True
            )
            write(_note(name), f"{process} {started(process)}\n")
        except OSError as error:
            failed.append(f"{name}: {error}")

    aside(inside)
    if failed:
        raise Failed("; ".join(failed))


def runs(name: str) -> bool:
    """Whether the container's namespace and the process that was started in it are there."""
    return pid(name) != 0 and os.path.exists(path(name))


def end(name: str) -> None:
    """End whatever runs in the container's network namespace, and wait until it is gone."""
    for words in end_all([name]).values():
        raise Failed(words)


def end_all(names: list[str]) -> dict[str, str]:
    """End whatever runs in the containers' network namespaces; return what failed, by name.

    Not only the noted processes: one that was started a moment before its starter was killed
    has no note, and would keep the parent of its interface busy.
    """
    end = time.monotonic() + DEADLINE
    while found := _within(names):
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if time.monotonic() > end:
            break
        time.sleep(0.005)
    failed = {name: f"process {process} is still there" for process, name in found.items()}
    for name in names:
        if name not in failed:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(_note(name))
    return failed


def pid(name: str) -> int:
    """Return the noted process, 0 where it has ended or its number is another's by now."""
    try:
        with open(_note(name), encoding="ascii") as file:
            noted, since = (int(word) for word in file.read().split())
        return noted if started(noted) == since else 0
    except (OSError, ValueError):
        return 0


def _within(names: list[str]) -> dict[int, str]:
    """Return the living processes of the containers, their namespaces being there or not."""
    noted = {name: pid(name) for name in names}
    found = {process: name for name, process in noted.items() if process}
    spaces = {}
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            there = os.stat(path(name))
            spaces[there.st_dev, there.st_ino] = name
    for process in (int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
        # What ends meanwhile, and what is dead already, is in no namespace.
        with contextlib.suppress(OSError):
            here = os.stat(f"/proc/{process}/ns/net")
            if (here.st_dev, here.st_ino) in spaces:
                found[process] = spaces[here.st_dev, here.st_ino]
    return found


def _note(name: str) -> str:
    return f"{BUNDLES}/{name}/pid"
