"""A running lab proven with progress on stderr, and its matrix printed, for several verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.cli.console import out, progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from underlay.cluster.state.lab import LabState
    from underlay.plan import Plan
    from underlay.proof.captured import Captured
    from underlay.proof.explanation import Explanation
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


def show_proof(
    plan: Plan, verdict: Verdict, explanation: Explanation | None, *, wide: bool = False
) -> None:
    """Print the matrix of ``verdict`` and, where it isn't as expected, its causes.

    ``explanation`` is None where nothing differs, or where the lab could not be looked into;
    ``wide`` the matrix isn't folded.
    """
    from underlay.expect import ends
    from underlay.report.origins import origins_text
    from underlay.report.results import proof_text
    from underlay.report.terminal import page_form

    width, plain = page_form(out)
    page = proof_text(verdict, ends(plan), explanation, width=width, ascii_only=plain, wide=wide)
    out.print(page, end="")
    out.print(origins_text(plan, verdict, width=width), end="")


def show_matrix(plan: Plan, verdict: Verdict) -> None:
    """Print the matrix of ``verdict`` and what is to be said about it."""
    from underlay.expect import ends
    from underlay.report.results import matrix_text
    from underlay.report.terminal import page_form

    width, plain = page_form(out)
    out.print(matrix_text(verdict, ends(plan), width=width, ascii_only=plain), end="")


def captured(state: LabState, proof: Proof) -> tuple[Captured, ...]:
    """Ask cells that differ again, captured, showing progress; nothing where that can't be done."""
    from underlay.errors import UnderlayError
    from underlay.proof.captured import ask_again, chosen
    from underlay.proof.lab import RunningLab

    if not chosen(proof.verdict, proof.explanation):
        return ()
    with progress(f"asking cells of {state.lab} again") as running:
        try:
            return ask_again(RunningLab(state), proof.verdict, proof.explanation, running.step)
        except UnderlayError as error:
            running.note(f"nothing is captured of the cells that differ: {error.message}")
            return ()


def show_captures(captures: tuple[Captured, ...]) -> None:
    """Print where packets of cells that were asked again were last seen, if any were."""
    from underlay.report.captures import captures_text
    from underlay.report.terminal import page_form

    width, plain = page_form(out)
    out.print(captures_text(captures, width=width, ascii_only=plain), end="")
