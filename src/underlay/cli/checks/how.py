"""How labs are checked, as the command line says it, and what is printed of one of them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from underlay.cli.console import err, out, print_document
from underlay.cli.lab_proof import show_captures, show_proof

if TYPE_CHECKING:
    from pathlib import Path

    from underlay.plan import Plan
    from underlay.proof.result import LabResult
    from underlay.proof.runs.comparison import Comparison
    from underlay.proof.runs.schema import Run
    from underlay.proof.runs.unrecorded import Unrecorded


class How(NamedTuple):
    """How labs are checked: the command line's options; ``quiet`` leaves stdout to a probe.

    ``jobs`` is how many labs may be at work at once, by default as many as there is room for.
    """

    provider: str | None
    keep: bool
    strict: bool
    as_json: bool
    pause: bool
    wide: bool
    quiet: bool = False
    shard: tuple[int, int] | None = None
    jobs: int | None = None


@dataclass(frozen=True)
class Earlier:
    """The run that this one is compared with, and the file that it is kept in."""

    file: str
    run: Run

    def compared(self, now: Unrecorded) -> Comparison:
        """Return what isn't as in that run."""
        from underlay.proof.runs.comparison import compare

        return compare(self.run, now.so_far, self.file)


def show_comparison(compared: Comparison) -> None:
    """Print what isn't as in an earlier run."""
    from underlay.report.comparison import comparison_text
    from underlay.report.terminal import page_form

    width, plain = page_form(out)
    out.print()
    out.print(comparison_text(compared, width=width, ascii_only=plain), end="")


def tell_one(
    plan: Plan,
    result: LabResult,
    run: Unrecorded,
    how: How,
    earlier: Earlier | None,
) -> int:
    """Print what became of the one lab that was measured where it is; return the exit code."""
    from underlay.proof.explanation import NOTHING

    verdict, explanation = result.verdict, result.explanation or NOTHING
    compared = earlier.compared(run) if earlier else None
    if how.as_json:
        from underlay.report.comparison import baseline_document
        from underlay.report.results import lab_document

        page = lab_document(result, plan)
        print_document("check", {**page, **baseline_document(compared)})
    elif not how.quiet:
        show_proof(plan, verdict, explanation, wide=how.wide)
        show_captures(result.captures)
    if compared and not how.as_json:
        show_comparison(compared)
    return compared.exit_code if compared else verdict.exit_code


def tell_where(save: Path | None, code: int, *, ended: bool) -> None:
    """Say on stderr how a run that isn't green is explained again, where its lab has been ended."""
    if save is not None and code and ended:
        err.print(f"the run is kept: underlay explain {shlex.quote(str(save))}  tells it again")
