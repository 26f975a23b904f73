"""Which cells are against a statement, in words."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.intent.judgement import Asked

# So many pairs are named, and the rest counted.
PAIRS_NAMED = 3


def broken_words(never: bool, cells: Iterable[Asked]) -> str:
    """Return in words which ``cells`` are against a statement: who, by what, and how many more.

    They are against one that says ``never`` because they reach, against others as they don't.
    """
    pairs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for cell in cells:
        word, colon, port = cell.protocol.partition(":")
        label = f"{word}{'6' if cell.family == 6 else ''}{colon}{port}"
        pairs[cell.source, cell.destination].append(label)
    named = [
        f"{source} {'reaches' if never else 'does not reach'} {destination} ({', '.join(asked)})"
        for (source, destination), asked in list(pairs.items())[:PAIRS_NAMED]
    ]
    rest = len(pairs) - len(named)
    return ", ".join(named) + (f" and {rest} more pair{'' if rest == 1 else 's'}" if rest else "")
