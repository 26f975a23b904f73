"""What ``explain`` says: of the lab that is up, and of a run that was kept, on any machine."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.text import Text

from underlay.proof.explanation import NOTHING
from underlay.report.after import after_document, after_text
from underlay.report.captures import captures_text
from underlay.report.explanation import document, explanation_text
from underlay.report.intent import intent_document, intent_text
from underlay.report.live import live_document, live_notes
from underlay.report.origins import Origins, origins_document, origins_text
from underlay.report.page import Page
from underlay.report.results import ended_early
from underlay.report.terminal import not_measured_section, plain, summary_line
from underlay.report.unplanned import unplanned_document, unplanned_text

if TYPE_CHECKING:
    from underlay.plan import Plan
    from underlay.proof.result import LabResult
    from underlay.report.run import Told
    from underlay.verdict import Verdict

UNKNOWN = "no cause is known: the lab could not be looked into, or the run ended before that"


def explained_text(
    result: LabResult, origins: Plan | Origins, *, width: int, ascii_only: bool
) -> Text:
    """Return what happened to a lab, why cells of it differ, and what else isn't as it should."""
    verdict = result.verdict
    text = Text()
    if result.after:
        text.append_text(after_text(result.after, width=width, ascii_only=ascii_only))
        text.append("\n")
    summary_line(verdict, text)
    if result.error is not None:
        text.append(f"{result.error.message}\n", "bold")
    elif verdict.as_predicted:
        text.append("nothing to explain: every cell is as expected\n")
    elif result.explanation is None:
        text.append(f"{UNKNOWN}\n")
    else:
        text.append("\n")
        text.append_text(explanation_text(result.explanation, width=width))
        text.append_text(origins_text(origins, verdict, width=width))
    text.append_text(intent_text(verdict, width=width))
    text.append_text(unplanned_text(verdict, width=width))
    if verdict.as_predicted and result.explanation is not None:
        text.append_text(explanation_text(result.explanation, width=width))
    text.append_text(captures_text(result.captures, width=width, ascii_only=ascii_only))
    if verdict.live:
        page = Page(width, ascii_only)
        not_measured_section(verdict, page)
        live_notes(verdict, page)
        text.append_text(plain(page))
    return text


def explained_document(result: LabResult, origins: Plan | Origins) -> dict[str, Any]:
    """Return the same as JSON values."""
    verdict = result.verdict
    return {
        "lab": verdict.lab,
        **document(result.explanation or NOTHING),
        "intent": intent_document(verdict),
        "unplanned": unplanned_document(verdict)["unplanned"],
        **origins_document(origins, verdict),
        **after_document(result.after),
        **_live(verdict),
    }


def _live(verdict: Verdict) -> dict[str, Any]:
    """Return how machines that exist were measured, and what wasn't; nothing for a lab's nodes."""
    live = live_document(verdict)
    return {**live, "not_measured": _reasons(verdict)} if live else {}


def _reasons(verdict: Verdict) -> list[dict[str, Any]]:
    """Return why cells of machines that exist weren't measured, most cells first."""
    found = Counter(cell.reason for cell in verdict.cells if not cell.measured)
    return [{"reason": reason, "cells": cells} for reason, cells in found.most_common()]


def run_explained_text(told: Told, *, width: int, ascii_only: bool) -> Text:
    """Return why cells of each lab of a run differ; one that ended early says so first."""
    text = Text()
    if early := ended_early(told.run):
        text.append(f"{early}\n", "bold yellow")
    for number, lab in enumerate(told.run.labs):
        if len(told.run.labs) > 1:
            text.append(f"{chr(10) if number else ''}{lab.lab}\n", "bold")
        origins = Origins(lab.origins, lab.ends, lab.own)
        result = told.results.by_lab[lab.lab]
        text.append_text(explained_text(result, origins, width=width, ascii_only=ascii_only))
    return text


def run_explained_document(told: Told) -> dict[str, Any]:
    """Return the document of a run's only lab, or of all of them with how far the run came."""
    pages = [
        explained_document(told.results.by_lab[lab.lab], Origins(lab.origins, lab.ends, lab.own))
        for lab in told.run.labs
    ]
    early = ended_early(told.run)
    if len(pages) == 1 and not early:
        return pages[0]
    return {"labs": pages, "reached": told.run.reached, "error": early or None}
