"""Lines of words on a terminal, which by itself would break them in the midst of a word."""

from __future__ import annotations

import os
import textwrap
from contextlib import suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


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


def hanging(text: Text, console: Console) -> Text:
    """Return ``text`` as it looks where ``console`` breaks its lines: each goes on as far in.

    Where the terminal breaks them, or nobody, it is as it was.
    """
    if console.soft_wrap:
        return text
    lines = []
    for line in text.split("\n", allow_blank=True):
        pad = len(line.plain) - len(line.plain.lstrip())
        for part in line[pad:].wrap(console, max(console.width - pad, 1)) or [line]:
            part.rstrip()
            part.pad_left(pad)
            lines.append(part)
    return type(text)("\n").join(lines)
