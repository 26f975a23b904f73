"""A running lab proven with progress on stderr, and its matrix printed, for several verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.cli.console import out, progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from underlay.cluster.state.lab import LabState
    from underlay.plan import Plan
    from underlay.proof.explain import Explanation
    from underlay.proof.lab import Proof
    from underlay.verdict import Verdict


def measure_lab(state: LabState) -> Verdict:
    """Measure the running lab ``state``, showing progress, and return the verdict.

    Raises Infrastructure where its nodes are on the way to another lab.
    """
    from underlay.proof.lab import RunningLab, measure_and_judge

    with progress(f"measuring {state.lab}") as running:
        return measure_and_judge(RunningLab(state), running.step)


def prove_lab(
    state: LabState, *, strict: bool = False, measured: Callable[[Verdict], None] | None = None
) -> Proof:
    """Measure the running lab ``state`` and explain what differs, showing progress.

    With ``strict`` the verdict counts what isn't planned as a difference. ``measured`` is handed
    the verdict before causes are looked for. Raises Infrastructure where the lab's nodes are on the
    way to another lab.
    """
    from underlay.proof.lab import prove

    with progress(f"measuring {state.lab}") as running:
        return prove(state, running.step, strict=strict, measured=measured)


def show_proof(plan: Plan, verdict: Verdict, explanation: Explanation | None) -> None:
    """Print the matrix of ``verdict`` and, where it isn't as expected, its causes.

    ``explanation`` is None where nothing differs, or where the lab could not be looked into.
    """
    from underlay.expect import ends
    from underlay.report.origins import origins_text
    from underlay.report.results import proof_text
    from underlay.report.terminal import page_form

    width, plain = page_form(out)
    page = proof_text(verdict, ends(plan), explanation, width=width, ascii_only=plain)
    out.print(page, end="")
    out.print(origins_text(plan, verdict, width=width), end="")


def show_matrix(plan: Plan, verdict: Verdict) -> None:
    """Print the matrix of ``verdict`` and what is to be said about it."""
    from underlay.expect import ends
    from underlay.report.results import matrix_text
    from underlay.report.terminal import page_form

    width, plain = page_form(out)
    out.print(matrix_text(verdict, ends(plan), width=width, ascii_only=plain), end="")
