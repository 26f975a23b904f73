"""A run as Markdown, for a merge request or a job's summary: what isn't as it should be."""

from __future__ import annotations

from collections import defaultdict
from html import escape
from typing import TYPE_CHECKING

from underlay.errors import count
from underlay.expect.intent import broken_words
from underlay.report.after import after_markdown
from underlay.report.comparison import comparison_markdown
from underlay.report.live import warmth
from underlay.report.markdown import as_code, as_table, as_text
from underlay.report.pasted import commands, ended_words
from underlay.report.results import ended_early, outcome_of
from underlay.report.run import choice_words
from underlay.report.strangers import described
from underlay.report.terminal import PAIRS_SHOWN, STOPS, value_text
from underlay.report.unplanned import KINDS, cause

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.proof.explanation import Explanation
    from underlay.proof.result import LabResult
    from underlay.report.run import Told
    from underlay.verdict import Cell, Verdict

HEAD = ("Lab", "Outcome", "Cells", "As expected", "Differ", "Not measured", "Wanted", "Unplanned")
LINES_SHOWN = 6


def markdown_text(told: Told) -> str:
    """Return a run as Markdown: a line for each lab, then what differs and why."""
    run, results = told.run, told.results
    lines = ["## underlay check", ""]
    if early := ended_early(run):
        lines += [f"**{as_text(early)}**", ""]
    if chosen := choice_words(told):
        lines += [f"_{as_text(chosen)}_", ""]
    if run.labs:
        lines += as_table(HEAD, [_row(results.by_lab[lab.lab]) for lab in run.labs])
    for lab in run.labs:
        lines += _details(results.by_lab[lab.lab])
    if told.compared is not None:
        lines += ["", *comparison_markdown(told.compared)]
    stands_on = run.stands_on.items()
    told_versions = ", ".join(f"{part} {version}" for part, version in stands_on if version)
    lines += ["", f"{as_text(run.began)} · {as_text(told_versions)}"]
    return "\n".join(lines) + "\n"


def _row(result: LabResult) -> tuple[str, ...]:
    verdict = result.verdict
    summary = verdict.summary
    word = outcome_of(result) if result.error is None else "not measured"
    kept = summary.statements - summary.statements_broken - summary.statements_not_measured
    return (
        as_code(verdict.lab),
        word if word == "as expected" else f"**{word}**",
        *(str(n) for n in (summary.cells, summary.as_expected, summary.differs)),
        str(summary.not_measured),
        f"{kept} of {summary.statements}" if summary.statements else "",
        str(summary.unplanned) if summary.unplanned else "",
    )


def _details(result: LabResult) -> list[str]:
    """Return what happened to one lab, and what isn't as it should be; nothing where all is."""
    lines = [*after_markdown(result.after), ""] if result.after else []
    if result.error is not None:
        lines += [f"**{as_text(result.error.message)}**"]
        lines += ["", "```text", result.error.detail, "```"] if result.error.detail else []
    else:
        live = result.verdict.live
        lines += [f"_{as_text(warmth(live))}_", ""] if live else []
        lines += _intent(result.verdict) + _cells(result.verdict.cells)
        lines += _causes(result.explanation) + _unplanned(result.verdict)
        ended = ended_words(result.explanation) if result.explanation else ""
        lines += ["", as_text(ended)] if ended else []
    return ["", f"### {as_code(result.verdict.lab)}", "", *lines] if lines else []


def _intent(verdict: Verdict) -> list[str]:
    lines = []
    for one in verdict.intent:
        if one.word != "kept":
            said = f"line {one.statement.line}: {one.statement.text}: {one.word}"
            if one.told == "broken":
                said += f" by {count(one.ways, 'way')} that nobody planned"
            why = f": {broken_words(one.statement.never, one.broken)}" if one.broken else ""
            lines.append(f"- **{as_text(said)}**{as_text(why)}")
    return lines


def _cells(cells: Iterable[Cell]) -> list[str]:
    groups: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.differs or not cell.measured:
            groups[_became(cell)].append(cell)
    lines = []
    for words, alike in sorted(groups.items(), key=lambda group: -len(group[1])):
        lines.append(f"- **{count(len(alike), 'cell')}**: {as_text(words)}")
        pairs: dict[tuple[str, str], list[str]] = defaultdict(list)
        for cell in alike:
            pairs[cell.source, cell.destination].append(cell.label)
        shown = list(pairs.items())[:PAIRS_SHOWN]
        lines += [
            f"  - {as_text(f'{source} → {there}')} {as_text(' '.join(asked))}"
            for (source, there), asked in shown
        ]
        rest = len(pairs) - len(shown)
        lines += [f"  - and {count(rest, 'pair')} more"] if rest else []
        because = dict.fromkeys(f"{one.because} ({one.reference})" for one in alike if one.differs)
        lines += [f"  - expected so because: {as_text(why)}" for why in list(because)[:3]]
    return lines


def _became(cell: Cell) -> str:
    if not cell.measured:
        return f"not measured: {cell.reason}"
    if cell.leaks:
        return "no answer, as expected, but the request arrived"
    if cell.elsewhere:
        return f"unreachable as expected, but {cell.stopped_at} instead of {cell.expected_stop}"
    stop = f": {STOPS[cell.stopped_at]} ({cell.stopped_at})" if cell.stopped_at else ""
    by = f": {cell.answered_by} answered" if cell.answered_by else ""
    expected, seen = value_text(cell.expected), value_text(cell.observed)
    return f"expected {expected}, observed {seen}{by or stop}"


def _causes(explanation: Explanation | None) -> list[str]:
    """Return each cause with its evidence and cure, folded; and what none accounts for."""
    lines: list[str] = []
    if explanation is None:
        return lines
    for one in explanation.causes:
        fault = one.finding.fault
        head = f"{fault.title} ({one.where}), {one.sureness}, {count(len(one.cells), 'cell')}"
        shell: list[str] = []
        for proof in one.finding.proofs:
            shell += [f"# {proof.node}: {proof.command}", *proof.lines[:LINES_SHOWN]]
        cures = commands(explanation, one)
        cure = ["Cure:", "", *_block(cures)] if cures else [f"Cure: {as_text(one.finding.cure)}"]
        lines += [
            *("", f"<details><summary>Cause: {escape(head)}</summary>", ""),
            *(as_text(fault.cause), "", *_block(shell), "", *cure, ""),
            *(as_text(fault.reference), "", "</details>"),
        ]
    if explanation.unexplained:
        lines += ["", f"No cause found for {count(len(explanation.unexplained), 'cell')}."]
    return lines


def _block(lines: Iterable[str]) -> list[str]:
    return ["~~~text", *lines, "~~~"]


def _unplanned(verdict: Verdict) -> list[str]:
    strangers = [
        f"- runs, not planned: {as_text(described(one))}" for one in verdict.strangers or ()
    ]
    return strangers + [
        f"- reachable, not planned: {as_text(f'{one.end} {one.interface} {one.address}')}: "
        f"{as_text(KINDS[one.kind].because)} {as_text(cause(one))}"
        for one in verdict.unplanned
    ]
