"""What lint says, whatever it looked at: findings, and the rules that they come from."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from underlay.errors import Spot

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """What a rule says about one place; ``line`` and ``column`` count from 1, 0 is the whole file.

    ``message`` is the fact, ``reason`` why that matters, ``cure`` the change that
    removes it, ``source`` where the rule comes from, ``related`` the other places
    that the fact is about.
    """

    id: str
    severity: Severity
    file: str
    line: int
    column: int
    message: str
    reason: str
    cure: str
    source: str
    related: tuple[Spot, ...] = ()

    @property
    def spot(self) -> Spot:
        """Where it is."""
        return Spot(self.file, self.line, self.column)

    def __str__(self) -> str:
        """Return the finding as people read it, a line for each of its parts."""
        return "\n".join(
            (
                f"{self.spot}: {self.severity}: {self.id}: {self.message}",
                *(f"  see: {spot}" for spot in self.related),
                f"  reason: {self.reason}",
                f"  cure: {self.cure}",
                f"  source: {self.source}",
            )
        )


@dataclass(frozen=True)
class RuleText:
    """A rule as pages and formats show it; ``page`` is the page in docs/ that lists it."""

    id: str
    severity: Severity
    reason: str
    source: str
    page: str


def reason_of(check: Callable[..., object]) -> str:
    """Return why what ``check`` finds matters: its docstring, as one line."""
    return " ".join((inspect.getdoc(check) or "").split())
