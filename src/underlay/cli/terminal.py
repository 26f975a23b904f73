"""A terminal may be closed while a command works. The command goes on, to clean up."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any, TextIO


def survive_closed_terminal() -> None:
    """Have standard output and error drop what they can't show, once their terminal is closed.

    Every write to a terminal that hung up fails with EIO (tty_io.c, hung_up_tty_write). Raised
    in the midst of cleaning up, that would leave half of it undone. Files and pipes stay as
    they are: there an error is one.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and stream.isatty():
            setattr(sys, name, TerminalStream(stream))


class TerminalStream:
    """The text ``stream`` of a terminal, which becomes /dev/null when that is closed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        """Return what the stream itself has."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write ``text``, or drop it; return its length."""
        try:
            self._stream.write(text)
        except OSError as error:
            self._let_go(error)
        return len(text)

    def flush(self) -> None:
        """Write what has been held back, or drop it."""
        try:
            self._stream.flush()
        except OSError as error:
            self._let_go(error)

    def _let_go(self, error: OSError) -> None:
        if error.errno != errno.EIO:
            raise error
        nothing = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nothing, self._stream.fileno())
        os.close(nothing)
