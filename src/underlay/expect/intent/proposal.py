"""A statement of what is wanted that a lab keeps as it is: an example for its file."""

from __future__ import annotations

from collections import defaultdict
from itertools import permutations
from typing import TYPE_CHECKING

from underlay.expect.intent.judgement import of_predictions
from underlay.expect.intent.keys import key_of
from underlay.plan import PlannedStatement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.expect import Prediction

# So many are tried: of a large lab each costs the prediction of its cells.
MOST_TRIED = 12


def proposed_statement(prediction: Prediction) -> str:
    """Return a statement that is kept if all is as predicted, nothing where none of those is.

    It is of two networks' containers: first that those of one reach one another, then that they
    reach another one's, or never do.
    """
    for tried, statement in enumerate(_candidates(prediction)):
        if tried == MOST_TRIED:
            break
        (judged,) = of_predictions((statement,), prediction)
        if judged.word == "kept":
            return statement.text
    return ""


def _candidates(prediction: Prediction) -> Iterator[PlannedStatement]:
    keys: dict[str, list[str]] = defaultdict(list)
    for end in prediction.ends:
        if end.kind == "container":
            keys[end.network].append(key_of(end))
    pairs = [(name, name) for name in keys if len(keys[name]) > 1]
    signs = [(pair, "->") for pair in pairs]
    signs += [(pair, sign) for pair in permutations(keys, 2) for sign in ("->", "-x")]
    for (one, other), sign in signs:
        yield PlannedStatement(
            number=0,
            text=f"{one} {sign} {other}",
            sources=tuple(keys[one]),
            destinations=tuple(keys[other]),
            never=sign == "-x",
            protocols=prediction.protocols,
        )
