"""Which cells are against a statement, in words."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from underlay.expect import Expectation, asked_as

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.expect import Value
    from underlay.intent.judgement import Asked

# So many pairs are named, and the rest counted.
PAIRS_NAMED = 3
VALUES = {"source": "the source address {}", "pmtu": "packets of at most {} bytes"}


def broken_words(never: bool, cells: Iterable[Asked]) -> str:
    """Return in words which ``cells`` are against a statement: who, by what, and how many more.

    They are against one that says ``never`` because they reach, against others as they don't, or
    as what is seen is another value.
    """
    pairs: dict[tuple[str, str], list[str]] = defaultdict(list)
    values: dict[tuple[str, str], list[str]] = defaultdict(list)
    for cell in cells:
        if cell.kind == "value":
            words = VALUES[cell.protocol].format(seen_in(cell))
            values[cell.source, cell.destination].append(words)
            continue
        pairs[cell.source, cell.destination].append(asked_as(cell.protocol, cell.family))
    named = [
        f"{source} {'reaches' if never else 'does not reach'} {destination} ({', '.join(asked)})"
        for (source, destination), asked in list(pairs.items())[:PAIRS_NAMED]
    ]
    named += [
        f"{source} is seen by {destination} with {' and '.join(seen)}"
        for (source, destination), seen in list(values.items())[: PAIRS_NAMED - len(named)]
    ]
    rest = len(pairs) + len(values) - len(named)
    return ", ".join(named) + (f" and {rest} more pair{'' if rest == 1 else 's'}" if rest else "")


def reasons(never: bool, cells: Iterable[Asked]) -> list[tuple[str, str]]:
    """Return why ``cells`` are against a statement, a rule at a time: in words, and who says so."""
    rules: dict[tuple[str, str], list[Asked]] = defaultdict(list)
    for cell in cells:
        rules[cell.because, cell.reference].append(cell)
    return [
        (f"{broken_words(never, alike)}. {because}", reference)
        for (because, reference), alike in rules.items()
    ]


def seen_in(cell: Asked) -> Value:
    """Return the value of a cell of kind value: what is to be seen, or what was, once measured."""
    value: Value = cell.value if isinstance(cell, Expectation) else getattr(cell, "observed", "")
    return value if isinstance(value, str) else ", ".join(value)
