"""What is wanted, held against the prediction before anything boots, as findings of lint."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from underlay.expect import Prediction
from underlay.expect.filtering import NOBODY_LISTENS
from underlay.expect.intent.judgement import stands_of
from underlay.expect.intent.no_cell import why_no_cell
from underlay.expect.intent.words import broken_words
from underlay.lint.finding import Finding, Hit, RuleText

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from underlay.expect import Expectation
    from underlay.expect.intent.judgement import Judged
    from underlay.lint import Loaded

PAGE = "lint-rules.md"
BROKEN = RuleText(
    "intent-broken",
    "error",
    "What the file expects is not what its lab would do.",
    "the rule of the prediction: docs/prediction-rules.md",
    PAGE,
)
NO_CELL = RuleText(
    "intent-no-cell",
    "error",
    "What is wanted between ends that don't ask each other is neither kept nor broken.",
    "which pairs are measured: docs/concepts/measuring.md",
    PAGE,
)


def intent_rules() -> tuple[RuleText, ...]:
    """Return the rules of lint about what is wanted, which need the prediction."""
    return (BROKEN, NO_CELL)


def intent_findings(
    loaded: Loaded, stands: Sequence[Judged[Expectation]] | None = None
) -> list[Finding]:
    """Return what would be against the lab's statements if all went as predicted, in file order.

    There is one finding for each statement and each rule of the prediction that breaks it.
    ``stands`` is how it stands with them, where that is known already.
    """
    stands = stands_of(Prediction(loaded.plan)) if stands is None else stands
    found = [finding for one in stands for finding in _findings(loaded, one)]
    return sorted(found, key=lambda finding: (finding.line, finding.column))


def _findings(loaded: Loaded, one: Judged[Expectation]) -> Iterator[Finding]:
    statement = one.statement
    spot = loaded.text.spot(("expect", statement.number))
    if not one.cells:
        why, cure = why_no_cell(statement, Prediction(loaded.plan))
        message = f"no cell of this lab is about {statement.text}: {why}"
        yield NO_CELL.finding(Hit(spot, message, cure))
    by_rule: dict[tuple[str, str], list[Expectation]] = defaultdict(list)
    for cell in one.broken:
        by_rule[cell.rule, cell.because].append(cell)
    for (rule, because), cells in by_rule.items():
        says = f"{broken_words(statement.never, cells)}, although line {spot.line} says"
        message = f"{says} {statement.text}. {because} [{rule}]"
        hit = Hit(spot, message, _cure(loaded, statement.never, cells))
        yield replace(BROKEN.finding(hit), source=cells[0].reference)


def _cure(loaded: Loaded, never: bool, cells: Sequence[Expectation]) -> str:
    """Say what would keep a statement: where nobody listens, who would have to."""
    one = cells[0]
    name = one.destination.partition("@")[0]
    found = next((c for c in loaded.plan.containers if c.name == name), None)
    if one.rule == NOBODY_LISTENS.id and found:
        word, _, port = one.protocol.partition(":")
        if word == "tcp" and found.has_program:
            return f"give {name} `ports: [{port}]` below `containers` if its program listens there"
        return (
            f'give {name} `listens: ["{one.protocol}"]` below `containers`, or say what is wanted'
        )
    do = "don't" if never else "do"
    return f"change the lab so that they {do}, or say here what is wanted"
