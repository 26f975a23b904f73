"""The small lab that `soak` starts, disturbs and ends again, and what is left of it in between."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from underlay.cluster.providers.uml import sandbox
from underlay.errors import Infrastructure
from underlay.proof.bench import command_line, labs
from underlay.proof.bench.descendants import Process, descendants
from underlay.proof.bench.pseudo_terminal import PseudoTerminal
from underlay.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DEADLINE = 300.0
# Seconds that a command gets to end after a signal that it may answer.
GRACE = 90.0
INTERVAL = 0.1
# A node of the labs, and a container on it.
NODE, CONTAINER = "core-01", "many-1a"


class SoakLab:
    """Two labs on the same lean node: the one that is started, and the one to switch to.

    All that is started for them, by whomever in between, descends from ``ancestor``.
    """

    def __init__(self, folder: Path, ancestor: int) -> None:
        self._ancestor = ancestor
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

        SIGHUP comes from a terminal that is closed then. Returns its exit code, negative for
        the signal that ended it; None where it doesn't end.
        """
        if number == signal.SIGHUP:
            terminal = PseudoTerminal([*command_line.program(), *words])
            terminal.watch(moment)
            terminal.close()
            return _end_of(terminal.process)
        process = subprocess.Popen(
            [*command_line.program(), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=moment)
        with suppress(ProcessLookupError):
            if whole_group:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
        return _end_of(process)

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

    def processes(self) -> list[Process]:
        """Return what still runs of all that was started here, by whomever in between."""
        return descendants(self._ancestor)

    def strays(self) -> list[Process]:
        """Return what runs beside a lab that is up: its sandbox and its shared connections."""
        living = self.sandbox()
        everything = self.processes()
        # Under the path that it was made by: the lab may be called otherwise now.
        shared = [p for p in everything if p.words.startswith("ssh: ") and "[mux]" in p.words]
        ways_in = [p for p in everything if living and _leads_into(living, p)]
        # Whatever makes a connection has ended; its way in is its heir's.
        kept = [p.pid for p in (*shared, *ways_in[: len(shared)])]
        roots = [*kept, *([living.outer] if living else [])]
        known = {pid for root in roots for pid in (root, *(p.pid for p in descendants(root)))}
        return [process for process in everything if process.pid not in known]

    def probes(self) -> int:
        """Return how many probes run on the node."""
        # The brackets keep the shell that asks from being found.
        script = "pgrep -c -f '^python3 -I -S -c [i]mport base64' || true"
        done = self.prove("exec", NODE, "--lab", self.up, "--", "sh", "-c", script)
        return int(done.out.strip() or 0)


def _leads_into(living: sandbox.Sandbox, process: Process) -> bool:
    """Whether ``process`` connects somebody to the ssh of a node in the sandbox."""
    words = process.words
    return words.startswith(f"nsenter --target {living.pid} ") and words.endswith(" 22")


def _end_of(process: subprocess.Popen[bytes]) -> int | None:
    """Return its exit code; None where it doesn't end by itself, and is ended."""
    try:
        return process.wait(timeout=GRACE)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(timeout=GRACE)


def waited(condition: Callable[[], Any], patience: float) -> float | None:
    """Return after how many seconds ``condition`` holds; None where it doesn't in ``patience``."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > patience:
            return None
        time.sleep(INTERVAL)
    return time.monotonic() - began
