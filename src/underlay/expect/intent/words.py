"""Which cells are against a statement, in words."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from underlay.expect import Expectation, asked_as

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.expect import Value
    from underlay.expect.intent.judgement import Asked

# So many pairs are named, and the rest counted.
PAIRS_NAMED = 3
# What a matrix shows as reachable, and as a request that got there without an answer.
ANSWERED = "{} reaches {}"
ARRIVES = "a request of {} arrives at {}"
STOPPED = "{} does not reach {}"
VALUES = {"source": "the source address {}", "pmtu": "packets of at most {} bytes"}


def broken_words(never: bool, cells: Iterable[Asked]) -> str:
    """Return in words which ``cells`` are against a statement: who, by what, and how many more.

    They are against one that says ``never`` because they reach or a request of theirs arrives,
    against others as they don't, or as what is seen is another value.
    """
    pairs: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    values: dict[tuple[str, str], list[str]] = defaultdict(list)
    for cell in cells:
        if cell.kind == "value":
            seen_as = VALUES[cell.protocol].format(seen_in(cell))
            values[cell.source, cell.destination].append(seen_as)
            continue
        words = (ANSWERED if _answered(cell) else ARRIVES) if never else STOPPED
        pairs[cell.source, cell.destination, words].append(asked_as(cell.protocol, cell.family))
    named = [
        f"{words.format(source, destination)} ({', '.join(asked)})"
        for (source, destination, words), asked in list(pairs.items())[:PAIRS_NAMED]
    ]
    named += [
        f"{source} is seen by {destination} with {' and '.join(seen)}"
        for (source, destination), seen in list(values.items())[: PAIRS_NAMED - len(named)]
    ]
    rest = len(pairs) + len(values) - len(named)
    return ", ".join(named) + (f" and {rest} more pair{'' if rest == 1 else 's'}" if rest else "")


def _answered(cell: Asked) -> bool:
    """Whether a request that gets there has an answer: so it is predicted, or was measured."""
    if isinstance(cell, Expectation):
        return cell.reachable
    return bool(getattr(cell, "observed", "reachable") == "reachable")


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
