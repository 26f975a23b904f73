"""A page of text under way: prose that is wrapped, and numbers with their nouns."""

from __future__ import annotations

import textwrap

from rich.text import Text


class Page:
    """The text under way, with its width."""

    def __init__(self, width: int, ascii_only: bool) -> None:
        self.text = Text()
        self.width = width
        self.ascii_only = ascii_only

    def line(self, words: str, style: str = "", indent: int = 0, first: str = "") -> None:
        """Append wrapped words; ``first`` stands before the first line."""
        lines = textwrap.wrap(
            words,
            self.width,
            initial_indent=first.ljust(indent),
            subsequent_indent=" " * indent,
            break_long_words=False,
        )
        self.text.append("\n".join(lines) + "\n", style)


def count(number: int, noun: str) -> str:
    """Return a number with its noun, as people write them."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
