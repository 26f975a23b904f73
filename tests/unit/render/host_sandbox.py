"""A host of somebody's own, in a sandbox of this machine's kernel: a lab is applied and undone.

It runs as root of a sandbox with files of its own in /etc, /var/lib and /run, and prints JSON. Its
commands are processes that are killed (SIGKILL) at a line of theirs, each line being as good as any
other moment; what is there after the next command is compared with what was there before.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from types import FrameType

from underlay_node import host

OWN = ("host.py", "host_changes.py", "host_conflicts.py", "host_journal.py", "host_spaces.py")
USERS_FILE = "/etc/somebody/own.conf"
SETUP = """
mount -t tmpfs -o mode=755 tmpfs /etc && mount -t tmpfs -o mode=755 tmpfs /var/lib
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /etc/somebody && echo own >/etc/somebody/own.conf
ip link set lo up
ip link add eth1 type veth peer name wire && ip link set eth1 up && ip link set wire up
ip link set eth1 addrgenmode none && ip link set wire addrgenmode none
ip address flush dev eth1 && ip address flush dev wire
ip address add 192.168.70.11/24 dev eth1
"""


def shell(script: str) -> str:
    """Run a script; return what it prints."""
    done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listing() -> str:
    """Return all that a lab could change on this host: files, links, addresses, routes."""
    return shell("""
        for each in /etc /var/lib /run; do
            find $each -xdev -printf '%p %y %m %U\\n' | sort
            find $each -xdev -type f ! -name underlay.journal -exec sha256sum {} + | sort
        done
        for each in $(ls /run/netns 2>/dev/null || :); do
            echo "== $each"
            ip -n $each -4 address | sed -E 's/^[0-9]+: |@if[0-9]+//'
            ip -n $each -4 route show table all
        done
        grep ' /run' /proc/self/mountinfo | cut -d ' ' -f 5-7
        ip -details link; ip address; ip route show table all; ip -6 route show table all
    """)


def killed_at(number: int, work: Callable[[], object]) -> bool:
    """Do ``work`` in a process that is killed at its line ``number``; whether it came to that."""
    child = os.fork()
    if child == 0:
        left = [number]

        def each(frame: FrameType, event: str, _: object) -> Callable[..., object] | None:
            if not frame.f_code.co_filename.endswith(OWN):
                return None
            if event == "line":
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return each

        threading.settrace(each)
        sys.settrace(each)
        try:
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def done(word: str, **more: object) -> dict[str, object]:
    """Have the program do a word, which must not fail."""
    report: dict[str, object] = host.main({"word": word, **more})
    assert not report["error"], report
    return report


def main() -> None:
    """Kill and repair at each of the lines that standard input asks for."""
    task = json.load(sys.stdin)
    shell(SETUP)
    before = listing()
    apply, undo = {"word": "apply", "files": task["files"]}, {"word": "undo"}
    done(**apply)
    applied = listing()
    assert done(**apply)["changes"] == []
    done(**undo)
    found: dict[str, object] = {
        "differs": [], "points": {}, "told": [], "undone": listing() == before,
        "changed": applied != before,
    }  # fmt: skip

    def differs(where: str, wanted: str) -> None:
        now = listing()
        if now != wanted:
            lines = sorted({*now.splitlines()} ^ {*wanted.splitlines()})
            found["differs"].append([where, lines])  # type: ignore[attr-defined]

    for phase in ("apply", "undo"):
        number = task["first"]
        while True:
            if phase == "undo":
                done(**apply)
            word = apply if phase == "apply" else undo
            if not killed_at(number, lambda word=word: host.main(word)):
                break
            found["told"].append(done("state")["told"])  # type: ignore[attr-defined]
            if number % 2:
                # The next command is another try, and then the end.
                done(**apply)
                differs(f"{phase} {number}, applied again", applied)
            done(**undo)
            differs(f"{phase} {number}", before)
            number += task["step"]
        done(**undo)
        found["points"][phase] = number - task["step"]  # type: ignore[index]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
