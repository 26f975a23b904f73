"""Network namespaces by name, as `ip netns` keeps them, for containers without an engine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable

from .commands import DEADLINE, Failed, run

# linux/sockios.h and linux/if.h.
SIOCSIFFLAGS = 0x8914
UP = 0x1
# linux/rtnetlink.h and linux/netlink.h.
RTM_DELLINK = 17
REQUEST_ACK = 0x5
# linux/sched.h. Python has names for them from 3.12 on.
CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWNET = 0x04000000, 0x08000000, 0x40000000


def path(name: str) -> str:
    """Return where the network namespace of the container ``name`` is mounted."""
    return f"/run/netns/{name}"


def enter(name: str) -> list[str]:
    """Return the words that run a command in the container's network namespace."""
    return ["nsenter", f"--net={path(name)}", "--"]


def aside(work: Callable[[], None]) -> None:
    """Call ``work``, which enters other namespaces, in a thread of its own, and wait for its end.

    Where a thread has been to, it can't come back from. ``work`` raises nothing.
    """
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def join(space: int) -> None:
    """Move this thread into the network namespace that the descriptor ``space`` is of."""
    if hasattr(os, "setns"):
        os.setns(space, CLONE_NEWNET)  # novm
    else:
        call("setns", space, CLONE_NEWNET)


def leave(kinds: int) -> None:
    """Give this thread namespaces of its own, of ``kinds``."""
    if hasattr(os, "unshare"):
        os.unshare(kinds)  # novm
    else:
        call("unshare", kinds)


def call(function: str, *arguments: object) -> None:
    """Call a function of the C library; os has some of them from Python 3.12 on."""
    # A node that has them is spared what it costs to load this.
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, function)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


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
                    join(space.fileno())
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
                    fcntl.ioctl(asked, SIOCSIFFLAGS, request)
            except OSError as error:
                failed.append(f"{name}: lo: {error}")

    aside(inside)
    if failed:
        raise Failed("; ".join(failed))


def remove(names: list[str]) -> None:
    """Remove the containers' network namespaces, as far as they are there."""
    present = [name for name in names if os.path.exists(path(name))]
    if present:
        run(["ip", "-batch", "-"], "".join(f"netns delete {name}\n" for name in present))


def delete_links(interfaces: dict[str, list[str]]) -> None:
    """Delete interfaces by their namespace's name; what is missing already is no failure."""

    def inside() -> None:
        for name, links in interfaces.items():
            with contextlib.suppress(OSError), open(path(name), encoding="ascii") as space:
                join(space.fileno())
                for link in links:
                    with contextlib.suppress(OSError):
                        _delete(socket.if_nametoindex(link))

    aside(inside)


def _delete(index: int) -> None:
    """Ask the kernel to delete the link: an nlmsghdr, and the ifinfomsg of linux/rtnetlink.h."""
    request = struct.pack("=IHHIIBxHiII", 32, RTM_DELLINK, REQUEST_ACK, 1, 0, 0, 0, index, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asked:
        asked.settimeout(DEADLINE)
        asked.send(request)
        # The answer says that it is done, or why not; who needs the link gone finds out.
        asked.recv(4096)
