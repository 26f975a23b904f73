"""What became of labs, as ``check`` tells it: as text for people and as its JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from underlay.errors import EXIT_DIFFERS, BadInput, count
from underlay.report.after import after_document
from underlay.report.captures import captures_document
from underlay.report.document import document
from underlay.report.explanation import causes, explanation_text
from underlay.report.intent import intent_text, intent_words
from underlay.report.live import unsized_words
from underlay.report.origins import origins_document
from underlay.report.terminal import report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from underlay.expect import End
    from underlay.plan import Plan
    from underlay.proof.explanation import Explanation
    from underlay.proof.labs import LabResults
    from underlay.proof.result import LabResult
    from underlay.proof.runs.schema import Run
    from underlay.report.origins import Origins
    from underlay.verdict import Verdict

# Of a lab in which no cell differs, and a statement of what is wanted is broken.
NOT_AS_WANTED = "not as wanted"
# Of one in which no cell differs by now, and cells fell silent by an event and never healed.
LOST = "lost cells"


def proof_text(
    verdict: Verdict,
    ends: Sequence[End],
    explanation: Explanation | None,
    *,
    width: int,
    ascii_only: bool,
    wide: bool = False,
) -> Text:
    """Return the matrix of a lab with ``ends`` and, where it isn't as expected, its causes.

    ``explanation`` is None where nothing differs, or where the lab could not be looked into.
    """
    text = matrix_text(verdict, ends, width=width, ascii_only=ascii_only, wide=wide)
    if explanation is not None and (not verdict.as_predicted or explanation.keep_by):
        text.append("\n")
        text.append_text(explanation_text(explanation, width=width))
    return text


def matrix_text(
    verdict: Verdict,
    ends: Sequence[End],
    *,
    width: int,
    ascii_only: bool,
    wide: bool = False,
) -> Text:
    """Return the matrix of ``verdict``, of those ``ends`` whose cells weren't left out."""
    if verdict.left_out:
        asked = {name for cell in verdict.reach for name in (cell.source, cell.destination)}
        ends = tuple(end for end in ends if end.name in asked)
    return report(verdict, ends, width=width, ascii_only=ascii_only, wide=wide)


def result_text(result: LabResult, *, width: int) -> Text:
    """Return how one of many labs went: a line, and what differs where anything does."""
    verdict, summary = result.verdict, result.verdict.summary
    spent = " · ".join(f"{phase} {seconds:.1f} s" for phase, seconds in result.timings.items())
    text = Text()
    if result.error is not None:
        # One that nobody got to has spent nothing, and one that is refused nothing to speak of.
        how, after = ("not up", f" · {spent}") if spent else ("not measured", "")
        if isinstance(result.error, BadInput):
            how, after = "refused", ""
        text.append(f"{verdict.lab}: {how}: {result.error.message}{after}\n", "bold")
        return text.append(f"{result.error.detail}\n" if result.error.detail else "")
    cells = f"{summary.cells} cells: {summary.as_expected} as expected"
    more = f", {summary.differs} differ, {summary.not_measured} not measured"
    beside = f", {summary.unplanned} unplanned" if summary.unplanned else ""
    beside += f", {wanted}" if (wanted := intent_words(verdict)) else ""
    beside += f", {sizes}" if (sizes := unsized_words(verdict)) else ""
    told = f"{cells}{more if verdict.exit_code else ''}{beside}"
    text.append(f"{verdict.lab}: {told} · {spent}\n")
    if summary.statements_broken or summary.statements_not_measured:
        text.append_text(intent_text(verdict, width=width))
    if result.explanation is not None:
        text.append_text(explanation_text(result.explanation, width=width))
    return text


def lab_document(result: LabResult, origins: Plan | Origins) -> dict[str, Any]:
    """Return what ``--json`` prints about a lab: its cells, why, and what stands beside them."""
    return {
        **document(result.verdict),
        "causes": causes(result.explanation) if result.explanation else [],
        **origins_document(origins, result.verdict),
        **captures_document(result.captures),
        **after_document(result.after),
    }


def result_document(result: LabResult, origins: Plan | Origins) -> dict[str, Any]:
    """Return what ``--json`` prints about one of many labs."""
    page = lab_document(result, origins)
    page["timings"] = {**page["timings"], **result.timings}
    if result.error is not None:
        page["error"] = result.error.message
        page["detail"] = result.error.detail
    return page


def results_document(
    results: LabResults, origins: Mapping[str, Plan | Origins], timings: dict[str, float]
) -> dict[str, Any]:
    """Return what ``check FILE|DIR --json`` prints: labs in order, their boots and time.

    ``origins`` says by lab, in the order of their files, what it was predicted from.
    """
    return {
        "labs": [result_document(results.by_lab[lab], one) for lab, one in origins.items()],
        "boots": results.boots,
        "timings": timings,
        "coverage": results.coverage(),
    }


def interrupted_document(
    message: str, hint: str, known: Mapping[str, LabResult], origins: Mapping[str, Plan | Origins]
) -> dict[str, Any]:
    """Return what ``--json`` prints where nothing is known of labs by the end.

    ``known`` are the others by name, and ``origins`` as for all labs of the run.
    """
    labs = [result_document(known[lab], one) for lab, one in origins.items() if lab in known]
    left = [lab for lab in origins if lab not in known]
    return {"error": message, "hint": hint, "labs": labs, "left": left}


def sum_line(results: LabResults) -> str:
    """Return how many labs are as expected and how many aren't, in words, without the time."""
    words = [outcome_of(result) for result in results.by_lab.values()]
    order = ("as expected", "differs", NOT_AS_WANTED, LOST, "not measured in full")
    found = [(words.count(word), word) for word in order if word in words]
    found = [(n, "differ" if word == "differs" and n > 1 else word) for n, word in found]
    labs = count(len(words), "lab")
    if len(found) == 1:
        line = f"{labs} {found[0][1]}"
    else:
        line = f"{labs}: {', '.join(f'{number} {words}' for number, words in found)}"
    # That one lab is booted once goes without saying.
    if len(words) < 2:
        return line
    return f"{line} · nodes booted {'once' if results.boots == 1 else f'{results.boots} times'}"


def outcome_of(result: LabResult) -> str:
    """Return how a lab went with all that has happened to it, in words."""
    if any(one.error for one in result.after):
        return "not measured in full"
    word = outcome(result.verdict)
    lost = word == "as expected" and any(one.lost for one in result.after)
    return LOST if lost else word


def outcome(verdict: Verdict) -> str:
    """Return how a lab went, in words."""
    if verdict.exit_code == EXIT_DIFFERS:
        alone = verdict.summary.statements_broken and not verdict.summary.differs
        return NOT_AS_WANTED if alone else "differs"
    return "not measured in full" if verdict.exit_code else "as expected"


def ended_early(run: Run) -> str:
    """Return how far a run came that ended before its end, in a line; nothing of a whole one."""
    if run.reached == "the end":
        return ""
    why = run.error.message if run.error else "it was killed"
    return f"the run ended early, while {run.reached}: {why}"
