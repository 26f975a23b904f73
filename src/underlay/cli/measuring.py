"""What the verbs that measure have in common: a running lab proven with progress, and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.cli.console import out, progress

if TYPE_CHECKING:
    from underlay.cluster.state.lab import LabState
    from underlay.proof.explain import Explanation
    from underlay.proof.lab import RunningLab
    from underlay.verdict import Verdict


def measured(lab: RunningLab) -> Verdict:
    """Measure a running lab, showing progress, and return the verdict.

    Raises Infrastructure where its nodes are on the way to another lab.
    """
    from underlay.proof.lab import measure_and_judge

    with progress(f"measuring {lab.state.lab}") as running:
        return measure_and_judge(lab, running.step)


def explained(lab: RunningLab, verdict: Verdict) -> Explanation:
    """Look into the lab where ``verdict`` isn't green, showing progress, and return why."""
    from underlay.proof.explain import NOTHING
    from underlay.proof.lab import explain_running

    if verdict.exit_code == 0:
        return NOTHING
    with progress(f"looking into {lab.state.lab}") as running:
        return explain_running(lab, verdict, running.step)


def show(state: LabState, verdict: Verdict) -> None:
    """Print the matrix of ``verdict`` and what is to be said about it."""
    from underlay.expect import ends
    from underlay.report.terminal import ascii_only, report

    page = report(
        verdict,
        ends(state.plan()),
        width=min(out.width, 100),
        ascii_only=ascii_only(out.encoding),
    )
    out.print(page)
