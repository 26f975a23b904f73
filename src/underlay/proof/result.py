"""What became of one lab, and the part of it that somebody chose."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from underlay.errors import EXIT_DIFFERS, EXIT_INFRASTRUCTURE, EXIT_OK

if TYPE_CHECKING:
    from underlay.errors import UnderlayError
    from underlay.proof.captured import Captured
    from underlay.proof.choice import Chosen
    from underlay.proof.explanation import Explanation
    from underlay.proof.runs.schema import Event
    from underlay.verdict import Verdict


@dataclass(frozen=True)
class LabResult:
    """What became of one lab; ``timings`` are its seconds by phase.

    ``error`` says why it didn't come up, and then no cell of the verdict was measured. There
    is an explanation where cells aren't as expected and the lab could be looked into. ``captures``
    are cells that differ and were asked again, where that was wanted. ``after`` is what has
    happened to it before it was measured, and what became of it then.
    """

    verdict: Verdict
    explanation: Explanation | None = None
    error: UnderlayError | None = None
    timings: dict[str, float] = field(default_factory=dict)
    captures: tuple[Captured, ...] = ()
    after: tuple[Event, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 where a cell differs, or is lost by an event and didn't heal; 3 where one is unknown.

        Where it is strict, a cell that was silent for a while makes it 1 as well. An event that
        failed makes it 3, whatever there was before it: nobody knows how the lab is now.
        """
        strict = self.verdict.strict
        if any(one.error for one in self.after):
            return EXIT_INFRASTRUCTURE
        if any(one.lost or (strict and one.silent) for one in self.after):
            return EXIT_DIFFERS
        unknown = any(one.not_measured for one in self.after)
        return self.verdict.exit_code or (EXIT_INFRASTRUCTURE if unknown else EXIT_OK)


def narrowed(result: LabResult, chosen: Chosen) -> LabResult:
    """Return ``result`` with the chosen cells alone."""
    explanation = chosen.explanation(result.explanation) if result.explanation else None
    captures = tuple(one for one in result.captures if one.cell[:3] in chosen.cells)
    verdict = chosen.verdict(result.verdict)
    return replace(result, verdict=verdict, explanation=explanation, captures=captures)
