"""Underlay's own command line, run as by its user.

It is timed, interrupted as by Ctrl-C, or has a terminal of its own, which is closed like a window.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay.cluster.process import tail
from underlay.errors import EXIT_OK, Infrastructure
from underlay.storage.paths import is_checkout, root

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Seconds that an interrupted command gets to clean up.
GRACE = 60.0


@dataclass(frozen=True)
class Done:
    """What one command line did: ``seconds`` of wall time, exit code, and both its streams."""

    words: tuple[str, ...]
    seconds: float
    code: int
    out: str
    err: str

    def __str__(self) -> str:
        """Return it as an error names it."""
        # Scripts among the words would fill a page.
        words = " ".join(word if "\n" not in word else "…" for word in self.words)
        return f"`underlay {words}`: exit {self.code}"

    def prove(self, codes: Sequence[int] = (EXIT_OK,)) -> Done:
        """Return itself; Infrastructure, with its own words, where it exits with none of them."""
        if self.code not in codes:
            raise Infrastructure(str(self), detail=tail(self.err or self.out))
        return self

    def document(self) -> Any:
        """Return the JSON document on its standard output; raise Infrastructure without one."""
        try:
            return json.loads(self.out)
        except ValueError as error:
            raise Infrastructure(f"{self}: no JSON document", detail=tail(self.err)) from error


def program() -> list[str]:
    """Return what starts Underlay here: the checkout's launcher, or the installed command."""
    if is_checkout():
        return [str(root() / "underlay")]
    return [str(Path(sys.executable).with_name("underlay"))]


def run(*words: str, deadline: float, environment: Mapping[str, str] | None = None) -> Done:
    """Run ``underlay`` with ``words`` and return what it did, whatever its exit code.

    Past ``deadline`` seconds, and when this process is interrupted, it is interrupted as by
    Ctrl-C, so that it cleans up. Past the deadline Infrastructure is raised.
    """
    # Files, not pipes: what a command leaves running must keep nobody waiting.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+", errors="replace") as err:
        began = time.monotonic()
        process = subprocess.Popen(
            [*program(), *words],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
        try:
            code = process.wait(timeout=deadline)
        except subprocess.TimeoutExpired as error:
            interrupt(process)
            err.seek(0)
            raise Infrastructure(
                f"`underlay {' '.join(words)}` took longer than {deadline:.0f} s",
                detail=tail(err.read()),
            ) from error
        except BaseException:
            interrupt(process)
            raise
        seconds = time.monotonic() - began
        for stream in (out, err):
            stream.seek(0)
        return Done(words, seconds, code, out.read(), err.read())


def interrupt(process: subprocess.Popen[Any]) -> None:
    """Do to ``process`` and its group what Ctrl-C does; kill it where that doesn't end it."""
    for number, patience in ((signal.SIGINT, GRACE), (signal.SIGKILL, 10.0)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=patience)
            return


def _take_terminal() -> None:
    """Do in a new session's leader what a shell does: take the terminal, and end with it.

    Whoever was called by nohup(1) has its children ignore that the terminal is closed.
    """
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class PseudoTerminal:
    """A running command, which sees a terminal wherever it looks; ``text`` is what it has shown."""

    def __init__(
        self,
        words: Sequence[str],
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self._screen, inner = pty.openpty()
        self.text = b""
        try:
            self.process = subprocess.Popen(
                words,
                stdin=inner,
                stdout=inner,
                stderr=inner,
                start_new_session=True,
                env=environment,
                cwd=folder,
                preexec_fn=_take_terminal,  # noqa: PLW1509
            )
        finally:
            os.close(inner)

    def watch(self, seconds: float) -> None:
        """Read along for ``seconds``, or until the command ends: a full screen would stop it."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self._screen], [], [], left)[0]:
                return
            # EIO says that nobody holds the other side any more.
            with suppress(OSError):
                if fresh := os.read(self._screen, 65536):
                    self.text += fresh
                    continue
            return

    def type(self, keys: bytes) -> None:
        """Type ``keys``."""
        os.write(self._screen, keys)

    def close(self) -> None:
        """Close the terminal: its leader gets SIGHUP, and whoever writes to it gets an error."""
        os.close(self._screen)
