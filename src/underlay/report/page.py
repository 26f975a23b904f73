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

    def line(
        self, words: str, style: str = "", indent: int = 0, first: str = "", hang: int = 0
    ) -> None:
        """Append wrapped words; ``first`` stands before the first line.

        Lines below the first are indented by ``hang`` more. With it words with hyphens stay
        whole: names of rules and ends are looked for.
        """
        lines = textwrap.wrap(
            words,
            self.width,
            initial_indent=first.ljust(indent),
            subsequent_indent=" " * (indent + hang),
            break_long_words=False,
            break_on_hyphens=not hang,
        )
        self.text.append("\n".join(lines) + "\n", style)
