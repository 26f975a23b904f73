"""What a served page shows at a time, and what those who look at it ask for.

The server's thread reads the board while the main thread measures and writes it.
"""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import Any

# Entries of the log that a page shows.
LOGGED = 200
Asked = dict[str, Any]


class Board:
    """What is known of the lab by now; each change of it has a number of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: SimpleQueue[Asked] = SimpleQueue()
        self._revision = 0
        self._lab: dict[str, Any] | None = None
        self._cells = 0
        self._parts: dict[str, Any] = {
            "measured": 0,
            "plan": 0,
            "now": "starting",
            "busy": False,
            "sum": "",
            "ended": "",
            "log": [],
            "faults": [],
            "broken": [],
            "answer": None,
        }

    def put(self, **parts: Any) -> None:
        """Change parts of the board."""
        with self._lock:
            self._parts |= parts
            self._revision += 1

    def put_measured(self, number: int, lab: dict[str, Any], **parts: Any) -> None:
        """Have the cells of measurement ``number`` on the board, or what is known of them since."""
        with self._lock:
            self._lab = lab
            self._cells += 1
            self._parts |= {"measured": number, **parts}
            self._revision += 1

    def log(self, entry: dict[str, Any]) -> None:
        """Add an entry to the log."""
        with self._lock:
            self._parts["log"] = [*self._parts["log"], entry][-LOGGED:]
            self._revision += 1

    def since(self, revision: int, cells: int) -> dict[str, Any] | None:
        """Return what is on the board, with the lab's cells where they aren't the ``cells``-th.

        None where nothing has changed since ``revision``.
        """
        with self._lock:
            if revision == self._revision:
                return None
            told = {"revision": self._revision, "cells": self._cells, **self._parts}
            if self._lab is not None and cells != self._cells:
                told["lab"] = self._lab
            return told

    def ask(self, asked: Asked) -> bool:
        """Ask for something to be done; False where something else is being done already."""
        with self._lock:
            if self._parts["busy"]:
                return False
            self._parts["busy"] = True
            self._revision += 1
        self._asked.put(asked)
        return True

    def next_asked(self, seconds: float) -> Asked | None:
        """Return what is asked for next, waiting for ``seconds``; None where nothing is."""
        try:
            return self._asked.get(timeout=max(0.0, seconds))
        except Empty:
            return None
