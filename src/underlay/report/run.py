"""A run as it was kept, in each format: what ``check`` printed of it, and what it didn't."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rich.text import Text

from underlay.errors import EXIT_INFRASTRUCTURE, EXIT_OK, BadInput, Infrastructure
from underlay.proof.labs import LabResults
from underlay.proof.result import narrowed
from underlay.proof.runs.restoring import chosen_of, results_of
from underlay.proof.runs.schema import SavedError
from underlay.report.after import after_text
from underlay.report.captures import captures_text, pcapng
from underlay.report.comparison import baseline_document, comparison_text
from underlay.report.document import cell_document
from underlay.report.documents.kinds import stamped
from underlay.report.origins import Origins, origins_text
from underlay.report.results import (
    ended_early,
    interrupted_document,
    lab_document,
    proof_text,
    result_text,
    results_document,
    sum_line,
)

if TYPE_CHECKING:
    from underlay.proof.runs.comparison import Comparison
    from underlay.proof.runs.schema import Run, SavedLab


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
            chosen = chosen_of(lab, self.run.choice)
            result = results.by_lab[lab.lab]
            if not lab.cells and result.error is None:
                result = replace(result, error=Infrastructure(ended_early(self.run)))
            results.by_lab[lab.lab] = narrowed(result, chosen) if chosen else result
        return results

    @property
    def exit_code(self) -> int:
        """0 only where the run came to its end and all is as it should be.

        1 where something isn't, however early the run ended; else 3, for something isn't known.
        """
        code = self.results.exit_code
        failed = any(result.error for result in self.results.by_lab.values())
        unknown = failed or self.run.reached != "the end"
        return EXIT_INFRASTRUCTURE if code == EXIT_OK and unknown else code


def choice_words(told: Told) -> str:
    """Return which cells of a run are told, as its command line chose them; nothing where all are.

    Somebody who gets the report hasn't seen that command line.
    """
    verdicts = [result.verdict for result in told.results.by_lab.values()]
    left, shown = (sum(one.left_out for one in verdicts), sum(len(v.cells) for v in verdicts))
    if not left:
        return ""
    by = next(one.left_out_by for one in verdicts if one.left_out)
    return f"{shown} of {left + shown} cells are told, as {by} chose; {left} are left out"


def run_text(told: Told, *, width: int, ascii_only: bool = False, wide: bool = False) -> Text:
    """Return what ``check`` printed for people: of one lab the matrix, of several a line each.

    A run that ended early begins with a line that says so.
    """
    run, results = told.run, told.results
    text = Text()
    if early := ended_early(run):
        text.append(f"{early}\n", "bold yellow")
    for lab in run.labs:
        result = results.by_lab[lab.lab]
        if lab.after:
            text.append_text(after_text(lab.after, width=width, ascii_only=ascii_only))
            text.append("\n")
        if len(run.labs) > 1 or result.error is not None:
            text.append_text(result_text(result, width=width))
            continue
        text.append_text(
            proof_text(
                result.verdict,
                lab.ends,
                result.explanation,
                width=width,
                ascii_only=ascii_only,
                wide=wide,
            )
        )
        text.append_text(origins_text(_origins(lab), result.verdict, width=width))
        text.append_text(captures_text(result.captures, width=width, ascii_only=ascii_only))
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
    origins = {lab.lab: _origins(lab) for lab in run.labs}
    if run.reached != "the end":
        error = run.error or SavedError(message="it was killed")
        known = {lab.lab: results.by_lab[lab.lab] for lab in run.labs if lab.phases}
        page = interrupted_document(error.message, error.hint, known, origins)
        return {**page, "reached": run.reached, **beside}
    if run.of == "running" and run.labs:
        lab = run.labs[0].lab
        return {**lab_document(results.by_lab[lab], origins[lab]), **beside}
    return {**results_document(results, origins, run.timings), **beside}


def _origins(lab: SavedLab) -> Origins:
    return Origins(lab.origins, lab.ends, lab.own)


def json_text(told: Told) -> str:
    """Return the JSON document as text."""
    page = stamped("check", run_document(told))
    return json.dumps(page, indent=2, ensure_ascii=False) + "\n"


def pcap_bytes(told: Told) -> bytes:
    """Return the frames that were captured of cells that differ, of all labs, as a pcapng file.

    Raises BadInput where there are none.
    """
    captures = [one for lab in told.results.by_lab.values() for one in lab.captures]
    if not any(one.frames for one in captures):
        raise BadInput(
            "this run has no captures: cells that differ are captured by check --save alone",
            hint="underlay trace SOURCE DESTINATION, or underlay capture, while the lab is up",
        )
    return pcapng(frame for one in captures for frame in one.frames)


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
