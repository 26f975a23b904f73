"""A run under way of which nobody wants a file: what it is told is lost.

``recording.py`` keeps one. What it keeps it in needs pydantic and all that a lab is read with, a
third of what a `check` of a running lab has to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.proof.choice import Chosen
    from underlay.proof.labs import LabResults
    from underlay.proof.result import LabResult
    from underlay.proof.runs.saving import Source
    from underlay.proof.runs.schema import Reached, Run, Shard
    from underlay.verdict import Verdict


class Unrecorded:
    """Takes in what a Recording does, and keeps nothing.

    ``kept`` says whether anything comes of it, ``captures`` whether cells that differ are asked
    again for it.
    """

    kept = False
    captures = False

    def of_labs(
        self, sources: Sequence[Source], provider: str, chosen: Chosen | None = None
    ) -> None:
        """Hear which labs it is of."""

    def of_shard(self, shard: Shard) -> None:
        """Hear which share of a folder's labs it is of."""

    def becomes(self, source: Source) -> None:
        """Hear that the nodes are another lab's from now on."""

    def reach(self, reached: Reached) -> None:
        """Hear what is done now."""

    def measured(self, verdict: Verdict) -> None:
        """Hear of a lab that was measured."""

    def add(self, result: LabResult) -> None:
        """Hear what became of a lab."""

    def all_of(self, results: LabResults, timings: dict[str, float]) -> None:
        """Hear what is told of all labs together."""

    def stopped_by(self, error: BaseException) -> None:
        """Hear what ended the run early."""

    @property
    def so_far(self) -> Run:
        """Raise ValueError: nobody wanted the run."""
        raise ValueError("nothing is recorded")
