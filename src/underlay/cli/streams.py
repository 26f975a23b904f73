"""The three standard streams as Underlay needs them, whatever its caller has left of them."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import TextIO

ESCAPES = "underlay-names"
# Where PEP 383 puts the bytes of a name that isn't UTF-8.
FIRST, LAST = "\udc80", "\udcff"


def repair() -> None:
    """Point closed streams at /dev/null, and have the others print any file's name.

    A closed one would become whichever file is opened first; and a name that isn't UTF-8
    would be an error where it is printed.
    """
    codecs.register_error(ESCAPES, _as_it_is)
    for number, (name, flags) in enumerate(
        (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY))
    ):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is this one: those below it are open by now.
            os.open(os.devnull, flags)
        stream = getattr(sys, name)
        if stream is None:
            mode = "r" if number == 0 else "w"
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", errors=ESCAPES))
        elif number and isinstance(stream, io.TextIOWrapper):
            if isinstance(stream.buffer, io.RawIOBase):
                setattr(sys, name, _buffered(number, stream.encoding))
            else:
                stream.reconfigure(errors=ESCAPES)


def _buffered(number: int, encoding: str) -> TextIO:
    """Return an unbuffered stream (PYTHONUNBUFFERED) as one that is flushed by the line.

    Python drops what an unbuffered one can't write at once, on a disk that is full, without
    an error.
    """
    return open(number, "w", 1, encoding=encoding, errors=ESCAPES, closefd=False)


def _as_it_is(error: UnicodeError) -> tuple[str | bytes, int]:
    """Print the bytes of a name as they are, and what else can't be encoded by its number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    if all(FIRST <= character <= LAST for character in text):
        return os.fsencode(text), error.end
    return codecs.backslashreplace_errors(error)
