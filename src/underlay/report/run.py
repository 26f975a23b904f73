"""A run as it was kept, in each format: what ``check`` printed of it, and what it didn't."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from underlay.errors import Infrastructure
from underlay.proof.labs import LabResults, narrowed
from underlay.proof.runs.restoring import chosen_of, results_of
from underlay.proof.runs.schema import SavedError
from underlay.report.comparison import baseline_document, comparison_text
from underlay.report.document import cell_document, document
from underlay.report.explanation import causes
from underlay.report.origins import Origins, origins_document, origins_text
from underlay.report.results import (
    ended_early,
    interrupted_document,
    proof_text,
    result_text,
    results_document,
    sum_line,
)
from underlay.report.terminal import PAGE_WIDTH

if TYPE_CHECKING:
    from underlay.proof.runs.comparison import Comparison
    from underlay.proof.runs.schema import Run, SavedLab


TITLE = "UNDERLAY-TITLE"
# What stands around the text; the words in braces are rich's.
PAGE = f"""\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{TITLE}</title>
<style>body {{{{color: {{foreground}}; background-color: {{background}};}}}}</style></head>
<body><pre style="font-family: Menlo, 'DejaVu Sans Mono', Consolas, monospace">\
<code>{{code}}</code></pre></body>
</html>
"""
COLUMNS = (
    *("source", "destination", "protocol", "family", "kind", "differs", "expected", "observed"),
    *("expected_stop", "stopped_at", "answered_by", "arrived", "attempts", "rtt_ms", "reason"),
    *("rule", "because", "reference"),
)


@dataclass(frozen=True)
class Told:
    """A run, and what became of its labs; of a choice the chosen cells alone.

    ``compared`` is what isn't as in an earlier run, None where it is compared with none.
    """

    run: Run
    compared: Comparison | None = None

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
        text.append_text(origins_text(_origins(lab), result.verdict, width=width))
        text.append("\n" if run.of == "files" else "")
    if run.of == "files" and run.labs and not early:
        text.append(f"{sum_line(results)} · {run.timings.get('total', 0.0):.1f} s\n")
    if told.compared is not None:
        text.append("\n")
        text.append_text(comparison_text(told.compared, width=width, ascii_only=ascii_only))
    return text


def run_document(told: Told) -> dict[str, Any]:
    """Return what ``check --json`` printed; of a run that ended early how far it came as well."""
    run, results = told.run, told.results
    beside = baseline_document(told.compared)
    order = [lab.lab for lab in run.labs]
    if run.reached != "the end":
        error = run.error or SavedError(message="it was killed")
        known = {lab.lab: results.by_lab[lab.lab] for lab in run.labs if lab.phases}
        left = [lab for lab in order if lab not in known]
        page = interrupted_document(error.message, error.hint, known.values(), left)
        return {**page, "reached": run.reached, **beside}
    if run.of == "running" and run.labs:
        result = results.by_lab[run.labs[0].lab]
        origins = origins_document(_origins(run.labs[0]), result.verdict)
        told_causes = causes(result.explanation) if result.explanation else []
        return {**document(result.verdict), "causes": told_causes, **origins, **beside}
    page = results_document(results, order, run.timings)
    for one, lab in zip(page["labs"], run.labs, strict=True):
        one.update(origins_document(_origins(lab), results.by_lab[lab.lab].verdict))
    return {**page, **beside}


def _origins(lab: SavedLab) -> Origins:
    return Origins(lab.origins, lab.ends, lab.own)


def json_text(told: Told) -> str:
    """Return the JSON document as text."""
    return json.dumps(run_document(told), indent=2, ensure_ascii=False) + "\n"


def html_text(told: Told) -> str:
    """Return the text of a run as a page of HTML that stands alone, with its colours."""
    console = Console(record=True, width=PAGE_WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(run_text(told, width=PAGE_WIDTH), soft_wrap=True, end="")
    labs = ", ".join(lab.lab for lab in told.run.labs) or "no lab"
    title = escape(f"underlay check: {labs}, {told.run.began}")
    page = console.export_html(code_format=PAGE, inline_styles=True)
    return page.replace(TITLE, title, 1)


def csv_text(told: Told) -> str:
    """Return a line for each cell, below a line with the columns' names; lists have spaces."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("lab", *COLUMNS))
    for lab in told.run.labs:
        for cell in told.results.by_lab[lab.lab].verdict.cells:
            row = {**cell_document(cell), "differs": cell.differs}
            writer.writerow([lab.lab, *(_field(row[name]) for name in COLUMNS)])
    return stream.getvalue()


def _field(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(value) if isinstance(value, tuple) else str(value)
