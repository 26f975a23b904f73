"""A run as it was kept, in each format: what ``check`` printed of it, and what it didn't."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rich.text import Text

from underlay.errors import Infrastructure
from underlay.proof.labs import LabResults, narrowed
from underlay.proof.runs.restoring import chosen_of, results_of
from underlay.proof.runs.schema import SavedError
from underlay.report.document import document
from underlay.report.explanation import causes
from underlay.report.results import (
    ended_early,
    interrupted_document,
    proof_text,
    result_text,
    results_document,
    sum_line,
)

if TYPE_CHECKING:
    from underlay.proof.runs.schema import Run


@dataclass(frozen=True)
class Told:
    """A run, and what became of its labs; of a choice the chosen cells alone."""

    run: Run

    @cached_property
    def results(self) -> LabResults:
        """What became of each lab, as it was shown."""
        results = results_of(self.run)
        for lab in self.run.labs:
            chosen = chosen_of(lab)
            result = results.by_lab[lab.lab]
            if not lab.cells and result.error is None:
                result = replace(result, error=Infrastructure(ended_early(self.run)))
            results.by_lab[lab.lab] = narrowed(result, chosen) if chosen else result
        return results


def run_text(told: Told, *, width: int, ascii_only: bool = False) -> Text:
    """Return what ``check`` printed for people: of one lab the matrix, of several a line each.

    A run that ended early begins with a line that says so.
    """
    run, results = told.run, told.results
    text = Text()
    if early := ended_early(run):
        text.append(f"{early}\n", "bold yellow")
    for lab in run.labs:
        result = results.by_lab[lab.lab]
        if len(run.labs) > 1 or result.error is not None:
            text.append_text(result_text(result, width=width))
            continue
        text.append_text(
            proof_text(
                result.verdict, lab.ends, result.explanation, width=width, ascii_only=ascii_only
            )
        )
        text.append("\n" if run.of == "files" else "")
    if run.of == "files" and run.labs and not early:
        text.append(f"{sum_line(results)} · {run.timings.get('total', 0.0):.1f} s\n")
    return text


def run_document(told: Told) -> dict[str, Any]:
    """Return what ``check --json`` printed; of a run that ended early how far it came as well."""
    run, results = told.run, told.results
    order = [lab.lab for lab in run.labs]
    if run.reached != "the end":
        error = run.error or SavedError(message="it was killed")
        known = {lab.lab: results.by_lab[lab.lab] for lab in run.labs if lab.phases}
        left = [lab for lab in order if lab not in known]
        page = interrupted_document(error.message, error.hint, known.values(), left)
        return {**page, "reached": run.reached}
    if run.of == "running" and run.labs:
        result = results.by_lab[run.labs[0].lab]
        told_causes = causes(result.explanation) if result.explanation else []
        return {**document(result.verdict), "causes": told_causes}
    return results_document(results, order, run.timings)


def json_text(told: Told) -> str:
    """Return the JSON document as text."""
    return json.dumps(run_document(told), indent=2, ensure_ascii=False) + "\n"
