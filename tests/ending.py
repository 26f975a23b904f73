"""Interrupts, and whether programs that were told to end do so."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def ends(pid: int) -> bool:
    """Whether a process that was told to end is gone soon, or waits but for its parent."""
    status = Path(f"/proc/{pid}/status")
    for _ in range(100):
        try:
            if "State:\tZ" in status.read_text():
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def noted(file: Path) -> int:
    for _ in range(200):
        if file.exists() and file.read_text().strip():
            return int(file.read_text())
        time.sleep(0.05)
    pytest.fail("the program has not started")


@contextmanager
def interrupted_once(file: Path) -> Iterator[None]:
    """Interrupt this process as soon as there is something in ``file``, as Ctrl-C does."""

    def interrupt() -> None:
        noted(file)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)
