"""Points at which a command under test is held, however fast or slow the machine is.

A command calls other programs. One that stands before a real program on PATH can tell the test
that the command has got there, and wait until the test has done what it wants to do at that very
point: interrupt the command, say. What is tested knows nothing of it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

# Only for a command that never gets there: no test passes or fails by how long this is.
PATIENCE = 120.0
INTERVAL = 0.02


class Point:
    """A place in a shell script where the first to come is held; whoever comes later passes."""

    def __init__(self, folder: Path) -> None:
        self._reached = folder / "reached"
        self._release = folder / "release"
        folder.mkdir(parents=True)
        os.mkfifo(self._release)

    @property
    def script(self) -> str:
        """The lines of the script. Nothing but the shell itself waits, so that it ends with it."""
        reached, release = shlex.quote(str(self._reached)), shlex.quote(str(self._release))
        held = f"echo $$ >{reached}/pid; read -r _ <{release} || :"
        return f"if mkdir {reached} 2>/dev/null; then {held}; fi\n"

    @property
    def reached(self) -> bool:
        """Whether somebody is held here, or has been."""
        return self._reached.is_dir()

    def wait(self, running: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Return once somebody is held; fail where the command is over before, or never comes."""
        limit = time.monotonic() + patience
        while not self.reached:
            assert running(), f"the command was over before it came to {self._reached.parent.name}"
            assert time.monotonic() < limit, f"nobody came to {self._reached.parent.name}"
            time.sleep(INTERVAL)

    def kill(self) -> None:
        """Kill who is held, if it still lives: it never does what it was about to do.

        Not for a process in a PID namespace of its own, whose ids are others here.
        """
        pid = self._reached / "pid"
        self.wait(lambda: True)
        while not (pid.exists() and pid.read_text().endswith("\n")):
            time.sleep(INTERVAL)
        with suppress(ProcessLookupError):
            os.kill(int(pid.read_text()), signal.SIGKILL)

    def release(self) -> None:
        """Let go on who is held, and whoever comes later."""
        self._reached.mkdir(exist_ok=True)
        if self._release.exists():
            # Open as long as there is the pipe: who opens it meanwhile reads its end.
            writer = os.open(self._release, os.O_RDWR)
            self._release.unlink()
            os.close(writer)


class Barrier:
    """Programs that stand before real ones on the PATH of ``environment``, with points in them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bin = folder / "bin"
        self._bin.mkdir(parents=True)
        self._before: dict[str, str] = {}
        self._after: dict[str, str] = {}
        self._points: list[Point] = []

    @property
    def environment(self) -> dict[str, str]:
        """What the environment of the command under test must hold."""
        return {"PATH": f"{self._bin}:{os.environ['PATH']}"}

    def hold(self, program: str, words: str = "", *, when: str = ":", after: bool = False) -> Point:
        """Return the point before ``program`` runs, or ``after`` it has run.

        It is one for calls whose arguments hold ``words``, while the shell's test ``when`` holds.
        """
        point = Point(self._folder / f"{len(self._points)}-{program}")
        self._points.append(point)
        scripts = self._after if after else self._before
        pattern = f"*{shlex.quote(words)}*" if words else "*"
        scripts[program] = scripts.get(program, "") + (
            f'case "$*" in {pattern})\nif {when}; then\n{point.script}fi ;;\nesac\n'
        )
        self._write(program)
        return point

    def release(self) -> None:
        """Let go on whoever is held anywhere."""
        for point in self._points:
            point.release()

    def _write(self, program: str) -> None:
        real = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        assert real, f"there is no {program}"
        text = f"#!/bin/sh\n{self._before.get(program, '')}"
        if program in self._after:
            text += f'{shlex.quote(real)} "$@"\ncode=$?\n{self._after[program]}exit $code\n'
        else:
            text += f'exec {shlex.quote(real)} "$@"\n'
        # In one step: a command may be about to run it.
        fresh = self._bin / f".{program}"
        fresh.write_text(text)
        fresh.chmod(0o755)
        fresh.rename(self._bin / program)
