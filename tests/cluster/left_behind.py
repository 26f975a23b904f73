"""Looking for what a lab might leave behind on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cluster.running import Checkout

GRACE = 5.0


def command_lines() -> Iterator[tuple[str, str]]:
    """Yield the number and the command line of each process that can be looked at."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            yield entry.name, line


def processes(checkout: Checkout) -> list[str]:
    """Return the command lines of processes that run in ``checkout`` or name a path in it.

    A lab's nodes name none, but they can't outlive the process that made the sandbox, which does.
    """
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            inside = (entry / "cwd").readlink().is_relative_to(checkout.root)
            if inside or f"{checkout.root}/" in line:
                found.append(f"{entry.name}: {line[:200]}")
    return found


def mounts(checkout: Checkout) -> list[str]:
    """Return the mounts of this machine that have to do with ``checkout``."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if str(checkout.root) in line]


def interfaces() -> set[str]:
    """Return the names of this machine's network interfaces."""
    return set(os.listdir("/sys/class/net"))


def prove_nothing_is_left(checkout: Checkout, interfaces_before: set[str]) -> None:
    """Fail where ``checkout`` still runs, mounts or keeps anything of any lab.

    A program whose caller has ended gets the time to notice that, and no more.
    """
    deadline = time.monotonic() + GRACE
    while (running := processes(checkout)) and time.monotonic() < deadline:
        time.sleep(0.1)
    mounted = mounts(checkout)
    assert not running, "\n".join(["still running:", *running])
    assert not mounted, "\n".join(["still mounted:", *mounted])
    left = interfaces() - interfaces_before
    assert not left, f"interfaces left: {left}"
    files = [
        path for name in (".underlay", ".vagrant") for path in (checkout.root / name).rglob("*")
    ]
    assert not files, f"files left: {files}"
