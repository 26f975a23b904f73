"""Network namespaces by name, as `ip netns` keeps them, for containers without an engine."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import threading

from .commands import Failed, run

# linux/sockios.h and linux/if.h.
SIOCSIFFLAGS = 0x8914
UP = 0x1


def path(name: str) -> str:
    """Return where the network namespace of the container ``name`` is mounted."""
    return f"/run/netns/{name}"


def enter(name: str) -> list[str]:
    """Return the words that run a command in the container's network namespace."""
    return ["nsenter", f"--net={path(name)}", "--"]


def make(names: list[str]) -> None:
    """Make the missing network namespaces and bring up their loopback devices."""
    missing = [name for name in names if not os.path.exists(path(name))]
    if missing:
        run(["ip", "-batch", "-"], "".join(f"netns add {name}\n" for name in missing))
        _raise_loopbacks(missing)


def _raise_loopbacks(names: list[str]) -> None:
    """Bring up ``lo`` in each namespace: from inside, where a process for each would cost more."""
    failed: list[str] = []

    def inside() -> None:
        request = struct.pack("16sH14x", b"lo", UP)
        for name in names:
            try:
                with open(path(name), encoding="ascii") as space:
                    os.setns(space.fileno(), os.CLONE_NEWNET)
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
                    fcntl.ioctl(asked, SIOCSIFFLAGS, request)
            except OSError as error:
                failed.append(f"{name}: lo: {error}")

    # A thread of its own: where it has been to, it can't come back from.
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if failed:
        raise Failed("; ".join(failed))


def remove(name: str) -> None:
    """Remove the container's network namespace, if there is one."""
    if os.path.exists(path(name)):
        run(["ip", "netns", "delete", name])
