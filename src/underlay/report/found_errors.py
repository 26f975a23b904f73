"""The errors that lint finds in a lab that is only predicted, said beside the prediction."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from underlay.errors import count
from underlay.report.markdown import as_code, as_text
from underlay.report.page import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.lint.finding import Finding
    from underlay.proof.difference.errors import NewLabError

# Why anything is said beside a prediction: rules of prediction take a lab as it is written.
LESS = "Such a lab may do less than is predicted"


def found_section(findings: Sequence[Finding], file: str, page: Page) -> None:
    """Append the errors in the lab ``file``, nothing where there are none."""
    if not findings:
        return
    page.text.append(f"\nlint finds {count(len(findings), 'error')}\n", "bold red")
    for finding in findings:
        page.line(f"{finding.spot}: {finding.id}: {finding.message}", indent=4, first="  ✗ ")
    page.line(_next(file), indent=2, first="  ")


def new_found_section(errors: Sequence[NewLabError], file: str, page: Page) -> None:
    """Append the errors in the new lab of a difference, those that the old one hasn't first."""
    if not errors:
        return
    page.text.append(f"\n{sum_words(errors)}\n", "bold red")
    for words in error_lines(errors):
        page.line(words, indent=4, first="  ✗ ")
    page.line(_next(file), indent=2, first="  ")


def sum_words(errors: Sequence[NewLabError]) -> str:
    """Return how many errors lint finds in the new lab, and how many the old one hasn't."""
    new = sum(one.new for one in errors)
    return f"lint finds {count(len(errors), 'error')}, {new} of them only now"


def error_lines(errors: Sequence[NewLabError]) -> list[str]:
    """Return a line for each error, those that the old lab hasn't first."""
    ordered = sorted(errors, key=lambda one: not one.new)
    return [
        f"{one.finding.spot}: {one.finding.id}: {one.finding.message}"
        f"{'' if one.new else ' (as before)'}"
        for one in ordered
    ]


def error_markdown(errors: Sequence[NewLabError]) -> list[str]:
    """Return the errors as a list of Markdown; what only the new lab has is bold."""
    if not errors:
        return []
    lines = ["", f"{sum_words(errors)}. {LESS}:", ""]
    for one in sorted(errors, key=lambda one: not one.new):
        finding = one.finding
        words = f"{as_text(str(finding.spot))}: {as_code(finding.id)}: {as_text(finding.message)}"
        lines.append(f"- **{words}**" if one.new else f"- {words} (as before)")
    return lines


def found_document(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return the errors as JSON values, with the fields of ``lint --json``."""
    return [asdict(finding) for finding in findings]


def new_found_document(errors: Sequence[NewLabError]) -> list[dict[str, Any]]:
    """Return the errors of the new lab as JSON values; ``new`` is whether the old one hasn't it."""
    return [{**asdict(one.finding), "new": one.new} for one in errors]


def _next(file: str) -> str:
    return f"{LESS}: underlay lint {shlex.quote(file)}"
