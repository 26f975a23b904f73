"""What is said while nodes boot: nobody should wait for minutes without a word."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from underlay.cluster.process import tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

INTERVAL = 20.0
# A console's end, in bytes; a few of its letters are enough to see whether it moves.
END, LONGEST = 4096, 70


@contextmanager
def watching(
    state: Path, progress: Callable[[str], None], interval: float = INTERVAL
) -> Iterator[None]:
    """Tell ``progress`` every ``interval`` seconds of the block what a node's console said last.

    It is the console that was written last, among those in the lab's ``state`` folder.
    """
    over = threading.Event()
    began = time.monotonic()

    def watch() -> None:
        while not over.wait(interval):
            progress(f"booting since {time.monotonic() - began:.0f} s{_last_line(state)}")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _last_line(state: Path) -> str:
    with suppress(OSError, ValueError):
        consoles = state.glob("nodes/*/console.log")
        console = max(consoles, key=lambda path: path.stat().st_mtime_ns)
        line = tail(console_end(console), 1).strip()
        return f"; {console.parent.name}: {line[:LONGEST]}" if line else ""
    return ""


def console_end(console: Path, size: int = END) -> str:
    """Return the last ``size`` bytes of a console as text; nothing where there is none."""
    try:
        with console.open("rb") as file:
            file.seek(max(0, console.stat().st_size - size))
            text = file.read()
    except OSError:
        return ""
    return "".join(c for c in text.decode(errors="replace") if c.isprintable() or c == "\n")
