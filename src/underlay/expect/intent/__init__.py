"""Intent: what is wanted of a lab, held against what is predicted and against what was measured."""

from underlay.expect.intent.judgement import (
    Asked,
    Judged,
    Outcome,
    judged,
    of_predictions,
    stands_of,
)
from underlay.expect.intent.keys import key_of
from underlay.expect.intent.proposal import proposed_statement
from underlay.expect.intent.words import broken_words, reasons

__all__ = [
    "Asked",
    "Judged",
    "Outcome",
    "broken_words",
    "judged",
    "key_of",
    "of_predictions",
    "proposed_statement",
    "reasons",
    "stands_of",
]
