"""Leads sniff.py on several machines of a lab at once, for ``capture`` and ``trace``."""

from __future__ import annotations

import json
import subprocess
import threading
from typing import TYPE_CHECKING

from underlay.cluster.access import spawn_as_root, start_at_switch
from underlay.errors import Infrastructure
from underlay.observe.commands import sniff_command
from underlay.observe.frames import Frame, frame_from
from underlay.plan import SWITCH

if TYPE_CHECKING:
    from collections.abc import Callable

    from underlay.cluster.state.lab import LabState

    Spaces = dict[str, list[tuple[str, str, list[str]]]]

READY = 30.0  # s until every machine listens
MARGIN = 30.0  # s that a machine gets beyond its time to say its last word


class _Listener:
    """One machine's sniff.py: it is ready once its first line is there."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.frames: list[Frame] = []
        self.missing: dict[str, str] = {}
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            row = json.loads(line)
            if "ready" in row:
                self.missing = row["missing"]
                self.ready.set()
            else:
                self.frames.append(frame_from(row))
        self.ready.set()

    def end(self) -> None:
        """Close its stdin, which ends it, and read what is left."""
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(MARGIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.thread.join(MARGIN)


def sniff(
    state: LabState,
    spaces: Spaces,
    *,
    seconds: float,
    count: int = 0,
    marks: tuple[bytes, ...] = (),
    snap: int = 256,
    meanwhile: Callable[[], object] | None = None,
) -> tuple[list[Frame], dict[str, str]]:
    """Capture at all points of ``spaces``, by machine; return the frames in order of time.

    Points that aren't there come back with the reason. ``meanwhile`` is called once all
    machines listen; when it returns, capturing ends a moment later. An interrupt ends it,
    too, and keeps what there is. Raises Infrastructure where a machine doesn't listen.
    """
    spawn = spawn_as_root(state)
    listeners: dict[str, _Listener] = {}
    try:
        for machine, parts in spaces.items():
            arguments = sniff_command(parts, seconds=seconds, count=count, marks=marks, snap=snap)
            start = start_at_switch(state, arguments) if machine == SWITCH else None
            listeners[machine] = _Listener(start or spawn(machine, arguments))
        for machine, listener in listeners.items():
            if not listener.ready.wait(READY) or listener.process.poll() not in (None, 0):
                raise Infrastructure(f"capturing did not start on {machine}")
        if meanwhile is None:
            for listener in listeners.values():
                listener.process.wait(seconds + MARGIN)
        else:
            meanwhile()
    except KeyboardInterrupt:
        if meanwhile is not None:
            raise
    except OSError as error:
        raise Infrastructure(f"capturing did not start: {error}") from error
    finally:
        for listener in listeners.values():
            listener.end()
    frames = [frame for listener in listeners.values() for frame in listener.frames]
    missing = {name: why for one in listeners.values() for name, why in one.missing.items()}
    return sorted(frames, key=lambda frame: frame.time), missing
