"""Leads one probe on each node through the steps of a measurement, all at once."""

from __future__ import annotations

import contextlib
import json
import queue
import secrets
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

from underlay.errors import UnderlayError
from underlay.observe.merge import merge
from underlay.observe.start import ON_STDIN, has_cold_cells, packed_task, probe_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from underlay.observe.observation import Observation
    from underlay.plan import Plan

    Spawn = Callable[[str, list[str]], subprocess.Popen[bytes]]

START = 30.0  # s until every probe listens; ssh to a busy node takes a second or two
# Seconds for the probing itself: what silence costs, and a margin for many cells on slow nodes.
PROBE, PROBE_PER_CELL = 15.0, 0.02
COLLECT = 15.0  # s until a node's document is there
END = 2.0  # s that a probe gets to end by itself


def measure(
    plan: Plan,
    spawn: Spawn,
    *,
    start: float = START,
    deadline: float | None = None,
    pace: float = 1,
) -> Observation:
    """Measure every cell of ``plan``'s matrix and return what was seen.

    ``spawn(node, argv)`` starts ``argv`` as root on a node, with pipes for
    stdin, stdout and stderr. ``start`` is the time in seconds until all probes
    must be ready, ``deadline`` that for the probing; nodes that are ``pace`` times
    slower than ordinary ones get so many times their time to answer. A node that fails or is
    late costs the cells that have an end there, not the others; why it failed is
    in the observation. Nothing is raised for that.
    """
    nonce = secrets.token_hex(4)
    if deadline is None:
        deadline = pace * (PROBE + PROBE_PER_CELL * len(plan.containers) ** 2)
    patience = start + deadline + COLLECT
    began = time.monotonic()
    runs = {node.name: _Run(plan, node.name, nonce, spawn, patience, pace) for node in plan.nodes}
    timings = {}
    documents: dict[str, Any] = {}
    try:
        _all(runs, "ready", start)
        timings["start"] = time.monotonic() - began
        _tell(runs, "go")
        went = time.monotonic()
        if has_cold_cells(plan):
            _all(runs, "cold", deadline)
            _tell(runs, "on")
        _all(runs, "probed", deadline)
        timings["probe"] = time.monotonic() - went
        _tell(runs, "stop")
        stopped = time.monotonic()
        for run in _alive(runs):
            line = run.line(stopped + COLLECT)
            with contextlib.suppress(ValueError):
                documents[run.node] = json.loads(line) if line else None
        timings["collect"] = time.monotonic() - stopped
    finally:
        for run in runs.values():
            run.end()
    found = {node: document for node, document in documents.items() if document}
    failed = {name: run.failure() for name, run in runs.items() if name not in found}
    return merge(plan, found, failed, {key: round(value, 3) for key, value in timings.items()})


class _Run:
    """The probe of one node; ``error`` says why it is out of the measurement."""

    def __init__(
        self, plan: Plan, node: str, nonce: str, spawn: Spawn, patience: float, pace: float
    ) -> None:
        self.node = node
        self.error = ""
        self._lines: queue.Queue[str] = queue.Queue()
        self._complaint: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._threads = [threading.Thread(target=self._start, daemon=True)]
        self._first = b""
        self._argv = probe_command(plan, node, nonce, patience=patience, pace=pace)
        if self._argv[-1] == ON_STDIN:
            self._first = (
                packed_task(plan, node, nonce, patience=patience, pace=pace).encode() + b"\n"
            )
        self._spawn = spawn
        self._over = threading.Event()
        self._threads[0].start()

    def _start(self) -> None:
        """Start the probe and read its output; runs in a thread, as an ssh may take its time."""
        try:
            process = self._spawn(self.node, self._argv)
        except (OSError, UnderlayError) as error:
            self.error = f"the probe did not start: {error}"
            self._lines.put("")
            return
        self._process = process
        if self._over.is_set():
            _close(process)
            return
        reader = threading.Thread(target=self._read_complaint, args=(process,), daemon=True)
        reader.start()
        self._threads.append(reader)
        if self._first:
            self.say(self._first)
        if process.stdout:
            with contextlib.suppress(OSError, ValueError):
                for line in process.stdout:
                    self._lines.put(line.decode(errors="replace").strip())
        reader.join(END)
        self._lines.put("")

    def _read_complaint(self, process: subprocess.Popen[bytes]) -> None:
        if process.stderr:
            with contextlib.suppress(OSError, ValueError):
                for line in process.stderr:
                    self._complaint.append(line.decode(errors="replace").rstrip())
                    del self._complaint[:-5]

    def line(self, until: float) -> str:
        """Return the next line; empty, with ``error`` set, where the probe ended or is late."""
        try:
            line = self._lines.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            self.error = self.error or "its probe was too late"
            return ""
        if not line:
            self.error = self.error or "its probe ended early"
        return line

    def say(self, words: bytes) -> None:
        """Write to the probe; one that has gone is noticed when its next line is read."""
        if self._process and self._process.stdin:
            with contextlib.suppress(OSError, ValueError):
                self._process.stdin.write(words)
                self._process.stdin.flush()

    def failure(self) -> str:
        """Say why the node gave no document, with the last lines of its complaint."""
        return ": ".join([self.error or "its probe gave no document", *self._complaint])

    def end(self) -> None:
        """End the probe: by closing its stdin first, by force after that."""
        self._over.set()
        if self._process:
            _close(self._process)
        for thread in self._threads:
            thread.join(END)


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        with contextlib.suppress(OSError, ValueError):
            process.stdin.close()
    try:
        process.wait(END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _alive(runs: dict[str, _Run]) -> list[_Run]:
    return [run for run in runs.values() if not run.error]


def _all(runs: dict[str, _Run], word: str, seconds: float) -> None:
    """Wait until every probe has said ``word``; those that don't are out."""
    until = time.monotonic() + seconds
    for run in _alive(runs):
        said = run.line(until)
        if said and said != word:
            run.error = f"its probe said {said!r} instead of {word!r}"


def _tell(runs: dict[str, _Run], word: str) -> None:
    for run in _alive(runs):
        run.say(word.encode() + b"\n")
