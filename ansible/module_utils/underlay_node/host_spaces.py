"""Network namespaces on a host of somebody's own: made with a known identity, and seen into.

A name says little there: anybody may have a namespace of the same name by now. The kernel gives
each a cookie that none has again until the next boot (SO_NETNS_COOKIE, Linux 5.14).
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import socket
from collections.abc import Callable, Iterator

from .commands import DEADLINE, Failed, run
from .namespaces import CLONE_NEWNET, aside, call, join, leave, path

FOLDER = "/run/netns"
# Where runtimes keep namespaces by a name: ip netns, CNI and podman; Docker.
NAMED = (FOLDER, "/run/docker/netns")
# linux/mount.h, asm-generic/socket.h
MS_BIND, MNT_DETACH = 0x1000, 0x2
SO_NETNS_COOKIE = 71
OWN = "/proc/thread-self/ns/net"


def make(name: str, note: Callable[[str], None]) -> None:
    """Make the namespace ``name``; ``note`` is told its identity before it has that name.

    Raises Failed, and what ``note`` raises; nothing has been made then.
    """
    failed: list[Exception] = []

    def inside() -> None:
        try:
            leave(CLONE_NEWNET)
            note(_identity())
            os.close(os.open(path(name), os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))
            call("mount", OWN.encode(), path(name).encode(), None, MS_BIND, None)
        except (OSError, Failed) as error:
            failed.append(error)

    aside(inside)
    if failed:
        raise Failed(f"{name}: {failed[0]}") from failed[0]


def remove(name: str) -> None:
    """Take the namespace's name away, and with it the namespace, unless somebody is inside."""
    if is_space(path(name)):
        call("umount2", path(name).encode(), MNT_DETACH)
    os.unlink(path(name))


def identity(name: str) -> str:
    """Return the identity of the namespace that is called ``name`` now; empty for none."""
    if not is_space(path(name)):
        return ""
    found: list[str] = []

    def inside() -> None:
        with contextlib.suppress(OSError), open(path(name), encoding="ascii") as space:
            join(space.fileno())
            found.append(_identity())

    aside(inside)
    return found[0] if found else ""


def is_space(at: str) -> bool:
    """Whether a namespace is mounted at a path; a file alone is what is left of one."""
    try:
        return os.stat(at).st_dev == os.stat("/proc/self/ns/net").st_dev
    except FileNotFoundError:
        return False


def others() -> Iterator[tuple[str, list[dict]]]:
    """Yield each namespace but this process's own, by a name for people, with its interfaces.

    They are as ``ip -details address`` tells them. One that goes meanwhile is left out.
    """
    seen = {os.stat("/proc/self/ns/net").st_ino}
    named = [each for folder in NAMED for each in sorted(glob.glob(f"{folder}/*"))]
    processes = [f"/proc/{each}/ns/net" for each in os.listdir("/proc") if each.isdigit()]
    for at in [*named, *processes]:
        with contextlib.suppress(OSError, Failed, ValueError):
            number = os.stat(at).st_ino
            if number in seen or (at in named and not is_space(at)):
                continue
            seen.add(number)
            words = ["nsenter", f"--net={at}", "--", "ip", "-json", "-details", "address"]
            rows = json.loads(run(words, deadline=DEADLINE) or "[]")
            yield (os.path.basename(at) if at in named else f"process {at.split('/')[2]}"), rows


def _identity() -> str:
    """Return the identity of this thread's namespace: its cookie, else its number in nsfs."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            cookie = asked.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)
        return f"cookie {int.from_bytes(cookie, 'little')}"
    except OSError:
        return f"number {os.stat(OWN).st_ino}"
