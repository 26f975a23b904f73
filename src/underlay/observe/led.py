"""A program on a machine that is led by lines: it is told a word, and says what came of it.

Probes and pingers are such programs. They are started as root over ssh, with pipes for all three
streams, and end where their standard input does.
"""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from underlay.cluster.process import close
from underlay.errors import UnderlayError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Spawn = Callable[[str, list[str]], subprocess.Popen[bytes]]

END = 2.0  # s that a program gets to end by itself
COMPLAINTS = 5  # lines of its standard error that are kept, the last ones


class Led:
    """One program. ``error`` says why it is out of what it was started for, empty while it isn't.

    ``spawn(node, command)`` starts it, and ``task`` is the first line that it is told; where that
    isn't known yet, ``begin`` tells it. ``what`` is what people call it.
    """

    what = "the program"

    def __init__(self, node: str, command: Sequence[str], task: str | None, spawn: Spawn) -> None:
        self.node = node
        self.error = ""
        self._command, self._task, self._spawn = list(command), task, spawn
        self._starting = threading.Lock()
        self._spoke, self._over = threading.Event(), threading.Event()
        self._lines: queue.Queue[str] = queue.Queue()
        self._complaint: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._threads = [threading.Thread(target=self._start, daemon=True)]
        self._threads[0].start()

    def _start(self) -> None:
        """Start it and read its output; runs in a thread, as an ssh may take its time."""
        try:
            process = self._spawn(self.node, self._command)
        except (OSError, UnderlayError) as error:
            self.error = f"{self.what} did not start: {error}"
            self._put("")
            return
        with self._starting:
            self._process, task = process, self._task
        if self._over.is_set():
            close(process, END)
            return
        reader = threading.Thread(target=self._read_complaint, args=(process,), daemon=True)
        reader.start()
        self._threads.append(reader)
        if task is not None:
            self.say(task)
        if process.stdout:
            with suppress(OSError, ValueError):
                for line in process.stdout:
                    self._put(line.decode(errors="replace").strip())
        reader.join(END)
        self._put("")

    def begin(self, task: str) -> None:
        """Tell it its first line, as it was started without one."""
        with self._starting:
            self._task, started = task, self._process is not None
        if started:
            # One that hangs reads no more of it than a pipe holds.
            teller = threading.Thread(target=self.say, args=(task,), daemon=True)
            teller.start()
            self._threads.append(teller)

    def _put(self, line: str) -> None:
        self._lines.put(line)
        self._spoke.set()

    def _read_complaint(self, process: subprocess.Popen[bytes]) -> None:
        if process.stderr:
            with suppress(OSError, ValueError):
                for line in process.stderr:
                    self._complaint.append(line.decode(errors="replace").rstrip())
                    del self._complaint[:-COMPLAINTS]

    def wait(self, seconds: float) -> bool:
        """Wait for its first line, or its end, for so long; return whether it is there."""
        return self._spoke.wait(seconds)

    def line(self, until: float) -> str:
        """Return the next line; empty, with ``error`` set, where it has ended or is late."""
        try:
            line = self._lines.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            self.error = self.error or f"{self.what} was too late"
            return ""
        if not line:
            self.error = self.error or f"{self.what} ended early"
        return line

    def say(self, word: str) -> None:
        """Tell it a line; one that has gone is noticed when its next line is read."""
        if self._process and self._process.stdin:
            with suppress(OSError, ValueError):
                self._process.stdin.write(word.encode() + b"\n")
                self._process.stdin.flush()

    def failure(self) -> str:
        """Say why it is out, with the last lines of its complaint."""
        return ": ".join(filter(None, [self.error, *self._complaint]))

    def dismiss(self) -> None:
        """Tell it to end, by closing its stdin."""
        self._over.set()
        if self._process and self._process.stdin:
            with suppress(OSError, ValueError):
                self._process.stdin.close()

    def end(self) -> None:
        """End it, by force where it doesn't by itself."""
        self.dismiss()
        if self._process:
            close(self._process, END)
        for thread in self._threads:
            thread.join(END)
