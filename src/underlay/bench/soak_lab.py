"""The small lab that `soak` starts, disturbs and ends again, and what is left of it in between."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay import paths
from underlay.bench import command_line, labs
from underlay.cluster.uml import sandbox
from underlay.errors import Infrastructure

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE = 300.0
# Seconds that a command gets to end after a signal that it may answer.
GRACE = 90.0
INTERVAL = 0.1
# A node of the labs, and a container on it.
NODE, CONTAINER = "core-01", "many-1a"


class SoakLab:
    """Two labs on the same lean node: the one that is started, and the one to switch to."""

    def __init__(self, folder: Path) -> None:
        self.one = labs.many("soak-one", folder, nodes=1, count=2)
        self.two = labs.many("soak-two", folder, nodes=1, count=2, driver="ipvlan")
        self.names = (self.one.stem, self.two.stem)

    def run(self, *words: str) -> command_line.Done:
        """Run ``underlay`` with ``words`` and return what it did, whatever its exit code."""
        return command_line.run(*words, deadline=DEADLINE)

    def prove(self, *words: str) -> command_line.Done:
        """Run ``underlay`` with ``words``; raise Infrastructure where it fails."""
        return self.run(*words).prove()

    def disturbed(
        self, words: list[str], moment: float, number: int, *, whole_group: bool
    ) -> int | None:
        """Start ``underlay`` with ``words`` and send it a signal after ``moment`` seconds.

        Returns its exit code, negative for the signal that ended it; None where it doesn't end.
        """
        process = subprocess.Popen(
            [*command_line.program(), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            time.sleep(moment)
            with suppress(ProcessLookupError):
                if whole_group:
                    os.killpg(process.pid, number)
                else:
                    process.send_signal(number)
            return process.wait(timeout=GRACE)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(timeout=GRACE)

    def ready_for(self, verb: str) -> None:
        """Bring the lab into the state in which ``verb`` has something to do."""
        if verb == "up":
            self.end()
            return
        self.prove("up", str(self.one))
        if verb == "converge":
            self.prove("exec", NODE, "--lab", self.up, "--", "ip", "netns", "delete", CONTAINER)

    def end(self) -> None:
        """Take down whatever there is of the two labs."""
        for name in self.names:
            if paths.state(name).exists():
                self.prove("down", "--lab", name)

    @property
    def up(self) -> str:
        """The name of the lab that has a record; empty where none has."""
        found = (name for name in self.names if (paths.state(name) / "lab.json").exists())
        return next(found, "")

    def sandbox(self) -> sandbox.Sandbox | None:
        """Return the living sandbox of the lab, under either name."""
        found = (sandbox.find(paths.state(name)) for name in self.names)
        return next((living for living in found if living), None)

    def kill_sandbox(self) -> None:
        """Kill the sandbox's holder as nobody should."""
        living = self.sandbox()
        if living is None:
            raise Infrastructure("there is no sandbox to kill")
        os.kill(living.outer, signal.SIGKILL)

    def processes(self) -> list[str]:
        """Return the processes that have to do with the labs: by command line or environment."""
        marks = [str(paths.state(name)).encode() for name in self.names]
        marks += [b"UNDERLAY_LAB=" + str(file).encode() for file in (self.one, self.two)]
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes()
                if any(mark in words + (entry / "environ").read_bytes() for mark in marks):
                    line = words.replace(b"\0", b" ").decode(errors="replace")
                    found.append(f"{entry.name}: {line[:120]}")
        return found

    def probes(self) -> int:
        """Return how many probes run on the node."""
        # The brackets keep the shell that asks from being found.
        script = "pgrep -c -f '^python3 -I -S -c [i]mport base64' || true"
        done = self.prove("exec", NODE, "--lab", self.up, "--", "sh", "-c", script)
        return int(done.out.strip() or 0)


def waited(condition: Callable[[], Any], patience: float) -> float | None:
    """Return after how many seconds ``condition`` holds; None where it doesn't in ``patience``."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > patience:
            return None
        time.sleep(INTERVAL)
    return time.monotonic() - began
