"""What lint says, whatever it looks at: findings, and the rules that they come from."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

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
class Hit:
    """One place that a rule objects to, the fact, the cure, and the other places it is about."""

    spot: Spot
    message: str
    cure: str
    related: tuple[Spot, ...] = ()


@dataclass(frozen=True)
class RuleText:
    """A rule as pages and formats show it; ``page`` is the page in docs/ that lists it."""

    id: str
    severity: Severity
    reason: str
    source: str
    page: str

    def finding(self, hit: Hit) -> Finding:
        """Return the finding that ``hit`` is under this rule."""
        return Finding(
            *(self.id, self.severity, hit.spot.file, hit.spot.line, hit.spot.column),
            message=hit.message,
            reason=self.reason,
            cure=hit.cure,
            source=self.source,
            related=hit.related,
        )


Subject = TypeVar("Subject")
Check = Callable[[Subject], Iterator[Hit]]


@dataclass(frozen=True)
class Rule(RuleText, Generic[Subject]):
    """A rule with the function that looks for what it objects to, and what it can't do without."""

    check: Check[Subject]
    needs: str = ""


class Rules(list[Rule[Subject]]):
    """The rules about one kind of subject: a lab, or the hosts of a fleet."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.page = page

    def rule(
        self, id: str, severity: Severity, source: str, needs: str = ""
    ) -> Callable[[Check[Subject]], Check[Subject]]:
        """Make a rule of the function below, whose docstring is the reason that findings give.

        ``needs`` says what has to be known for it, where that may be lacking.
        """

        def added(check: Check[Subject]) -> Check[Subject]:
            self.append(Rule(id, severity, reason_of(check), source, self.page, check, needs))
            return check

        return added

    def findings(self, subject: Subject) -> list[Finding]:
        """Return what the rules say about ``subject``, rule by rule."""
        return [rule.finding(hit) for rule in self for hit in rule.check(subject)]


def reason_of(check: Callable[..., object]) -> str:
    """Return why what ``check`` finds matters: its docstring, as one line."""
    return " ".join((inspect.getdoc(check) or "").split())
