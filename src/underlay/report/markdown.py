"""Markdown as GitHub and GitLab show it: words that it must leave alone, code, and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What Markdown would make something of.
ESCAPED = str.maketrans(
    {**{sign: f"\\{sign}" for sign in "\\`*_|[]"}, "<": "&lt;", ">": "&gt;", "&": "&amp;"}
)


def as_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table; what stands in its cells is Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def as_text(words: str) -> str:
    """Return ``words`` so that Markdown makes nothing of them."""
    return words.translate(ESCAPED)


def as_code(words: str) -> str:
    """Return ``words`` as code, also in a table, where a bar ends a cell."""
    fence = "``" if "`" in words else "`"
    pad = " " if "`" in words else ""
    return f"{fence}{pad}{words}{pad}{fence}".replace("|", "\\|")
