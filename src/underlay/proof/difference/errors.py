"""The errors that lint finds in the new lab, and which of them the old one hasn't."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from underlay.lint import Loaded
    from underlay.lint.finding import Finding

# Where something stands changes with what is written above it, and is no other error.
_LINE = re.compile(r"(?<=:)\d+(?::\d+)?|(?<=\bline )\d+")


@dataclass(frozen=True)
class NewLabError:
    """An error that lint finds in the new lab; ``new`` is whether the old one is without it."""

    finding: Finding
    new: bool


def errors_of(old: Loaded | None, new: Loaded | None) -> tuple[NewLabError, ...]:
    """Return the errors of the new lab, in lint's order; those of a lab that comes are all new.

    An error is the same in both where rule and words are, wherever its line has gone.
    """
    if new is None or not new.errors:
        return ()
    before = Counter(_same(old, one) for one in old.errors) if old else Counter()
    told = []
    for one in new.errors:
        named = _same(new, one)
        told.append(NewLabError(one, not before[named]))
        before[named] -= before[named] > 0
    return tuple(told)


def _same(lab: Loaded, finding: Finding) -> tuple[str, str]:
    """Return by what an error is known again, however the lab file is called and its lines lie."""
    return finding.id, _LINE.sub("", finding.message.replace(lab.text.file, ""))
