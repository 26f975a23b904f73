"""What changes between two labs, as Markdown for a merge request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.errors import count
from underlay.expect.intent import reasons
from underlay.report.difference import (
    MOVED_SHOWN,
    Verb,
    all_in_a_line,
    block_words,
    by_keys,
    changed_words,
    ends_that,
    ends_words,
    lines_words,
    moved_words,
    names_of,
    of_ends_words,
    outcome_words,
    pairs_words,
    sum_of,
    title,
    value_changes,
    value_words,
    worth_showing,
)
from underlay.report.found_errors import error_markdown
from underlay.report.markdown import as_code, as_table, as_text
from underlay.report.proven import cells_lines, proven_lines
from underlay.report.statement_changes import change_words, loss_reasons
from underlay.report.wanted import before_words, broken_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from underlay.proof.difference.blocks import Group, Outcome
    from underlay.proof.difference.cells import Difference
    from underlay.proof.difference.results import LabDifference


def markdown(results: Sequence[LabDifference]) -> str:
    """Return all differences as Markdown for a merge request, with GitHub's and GitLab's tables."""
    several = len(results) > 1
    shown = [result for result in results if not several or worth_showing(result)]
    lines: list[str] = []
    for result in shown:
        lines += [*_markdown_of_lab(result), ""]
    if several:
        lines += [f"**{all_in_a_line(results)}**", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _markdown_of_lab(result: LabDifference) -> list[str]:
    old, new = names_of(result)
    difference = result.difference
    if difference is None:
        gone_or_new = f"### {as_code(old or new)} is {'gone' if old else 'new'}"
        head = [gone_or_new, "", sum_of(result)]
        errors = error_markdown(result.errors)
        return [*head, *errors, *_intent(result), *_statements(result)]
    return [
        *(f"### {as_code(old)} → {as_code(new)}", "", sum_of(result)),
        *error_markdown(result.errors),
        *_keys(result),
        *_intent(result),
        *_statements(result),
        # What is lost comes first, however much else there is.
        *_ends(result, "go"),
        *_groups(result),
        *_values(difference),
        *_ends(result, "come"),
        *_moved(difference),
        *_measured(result),
    ]


def _keys(result: LabDifference) -> list[str]:
    rows = [(as_code(k.path), as_code(changed_words(k)), lines_words(k)) for k in result.keys]
    return ["", *as_table(("Key", "Before and now", "Lines"), rows)] if rows else []


def _groups(result: LabDifference) -> list[str]:
    """Return a table of the cells whose ends stay, and the reasons below it, folded."""
    groups = [group for group in result.groups if group.stays]
    if not groups:
        return []
    table = as_table(
        ("What", "From and to", "Before", "Now"), (_row(result, group) for group in groups)
    )
    folded = ["<details><summary>Why</summary>", "", *_reasons(groups), "", "</details>"]
    return ["", *table, "", *folded]


def _values(difference: Difference) -> list[str]:
    rows = [
        (as_code(label), count(len(changes), "cell"), as_code(value_words(changes)))
        for label, changes in value_changes(difference).items()
    ]
    return ["", *as_table(("What is seen", "Changed", "Before and now"), rows)] if rows else []


def _ends(result: LabDifference, verb: Verb) -> list[str]:
    """Return the ends that come or go, and what becomes of the cells with them."""
    ends, groups = ends_that(result, verb)
    if not ends:
        return []
    lines = ["", f"Ends that {verb}: {as_text(ends_words(ends))}", ""]
    for group in groups:
        for words in of_ends_words(group):
            said = f"{group.what}: {as_text(words)}"
            lines.append(f"- **{said}**" if group.what == "lost" else f"- {said}")
    return lines if lines[-1] else lines[:-1]


def _moved(difference: Difference) -> list[str]:
    """Return the ends that stay under another address, node or name."""
    if not difference.moved:
        return []
    lines = ["", "Ends that stay under another address, node or name:", ""]
    shown = difference.moved[:MOVED_SHOWN]
    lines += [f"- {as_text(moved_words(before, now))}" for before, now in shown]
    rest = len(difference.moved) - len(shown)
    return lines + ([f"- and {rest} more"] if rest else [])


def _intent(result: LabDifference) -> list[str]:
    """Return a line for each statement that isn't kept, with the reasons."""
    if not result.intent:
        return []
    kept = sum(one.word == "kept" for one in result.intent)
    lines = ["", f"What is wanted: {kept} of {count(len(result.intent), 'statement')} kept", ""]
    for one in result.intent:
        if one.word != "kept":
            earlier = before_words(one, result.intent_before)
            lines.append(f"- **{as_text(broken_line(one))}** ({earlier})")
            why = reasons(one.statement.never, one.broken)
            lines += [f"  - {as_text(f'{words} ({source})')}" for words, source in why]
    return lines if lines[-1] else lines[:-1]


def _statements(result: LabDifference) -> list[str]:
    """Return a line for each statement that isn't as before; why, where one is lost."""
    lines = ["", "Statements that differ:", ""] if result.statements else []
    for change in result.statements:
        words = as_text(f"{change.what}: {change_words(change)}")
        lines.append(f"- **{words}**" if change.loses else f"- {words}")
        lines += [f"  - {as_text(f'{why} ({source})')}" for why, source in loss_reasons(change)]
    return lines


def _measured(result: LabDifference) -> list[str]:
    """Return what packets say of it, and the cells that aren't as predicted."""
    if result.proof is None:
        return []
    odd = [cell for cell in result.proof.cells if cell.word != "as predicted"]
    lines = [as_text(words) for words in proven_lines(result.proof)]
    lines += [f"**{as_text(words)}**" for words in cells_lines(odd)]
    return ["", "Measured:", "", *(f"- {line}" for line in lines)]


def _row(result: LabDifference, group: Group) -> tuple[str, str, str, str]:
    blocks = [
        "<br>".join(
            [
                as_text(block_words(block)),
                *([] if block.whole else map(as_text, pairs_words(block))),
            ]
        )
        for block in group.blocks
    ]
    what = f"**{title(group)}**" if group.what == "lost" else title(group)
    keys = by_keys(result, group)
    what += f"<br>by {as_text(keys)}" if keys else ""
    return (
        what,
        "<br>".join(blocks),
        as_text(outcome_words(group.before)),
        as_text(outcome_words(group.now)),
    )


def _reasons(groups: Iterable[Group]) -> list[str]:
    told: dict[str, Outcome] = {}
    for group in groups:
        for outcome in (group.before, group.now):
            if outcome.rule:
                told.setdefault(outcome.rule, outcome)
    return [
        f"- {as_code(rule)}: {as_text(outcome.because)} ({as_text(outcome.reference)})"
        for rule, outcome in told.items()
    ]
