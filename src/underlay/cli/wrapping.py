"""Lines of words on a terminal, which by itself would break them in the midst of a word."""

from __future__ import annotations

import os
import textwrap
from contextlib import suppress
from typing import IO


def columns(stream: IO[str]) -> int:
    """Return how many columns the terminal of ``stream`` has, 0 where it is none."""
    with suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns
    return 0


def wrapped(text: str, width: int, *, indent: int = 0) -> str:
    """Return ``text`` with its lines broken between words at ``width`` columns; as it is for 0.

    A line that is indented goes on as far in, and by ``indent`` more.
    """
    if not width:
        return text
    lines = []
    for line in text.splitlines():
        pad = " " * (len(line) - len(line.lstrip()) + indent)
        broken = textwrap.wrap(
            line, width, subsequent_indent=pad, break_long_words=False, break_on_hyphens=False
        )
        lines += broken or [""]
    return "\n".join(lines)
